# Two commands: `make run` and `make test`. Both set up .venv first, from the three locks (scripts/lock says which has
# what); nothing else is needed but Python 3.11, pip and venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
INSTALL := $(BIN)/python -m pip install --quiet

.DEFAULT_GOAL := help
.PHONY: help setup run test lint format bench bench-sweeps library lock audit clean

help:  ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY)  ## Create .venv and install what the locks pin

$(READY): requirements-build.lock requirements.lock requirements-torch.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "expkit needs Python 3.11 or newer; say which: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) --require-hashes --no-deps --requirement requirements-build.lock
	$(INSTALL) --require-hashes --no-deps --no-build-isolation --requirement requirements.lock
	$(INSTALL) --requirement requirements-torch.lock
	$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $(READY)

run: setup  ## Run the first experiment: expkit train +experiment=grokking_xor
	$(BIN)/expkit train +experiment=grokking_xor

test: setup  ## Run all tests
	scripts/install_browser
	$(BIN)/python -m pytest

lint: setup  ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup  ## Apply the style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup  ## Measure speed, as ratios within one run
	$(BIN)/python scripts/bench/run.py

bench-sweeps: setup  ## Measure sweeps against bare loops and kernels; JAX_PYTHON=... names an interpreter that has JAX
	$(BIN)/python scripts/bench/sweep_speed.py $(if $(JAX_PYTHON),--jax-python $(JAX_PYTHON))

library: setup  ## Write the table of experiments in README.md anew
	$(BIN)/python scripts/library_table

lock: setup  ## Resolve the versions in the locks anew; takes minutes
	scripts/lock $(BIN)

audit:  ## Check what the locks pin against known vulnerabilities
	scripts/audit $(PYTHON)

clean:  ## Remove .venv and caches; records in runs/ stay
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache
