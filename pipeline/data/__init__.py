"""Offline episodes: from recordings and published data sets (`sources/`, a plug-in each) to
trajectories, and their frames by replay, each distinct one once.
"""
