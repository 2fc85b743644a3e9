# `make table1`, `make demo`, `make test`. Your own environment: `pip install -e .`, then `snakemake …`.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
# Extra arguments of pip, such as --extra-index-url for another build of torch.
PIP_ARGS ?=
CORES ?= 8

BIN := .venv/bin
# Stamps: installing again is for a change of pyproject.toml only.
RUNTIME := .venv/.installed
DEVELOPMENT := .venv/.installed-dev
# One job at a time is all a demo has to do, so each may use two threads.
DEMO_THREADS := $(foreach rule,detect_regions pretrain_encoder build_cache train_policy \
	evaluate_policy film_policy,$(rule)=2)

.PHONY: table1 demo test check clean

table1: $(RUNTIME)  ## Table 1 with the default configuration: results/table1.csv and .md
	$(BIN)/snakemake results/table1.csv --cores $(CORES)

demo: $(RUNTIME)  ## one game, one seed, MORE-3S alone: a rollout video and a picture of the regions
	$(BIN)/snakemake demo --cores all --set-threads $(DEMO_THREADS)
	@ls results/runs/*/more3s/default/seed-*/rollout.mp4 results/regions/*/*.png

test: check  ## everything that continuous integration runs
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadgroup

check: $(DEVELOPMENT)  ## formatting, types, workflow lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/mypy
	$(BIN)/snakemake --lint

clean:  ## remove results, keep the environment
	find results -mindepth 1 ! -name README.md -delete

$(RUNTIME): pyproject.toml | $(BIN)/python
	$(BIN)/pip install $(PIP_ARGS) --editable .
	touch $@

$(DEVELOPMENT): pyproject.toml | $(BIN)/python
	$(BIN)/pip install $(PIP_ARGS) --editable '.[dev]'
	touch $@ $(RUNTIME)

$(BIN)/python:
	$(PYTHON) -m venv .venv
