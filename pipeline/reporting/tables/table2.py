"""Table 2: methods × MuJoCo data sets, raw and D4RL-normalised returns, and the share of the data's
return.
"""

from pipeline.reporting.tables._comparison import Comparison

build = Comparison(
    name="table2",
    title="Table 2",
    normalised="D4RL-normalised return: 0 is random play and 100 an expert, both as D4RL defines "
    "them (Fu et al. 2020). The data are recorded here and are not D4RL's, and neither are the "
    "versions of the environments.",
)
