"""No code runs from data, and no name of the configuration reaches a shell unquoted."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(path for name in ("more3s", "pipeline") for path in (ROOT / name).rglob("*.py"))
RULES = sorted([ROOT / "Snakefile", *(ROOT / "rules").glob("*.smk")])
FORBIDDEN_MODULES = {
    *("pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "code"),
    *("tarfile",),  # nothing is unpacked; NumPy's archives are read member by member
}
FORBIDDEN_CALLS = {
    *("eval", "exec", "compile", "__import__", "os.system", "os.popen", "pd.read_pickle"),
    *("yaml.load", "yaml.load_all", "yaml.full_load", "yaml.unsafe_load", "torch.jit.load"),
    *("yaml.safe_load", "json.load", "np.load"),  # `io.yaml`, `io.json` and `io.npy` have bounds
    *("torch.hub.load", "np.fromfile", "shutil.unpack_archive"),
}
THIRD_PARTIES = {
    # Minari reads a data set by making whatever environment it names
    *("MinariStorage.read", "MinariDataset", "load_dataset", "minari.load_dataset"),
    *("recover_environment", "EnvSpec.from_json"),
    # readers that choose a decoder by what a file says of itself
    *("iio.imread", "imageio.imread", "imageio.v3.imread", "cv2.imread", "plt.imread"),
}
"""What third parties do with our inputs: each runs, or may run, what a file names."""
ALONE = {
    "gymnasium.make": {"environments/mujoco.py"},  # of ids in gymnasium's own registry
    "gym.make": set(),
    "h5py.File": {"io/artefact.py", "data/sources/_hdf5.py"},  # that look where numbers lie
    "datasets.load_dataset": {"language/texts/hugging_face.py"},  # texts; no scripts since 4.0
}
"""What only some modules may call, for they look at what they are given."""
ERRORS = {"UnpicklingError"}
"""What may be imported of those: what others raise."""
REQUIRED = {"np.load": ("allow_pickle", False), "torch.load": ("weights_only", True)}
LISTED = {"Image.open": "formats"}
"""What needs a list of what is allowed: Pillow would start Ghostscript for a picture in EPS."""


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
        lists = {each.arg: each.value for each in node.keywords}
        given = {each.arg: getattr(each.value, "value", None) for each in node.keywords}
        if name in FORBIDDEN_CALLS or name.endswith((".extractall", ".extract")):
            found.append(name)
        if name in REQUIRED and given.get(REQUIRED[name][0]) is not REQUIRED[name][1]:
            found.append(f"{name} without {REQUIRED[name][0]}={REQUIRED[name][1]}")
        for call, keyword in LISTED.items():
            if f".{name}".endswith(f".{call}") and not isinstance(lists.get(keyword), ast.List):
                found.append(f"{name} without a list of {keyword}")
        if name not in ALONE and any(f".{name}".endswith(f".{each}") for each in THIRD_PARTIES):
            found.append(name)
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
        *("Image.open(file)", "Image.open(file, formats=None)", "PIL.Image.open(file)"),
        *("MinariStorage.read(folder)", "minari.load_dataset(name)", "data.recover_environment()"),
        *("load_dataset(name)", "EnvSpec.from_json(text)", "minari.MinariDataset(folder)"),
        *("gymnasium.envs.registration.EnvSpec.from_json(text)", "iio.imread(path)"),
    ],
)
def test_what_would_be_found(code: str) -> None:
    assert faults(ast.parse(code))


def misplaced(tree: ast.AST, place: str) -> list[str]:
    """What a module calls that only others may, under its own name or another that it was given."""
    names = {name.partition(".")[2]: name for name in ALONE}
    calls = [dotted(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    found = [name for name in calls if name in ALONE and place not in ALONE[name]]
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in {"gymnasium", "h5py", "datasets"}:
            found += [
                names[each.name]
                for each in node.names
                if each.name in names and place not in ALONE[names[each.name]]
            ]
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_makes_and_opens_is_called_where_its_input_is_looked_at(path: Path) -> None:
    place = path.relative_to(ROOT).as_posix().removeprefix("pipeline/")
    assert misplaced(ast.parse(path.read_text()), place) == []


@pytest.mark.parametrize(
    "code",
    ["gymnasium.make(spec)", "gym.make(spec)", "h5py.File(path)", "from gymnasium import make"],
)
def test_what_would_be_misplaced(code: str) -> None:
    assert misplaced(ast.parse(code), "data/sources/minari.py")


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
    assert len(rules) - len(shells) == 1  # `all` has none
    assert "\n    run:" not in text
    assert "\n    script:" not in text
