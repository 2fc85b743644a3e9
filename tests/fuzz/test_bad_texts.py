"""Configurations, prompts, settings, CSV and JSON files with anything in them."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from trying import attempt, examples

from pipeline.config.experiment import Config
from pipeline.config.load import load
from pipeline.config.schema import (
    DatasetConfig,
    EnvironmentConfig,
    FeaturesConfig,
    LanguageModelConfig,
    MethodConfig,
    Section,
)
from pipeline.evaluation.episodes import EPISODE_COLUMNS, read_episodes
from pipeline.features import prompts
from pipeline.features.prompts import Prompts
from pipeline.io.csv import read_csv
from pipeline.provenance import record
from pipeline.reporting import scores

CONFIG = Path(__file__).parents[2] / "config"
FILES = (
    *("toy.yaml", "datasets/catch.yaml", "environments/catch.yaml", "features/toy.yaml"),
    *("language_models/toy.yaml", "variants/synonym_prompts.yaml"),
)
WORDS = (
    "",
    "..",
    "a/b",
    "$(id)",
    "a b",
    "nan",
    "1e999",
    "\x1b[31m",
    "名",
    "toy",
    "catch",
    "more3s",
)
SIMPLE = st.one_of(
    *(st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats()),
    *(st.sampled_from(WORDS), st.text(max_size=8), st.dates()),
)
VALUES = st.recursive(
    SIMPLE,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(st.sampled_from(WORDS), st.integers(), st.none()), inner),
    ),
    max_leaves=5,
)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy configuration, with no more files beside it than it names: each load reads all."""
    copied = tmp_path_factory.mktemp("fuzz") / "config"
    for name in (
        *FILES,
        *(f"variants/{name}.yaml" for name in ("default", "pretrained_gpt_alone")),
    ):
        (copied / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CONFIG / name, copied / name)
    return copied


def places(content: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every key of nested mappings and lists."""
    items: list[Any] = []
    if isinstance(content, dict):
        items = list(content.items())
    elif isinstance(content, list):
        items = list(enumerate(content))
    deeper = [place for key, value in items for place in places(value, (*above, key))]
    return [*((*above, key) for key, _ in items), *deeper]


def changed(content: Any, place: tuple[Any, ...], value: Any) -> Any:
    """A copy with another value at `place`."""
    content = json.loads(json.dumps(content))
    inner = content
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return content


def loads(folder: Path, name: str, text: bytes) -> None:
    """Load the toy configuration with one of its files as `text`; what loads has sound runs."""
    file = folder / name
    before = file.read_bytes()
    file.write_bytes(text)
    try:
        config = attempt(lambda: load(folder / "toy.yaml"))
        if config is not None:
            use(config)
    finally:
        file.write_bytes(before)


def use(config: Config) -> None:
    """What the workflow asks of a configuration before any job."""
    for table in config.tables.values():
        for dataset in table.datasets:
            assert config.environment(dataset).as_json()
        for method, variant in table.rows:
            settings = config.method(method, variant)
            assert MethodConfig.from_json(settings.as_json()) == settings
            config.shared(settings.features, "detector")
    config.evaluation()


@pytest.mark.parametrize("name", FILES)
@given(data=st.data())
@examples(16)
def test_a_value_of_the_configuration(folder: Path, name: str, data: st.DataObject) -> None:
    content = yaml.safe_load((folder / name).read_text())
    place = data.draw(st.sampled_from(places(content)))
    wrong = changed(content, place, data.draw(VALUES))
    loads(folder, name, yaml.safe_dump(wrong, allow_unicode=True).encode())


@given(text=st.one_of(st.binary(max_size=60), VALUES.map(lambda v: yaml.safe_dump(v).encode())))
def test_a_configuration_of_anything(folder: Path, text: bytes) -> None:
    loads(folder, "toy.yaml", text)


@given(overrides=st.dictionaries(st.sampled_from([*Config.model_fields, "x"]), VALUES, max_size=2))
def test_overrides_of_the_command_line(folder: Path, overrides: dict[str, Any]) -> None:
    config = attempt(lambda: load(folder / "toy.yaml", overrides))
    if config is not None:
        use(config)


def test_yaml_runs_nothing(folder: Path, tmp_path: Path) -> None:
    made = tmp_path / "made"
    text = f"scale: !!python/object/apply:os.mkdir ['{made}']\n"
    loads(folder, "toy.yaml", text.encode())
    assert not made.exists()


@pytest.mark.parametrize(
    "section",
    [EnvironmentConfig, DatasetConfig, FeaturesConfig, LanguageModelConfig, MethodConfig],
)
@given(data=st.data())
@examples(16)
def test_a_section_on_the_command_line(section: type[Section], data: st.DataObject) -> None:
    keys = st.sampled_from([*section.model_fields, "x"])
    content = st.dictionaries(keys, VALUES, max_size=4).map(lambda v: json.dumps(v, default=str))
    text = data.draw(st.one_of(content, st.text(max_size=20)))
    found = attempt(lambda: section.from_json(text))
    assert found is None or section.from_json(found.as_json()) == found


PROMPTS = {"sentences": ["one", "two"], "action_prompt": [0, 1], "game": "Catch"}


@given(data=st.data())
def test_prompt_files(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    place = data.draw(st.sampled_from(places(PROMPTS)))
    wrong = json.dumps(changed(PROMPTS, place, data.draw(VALUES)), default=str).encode()
    path = tmp_path_factory.getbasetemp() / "prompts.json"
    path.write_bytes(data.draw(st.sampled_from([wrong, wrong[: len(wrong) // 2], b"\xff", b"[]"])))
    found = attempt(lambda: Prompts.read(path))
    if found is not None:
        assert all(found.sentences[i] for i in found.action_prompt)


@given(content=st.one_of(VALUES, st.dictionaries(st.sampled_from(["original", "x"]), VALUES)))
def test_wording(tmp_path_factory: pytest.TempPathFactory, content: Any) -> None:
    folder = tmp_path_factory.getbasetemp() / "prompts"
    folder.mkdir(exist_ok=True)
    (folder / "catch.yaml").write_text(yaml.safe_dump(content, allow_unicode=True))
    found = attempt(lambda: prompts.read(folder.parent, "Catch", "original"))
    assert found is None or all(found.values())


EPISODES = (
    f"{','.join(EPISODE_COLUMNS)}\n40,0,10000,3,2.5,12,2,0.1,True\n40,1,10001,0,1,9,0,0,False\n"
)


@given(data=st.data())
def test_csv_files(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(EPISODES)))
    stop = data.draw(st.integers(start, min(len(EPISODES), start + 20)))
    put = data.draw(st.one_of(st.binary(max_size=6), st.sampled_from([b"nan", b'"', b"\n", b"\0"])))
    path = tmp_path_factory.getbasetemp() / "episodes.csv"
    path.write_bytes(EPISODES[:start].encode() + put + EPISODES[stop:].encode())
    found = attempt(lambda: read_episodes(path))
    if found is not None:
        assert found["return"].map(float).notna().all()
    attempt(lambda: read_csv(path, EPISODE_COLUMNS, "make it again"), another=False)


RUN = dict.fromkeys(scores.RUN_KEYS, 1.5) | {"versions": {"torch": "2"}, "settings": {}}


@given(data=st.data())
def test_run_files(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    wrong = changed(RUN, data.draw(st.sampled_from(places(RUN))), data.draw(VALUES))
    text = json.dumps(data.draw(st.one_of(st.just(wrong), VALUES)), default=str)
    path = tmp_path_factory.getbasetemp() / "run.json"
    path.write_text(text[: data.draw(st.sampled_from([None, 20]))], encoding="utf-8")
    attempt(lambda: scores.read_run(path))
    record.sidecar(path).write_text(text)
    attempt(lambda: record.read(path), another=False)
