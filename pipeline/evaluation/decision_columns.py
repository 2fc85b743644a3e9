"""Columns of `decisions.csv`, which those who only read it know without torch."""

COLUMNS = (
    *("played", "horizon", "trained", "episodes", "decisions", "milliseconds"),
    *("forward_passes", "parameters"),
)
"""`played`: the run's own settings, and not another horizon. `horizon`: steps of a plan, 0 without
plans. `trained`: whether weights are those of the run, or as they begin. `milliseconds`: median of
the CPU time of a decision for all `episodes` at once, divided by these. `forward_passes`: of a
decision for all of them.
"""
