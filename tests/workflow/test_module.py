"""Another workflow takes this one as a module of its own, in a folder of its own."""

from pathlib import Path

import pytest
from toy_project import CHOOSING, METHODS, ROOT, SEEDS, planned

pytestmark = pytest.mark.workflow

OUTER = f"""
configfile: "config/config.yaml"


module more3s:
    snakefile:
        "{ROOT}/Snakefile"
    config:
        {{"configfile": "config/toy.yaml", "settings": [{{"training": {{"steps": 3}}}}]}}
    prefix:
        "inner"


use rule * from more3s as more3s_*


rule mine:
    default_target: True
    input:
        "inner/results/table1.csv",
    output:
        "mine.csv",
    shell:
        "cp {{input}} {{output}}"
"""


def test_a_module_keeps_its_own_configuration_and_resources(tmp_path: Path) -> None:
    """Those of the outer workflow have the same names; results are below the prefix."""
    (tmp_path / "Snakefile").write_text(OUTER)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.yaml").write_text("what: another workflow's\n")
    (tmp_path / "resources").mkdir()
    jobs = planned(tmp_path, configfile="config/config.yaml")
    assert jobs["mine"] == jobs["more3s_tabulate"] == jobs["more3s_gather_scores"] == 1
    assert jobs["more3s_train_policy"] == len(METHODS) * SEEDS + CHOOSING
    assert jobs["more3s_evaluate_policy"] == len(METHODS) * SEEDS
