"""Closed-loop play: episodes in lock-step, the runs of a table, videos, sweeps of the target
return.
"""
