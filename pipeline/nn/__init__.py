"""Parts that methods are built of: the transformer and its key/value cache, encoders of frames and
states, heads of actions.
"""
