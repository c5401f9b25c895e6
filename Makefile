# Caviar.  `make` lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
.DEFAULT_GOAL := help
.PHONY: help setup run test test-slow soak integration parity check lock bench docs gpu-report clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: $(VENV)/.run ## make .venv and install what a run needs

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) -e .
	@touch $@

$(VENV)/.test: $(VENV)/.run
	$(PIP) -e '.[test]'
	@touch $@

$(VENV)/.dev: $(VENV)/.test
	$(PIP) -e '.[dev]'
	@touch $@

$(VENV)/.integration: $(VENV)/.test
	$(PIP) -e '.[integration]'
	# without what it names: an old cloudpickle, which MLflow's would have to give way to, and AWS's client
	$(PIP) --no-deps hydra-ray-launcher
	@touch $@

$(VENV)/.peers: $(VENV)/.test
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[peers]'
	@touch $@

run: setup ## train the default experiment on real data and print the result
	$(BIN)/python -m pipeline

test: $(VENV)/.test ## the test suite (long tests left out)
	$(BIN)/python -m pytest -n auto --dist worksteal

test-slow: $(VENV)/.test ## the long tests
	$(BIN)/python -m pytest -m slow

soak: $(VENV)/.test ## hours of random cases
	$(BIN)/python -m pytest -m soak

integration: $(VENV)/.integration ## the tests beside real parts of others: Ray, submitit, a browser, NVRTC (installs them)
	$(BIN)/python -m pytest -m "integration and not slow"

parity: $(VENV)/.peers ## train beside PyTorch (installs it): the same weights after ten steps
	$(BIN)/python -m pytest -m parity

check: $(VENV)/.dev ## formatter, linter, types, an audit of what is installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python .ci/audit.py

lock: $(VENV)/.dev ## write requirements.lock anew: every pin with its hashes
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url \
		--no-emit-find-links --extra dev --extra search --extra joblib --extra slurm --extra export --extra report -c constraints.txt pyproject.toml \
		--output-file requirements.lock

docs: $(VENV)/.integration ## build the documentation into site/ (installs mkdocs-material); no network is asked
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict --site-dir site

bench: $(VENV)/.peers ## compare with PyTorch, JAX, ONNX Runtime and OpenVINO (installs them), write benchmarks/RESULTS.md
	$(BIN)/python -m benchmarks

gpu-report: $(VENV)/.test ## on a machine with a GPU and '.[cuda13]': bits, replays, speed; writes benchmarks/gpu/DATE.json
	$(BIN)/python -m benchmarks.gpu_report

clean: ## remove the environment and caches; runs and mlflow.db stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
