"""Regions and a sentence → O_t: prompts, encoders (`encoders/`, a plug-in each), the step encoder
that cache and play share, the feature cache, what can be read from it and what it costs.
"""
