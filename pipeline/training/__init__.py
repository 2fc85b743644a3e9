"""One loop for every method: optimiser, held-out metrics, checkpoints, resumption after a kill."""
