"""Write `requirements.lock`: one version of every package that pyproject.toml leads to.

    python envs/lock.py             # adds what is new, and keeps the rest
    python envs/lock.py --upgrade   # takes the newest that fit

pip resolves, and installs nothing. Further arguments are passed to it, such as `--extra-index-url`.
"""

import argparse
import json
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements.lock"
APART = {"kubernetes"}
"""Extras that are not locked: the client of S3 wants an older python-dateutil than the rest has."""
HEAD = """\
# What `make` installs, with extras; for `pip install --constraint`. Written by envs/lock.py.
"""


def resolved(constraints: list[str], arguments: list[str]) -> dict[str, str]:
    """Version of each package by its name. A build's own label, as `+cpu`, is left out."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [name for name in project["optional-dependencies"] if name not in APART]
    wanted = f"{ROOT}[{','.join(extras)}]"
    options = ["--dry-run", "--ignore-installed", "--quiet", "--report", "-"]
    command = [sys.executable, "-m", "pip", "install", *options, *constraints, *arguments, wanted]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found = [item["metadata"] for item in json.loads(done.stdout)["install"]]
    return {
        each["name"]: each["version"].partition("+")[0]
        for each in found
        if each["name"] != project["name"]
    }


def main() -> None:
    """Resolve and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--upgrade", action="store_true", help="do not keep the versions there are")
    told, arguments = parser.parse_known_args()
    keeps = [] if told.upgrade or not LOCK.exists() else ["--constraint", str(LOCK)]
    versions = resolved(keeps, arguments)
    lines = [f"{name}=={versions[name]}\n" for name in sorted(versions, key=str.lower)]
    LOCK.write_text(HEAD + "".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
