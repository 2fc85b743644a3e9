"""Measurements side by side, run by hand: `python -m benchmarks.<name>`; no test asserts a figure.

`docs/benchmarks.md` says what each measures and holds the tables. Importing this package fixes the
threads of everything but torch at one, as the workflow does, and turns progress bars off.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TQDM_DISABLE", "1")
