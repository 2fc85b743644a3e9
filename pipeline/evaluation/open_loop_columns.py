"""What stands in a file of errors of predicted states; apart from what predicts, which needs torch
where tables are made without it.
"""

COLUMNS = ("model", "parameters", "step", "starts", "mean", "quartile_1", "median", "quartile_3")
"""`model`: the policy's own, `markov`, or `mean`: always the data's mean state. Of embeddings also
`head`, the policy's head for the next one, and `last`, the last one that was seen. `starts`: from
how many of them the recording goes on for so many steps.
"""
