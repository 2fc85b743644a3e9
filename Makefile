# `make table1`, `make demo`, `make test`. Your own environment: `pip install -c requirements.lock -e .`, then `snakemake …`.

# The first that runs: a name may stand for a Python that is not there.
PYTHON ?= $(shell for name in python3.11 python3.12 python3.13; do \
	$$name -c '' 2> /dev/null && echo $$name && exit; done; echo python3)
# Extra arguments of pip, such as --extra-index-url for another build of torch.
PIP_ARGS ?=
CORES ?= 8

BIN := .venv/bin
# Stamps: installing again is for a change of these files only.
PINS := pyproject.toml requirements.lock
# Of 20,000 files Python compiles the few that are imported when they first are; pip would take a minute for all.
# Images of containers often forbid that: then each process would compile them anew, which takes it 2 to 4 seconds.
export PYTHONDONTWRITEBYTECODE :=
INSTALL = $(BIN)/pip install --no-compile --constraint requirements.lock $(PIP_ARGS) --editable
RUNTIME := .venv/.installed
DEVELOPMENT := .venv/.installed-dev
# One job at a time is all a demo has to do, so each may use two threads.
DEMO_THREADS := $(foreach rule,detect_regions pretrain_encoder build_cache train_policy \
	evaluate_policy film_policy,$(rule)=2)

.PHONY: table1 demo test pytest fuzz check docs clean

table1: $(RUNTIME)  ## Table 1 with the default configuration: results/table1.csv and .md
	$(BIN)/snakemake results/table1.csv --cores $(CORES)

demo: $(RUNTIME)  ## one game, one seed, MORE-3S alone: its scores, a rollout video and a picture of the regions
	$(BIN)/snakemake demo --cores all --set-threads $(DEMO_THREADS)

test: $(DEVELOPMENT)  ## everything that continuous integration runs
	@$(MAKE) --no-print-directory --jobs 2 check pytest

pytest: $(DEVELOPMENT)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadgroup

fuzz: $(DEVELOPMENT)  ## ten times as many bad inputs as the tests try
	OMP_NUM_THREADS=1 FUZZ=10 $(BIN)/python -m pytest -n 2 tests/fuzz

check: $(DEVELOPMENT)  ## formatting, types, workflow lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/mypy
	$(BIN)/snakemake --lint

docs: $(RUNTIME)  ## the pages as a site: site/index.html
	$(INSTALL) '.[docs]'
	$(BIN)/mkdocs build --strict

clean:  ## remove results, keep the environment
	find results -mindepth 1 ! -path results/README.md -delete

# Of another Python nothing would install, and a .venv that it has left would stay.
IS_RIGHT := -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'
WRONG = '$(PYTHON)' is not Python 3.11, 3.12 or 3.13: name one with make PYTHON=/path/to/python3.11
USELESS = .venv is of another Python: remove it with rm -r .venv and run make again
NO_VENV = '$(PYTHON)' makes no environment: install its package, such as python3.11-venv (Debian)
refuse = { echo "error: $(1)" >&2; exit 1; }

$(RUNTIME): $(PINS) | $(BIN)/python
	@$(BIN)/python $(IS_RIGHT) || $(call refuse,$(USELESS))
	$(INSTALL) .
	touch $@

$(DEVELOPMENT): $(PINS) | $(BIN)/python
	@$(BIN)/python $(IS_RIGHT) || $(call refuse,$(USELESS))
	$(INSTALL) '.[dev]'
	touch $@ $(RUNTIME)

$(BIN)/python:
	@$(PYTHON) $(IS_RIGHT) || $(call refuse,$(WRONG))
	$(PYTHON) -m venv .venv || { rm -rf .venv; $(call refuse,$(NO_VENV)); }
