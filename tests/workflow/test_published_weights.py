"""Published weights through the workflow: small random ones in the published layout, brought in a
folder.
"""

import csv
import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
import yaml
from safetensors import safe_open
from tokenizers.pre_tokenizers import BertPreTokenizer
from toy_project import COPIED, ROOT, edited, planned, snakemake
from transformers import GPT2Config, GPT2LMHeadModel, LxmertConfig, LxmertForPreTraining

from pipeline.config.published import COLUMNS

FEATURES = {
    "detector": {"name": "fast_rcnn", "regions": 4, "feature_size": 8},
    "encoder": {
        "name": "lxmert",
        "published": "tiny_lxmert",
        "width": 32,
        "heads": 2,
        "language_layers": 1,
        "relationship_layers": 1,
        "cross_layers": 1,
        "box_frequencies": 0,
        "pretraining_steps": 0,
    },
}
MODEL = {"published": "tiny_gpt", "width": 32, "layers": 1, "heads": 2, "activation": "gelu_tanh"}
TARGET = "results/runs/catch/more3s/default/seed-0/policy.safetensors"


def publish(brought: Path) -> None:
    """What the hub would have: LXMERT with a vocabulary, and a GPT-2 of two layers."""
    torch.manual_seed(0)
    sets = yaml.safe_load((ROOT / "resources" / "prompts" / "catch.yaml").read_text())
    split = BertPreTokenizer().pre_tokenize_str
    sentences = [sentence.lower() for wording in sets.values() for sentence in wording.values()]
    words = sorted({word for sentence in sentences for word, _ in split(sentence)})
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    sizes = {"hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64}
    layers = {"l_layers": 1, "r_layers": 1, "x_layers": 1}
    lxmert = LxmertConfig(vocab_size=len(pieces), visual_feat_dim=8, **sizes, **layers)
    model = LxmertForPreTraining(lxmert)
    (brought / "tiny_lxmert").mkdir(parents=True)
    torch.save(model.state_dict(), brought / "tiny_lxmert" / "pytorch_model.bin")
    model.config.save_pretrained(brought / "tiny_lxmert")
    (brought / "tiny_lxmert" / "vocab.txt").write_text("\n".join(pieces) + "\n")
    shape = GPT2Config(n_embd=32, n_layer=2, n_head=2, n_positions=12, vocab_size=11)
    GPT2LMHeadModel(shape).save_pretrained(brought / "tiny_gpt")


def write_table(path: Path, brought: Path) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for found in sorted(brought.glob("*/*")):
            content = found.read_bytes()
            where = (
                found.parent.name,
                "nobody",
                "",
                found.name,
                f"http://127.0.0.1:9/{found.name}",
            )
            checks = ("", hashlib.sha256(content).hexdigest(), len(content), "MIT")
            writer.writerow([*where, *checks])


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the project whose toy configuration begins with published weights."""
    for name in COPIED:
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    publish(tmp_path / "brought")
    config = tmp_path / "config"
    write_table(config / "artefacts.csv", tmp_path / "brought")
    for path in (config / "features").glob("lxmert_*.yaml"):
        path.unlink()  # they name artefacts of the table that ships
    (config / "language_models" / "gpt2_6.yaml").write_text(yaml.safe_dump(MODEL))
    (config / "features" / "tiny.yaml").write_text(yaml.safe_dump(FEATURES))
    toy = yaml.safe_load((config / "toy.yaml").read_text())
    policy = {"initial_weights": "language_model", "activation": "gelu_tanh"}
    toy["settings"] += [{"features": "tiny", "language_model": "gpt2_6", "policy": policy}]
    toy["artefacts_dir"] = str(tmp_path / "brought")
    toy["tables"] = {"table1": {"datasets": ["catch"], "methods": ["more3s"], "seeds": [0]}}
    (config / "toy.yaml").write_text(yaml.safe_dump(toy))
    return tmp_path


def test_from_published_files_to_a_policy(copy: Path, warm: Mapping[str, str]) -> None:
    plan = planned(copy, TARGET)
    assert (plan["retrieve"], plan["take_layers"]) == (2, 1)
    assert "pretrain_language_model" not in plan

    weights = copy / "brought" / "tiny_gpt" / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1])
    done = snakemake(copy, "results/published/tiny_gpt", "--configfile", "config/toy.yaml")
    assert done.returncode != 0
    log = (copy / "results" / "logs" / "retrieve" / "tiny_gpt.log").read_text()
    assert f"{weights}: {len(whole) - 1:,} bytes, not {len(whole):,}; expected" in log
    weights.write_bytes(whole)

    done = snakemake(copy, TARGET, "--configfile", "config/toy.yaml", warm=warm)
    assert done.returncode == 0, done.stdout
    with safe_open(copy / TARGET, "pt") as file:
        described = json.loads(file.metadata()["description"])
    assert described["initial"] == "published (tiny_gpt), layers 1 to 1 of 2"
    assert described["attributes"]["weights"] == "fast_rcnn random, lxmert published (tiny_lxmert)"
    record = json.loads(
        (copy / "results" / "published_layers" / "gpt2_6.safetensors.provenance.json").read_text()
    )
    assert [one["path"] for one in record["inputs"]] == ["results/published/tiny_gpt"]
    assert planned(copy, TARGET) == {}

    with edited(copy / "config" / "artefacts.csv", "/vocab.txt,,", "/vocab.txt,http://[::1]/,"):
        again = planned(copy, TARGET)
        assert set(again) == {"retrieve", "pretrain_encoder", "build_cache", "train_policy"}
        assert again["retrieve"] == 1

    # Where the files came from makes no difference to what they hold.
    toy = (copy / "config" / "toy.yaml").read_text()
    (copy / "config" / "toy.yaml").write_text(toy.replace("artefacts_dir:", "# artefacts_dir:"))
    assert planned(copy, TARGET) == {}
