"""The table of published files: what ships in it, and one line for whatever is wrong."""

from pathlib import Path

import pytest

from pipeline.config import published
from pipeline.errors import PipelineError

SHIPPED = Path(__file__).parents[3] / "config" / "artefacts.csv"
HEAD = ",".join(published.COLUMNS)
ROW = f"net,somebody/net,abc,net.bin,https://example.org/net.bin,,{'a' * 64},3,MIT"


def write(folder: Path, *rows: str, head: str = HEAD) -> Path:
    path = folder / "artefacts.csv"
    path.write_text("\n".join([head, *rows]) + "\n")
    return path


def test_what_ships() -> None:
    found = published.read(SHIPPED)
    assert {"gpt2", "lxmert_base", "frcnn_vg", "faster_rcnn_coco", "fast_rcnn_coco"} <= set(found)
    assert found["gpt2"].unverified == found["frcnn_vg"].unverified == []
    # Nobody could be found who says what these hold: they stay empty until somebody can.
    assert found["lxmert_base"].unverified == ["config.json", "pytorch_model.bin"]
    for artefact in found.values():
        for file in artefact.files:
            if file.revision and "huggingface.co/" in file.url:
                assert f"/resolve/{file.revision}/" in file.url


def test_a_row_becomes_a_file(tmp_path: Path) -> None:
    (artefact,) = published.read(write(tmp_path, ROW)).values()
    (file,) = artefact.files
    assert (file.bytes, file.mirror, file.revision) == (3, None, "abc")
    assert file.expected == f"3 bytes, SHA-256 {'a' * 64}"
    assert published.read(tmp_path / "none.csv") == {}


@pytest.mark.parametrize(
    ("rows", "cause"),
    [
        ([ROW.replace("a" * 64, "abc")], "line 2: sha256: "),
        ([ROW.replace("https://example.org", "ftp://example.org")], "line 2: url: "),
        ([ROW.replace("net.bin", "../net.bin")], "line 2: file: "),
        ([ROW.replace("net.bin,", ".hidden,", 1)], "line 2: file: "),
        ([ROW.replace(",3,", ",many,")], "line 2: bytes: "),
        ([ROW, ROW], "line 3: net has net.bin twice"),
        ([ROW[:-4]], "line 2: expected 9 values"),
        ([ROW + ",more"], "line 2: expected 9 values"),
        ([ROW[:-3]], "line 2: licence: "),
        ([ROW.replace("net,", "a-b,", 1)], "name: "),
    ],
)
def test_a_wrong_row_is_one_line(tmp_path: Path, rows: list[str], cause: str) -> None:
    with pytest.raises(PipelineError) as caught:
        published.read(write(tmp_path, *rows))
    assert cause in str(caught.value)
    assert "artefacts.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (
            f"{HEAD}\n{ROW}\n{ROW.replace('MIT', 'frei für alle')}\n".encode("latin-1"),
            "line 3 is not",
        ),
        (f"{HEAD}\n{ROW.replace('MIT', 'M' * 200_000)}\n".encode(), "line 2: field larger"),
        (b"x" * (1 << 21), "more than 1,048,576 bytes"),
        (b"\0", "columns"),
    ],
    ids=["latin-1", "field", "long", "zero"],
)
def test_a_table_of_anything_is_one_line(tmp_path: Path, content: bytes, cause: str) -> None:
    (tmp_path / "artefacts.csv").write_bytes(content)
    with pytest.raises(PipelineError, match=f"artefacts.csv.*{cause}"):
        published.read(tmp_path / "artefacts.csv")


def test_a_folder_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "artefacts.csv").mkdir()
    with pytest.raises(PipelineError, match=r"artefacts\.csv: is a folder"):
        published.read(tmp_path / "artefacts.csv")


def test_another_head_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="columns are artefact, url; expected"):
        published.read(write(tmp_path, head="artefact,url"))
