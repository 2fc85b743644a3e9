"""No code runs from data, and no name of the configuration reaches a shell unquoted."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "pipeline").rglob("*.py"))
RULES = sorted([ROOT / "Snakefile", *(ROOT / "rules").glob("*.smk")])
FORBIDDEN_MODULES = {
    *("pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "code"),
    *("tarfile",),  # nothing is unpacked; NumPy's archives are read member by member
}
FORBIDDEN_CALLS = {
    *("eval", "exec", "compile", "__import__", "os.system", "os.popen", "pd.read_pickle"),
    *("yaml.load", "yaml.load_all", "yaml.full_load", "yaml.unsafe_load", "torch.jit.load"),
    *("torch.hub.load", "np.fromfile", "shutil.unpack_archive"),
}
ERRORS = {"UnpicklingError"}
"""What may be imported of those: what others raise."""
REQUIRED = {"np.load": ("allow_pickle", False), "torch.load": ("weights_only", True)}


def dotted(node: ast.expr) -> str:
    """`a.b.c` of a name; what is called on anything else begins with a dot."""
    if isinstance(node, ast.Name):
        return node.id
    return f"{dotted(node.value)}.{node.attr}" if isinstance(node, ast.Attribute) else ""


def faults(tree: ast.AST) -> list[str]:
    """What in a module could run code from data."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name in FORBIDDEN_MODULES]
        if isinstance(node, ast.ImportFrom) and node.module in FORBIDDEN_MODULES:
            found += [node.module] if {each.name for each in node.names} - ERRORS else []
        if not isinstance(node, ast.Call):
            continue
        name = dotted(node.func)
        given = {each.arg: getattr(each.value, "value", None) for each in node.keywords}
        if name in FORBIDDEN_CALLS or name.endswith((".extractall", ".extract")):
            found.append(name)
        if name in REQUIRED and given.get(REQUIRED[name][0]) is not REQUIRED[name][1]:
            found.append(f"{name} without {REQUIRED[name][0]}={REQUIRED[name][1]}")
        if given.get("shell") or given.get("trust_remote_code"):
            found.append(f"{name} with shell or trust_remote_code")
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_code_runs_from_data(path: Path) -> None:
    assert faults(ast.parse(path.read_text())) == []


@pytest.mark.parametrize(
    "code",
    [
        *("import pickle", "from pickle import loads", "yaml.load(x)", "eval(text)"),
        *("np.load(path)", "np.load(path, allow_pickle=True)", "torch.load(path)"),
        *("torch.load(path, weights_only=False)", "archive.extractall(folder)"),
        "subprocess.run(words, shell=True)",
    ],
)
def test_what_would_be_found(code: str) -> None:
    assert faults(ast.parse(code))


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.name)
def test_whatever_reaches_a_shell_is_quoted(path: Path) -> None:
    """Every rule has the one line that is quoted, or a line of its own that is."""
    (line,) = re.findall(r'^STAGE = "(.*)"$', (ROOT / "rules" / "common.smk").read_text(), re.M)
    for block in re.findall(r"^    shell:\n((?:        .*\n)+)", path.read_text(), re.MULTILINE):
        assert block.strip() == "STAGE" or re.fullmatch(r'\s*".*"\s*', block), block
        for place in re.findall(r"\{([^}]+)\}", block.replace("STAGE", line)):
            assert place.endswith(":q"), f"{{{place}}} in {block}"


def test_every_rule_has_been_looked_at() -> None:
    text = "".join(path.read_text() for path in RULES)
    rules = re.findall(r"^rule \w+:", text, re.MULTILINE)
    shells = re.findall(r"^    shell:", text, re.MULTILINE)
    assert len(rules) - len(shells) == 2  # all and demo have none
    assert "\n    run:" not in text
    assert "\n    script:" not in text
