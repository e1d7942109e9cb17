# The commands of the ticket router. `make help` lists them.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin

.DEFAULT_GOAL := help
PEERS ?= all
.PHONY: help env demo test slow bench lint types imports check constraints service-env clean

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

env: .venv/ready ## the environment, with everything a developer needs

# torch first and by itself: asked for together with the rest, a plain torch may bring several GB of GPU packages.
# The embedded base model without its dependencies: sentence-transformers isn't needed for its files.
.venv/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; say which with: make PYTHON=python3.11 …")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet torch==2.13.0
	$(BIN)/python -m pip install --quiet --group dev --constraint constraints.txt
	$(BIN)/python -m pip install --quiet --no-deps --group embedded --constraint constraints.txt
	@touch $@

demo: env ## from made-up tickets to routed e-mails, in minutes; leaves nothing running
	@$(BIN)/python -m training.demo

test: env service-env ## the whole test suite
	$(BIN)/python -m pytest

slow: env service-env ## the slow checks: ten kills of a training, the guarantee re-split hundreds of times, a killed search
	$(BIN)/python -m pytest -m slow --timeout 3600

bench: env service-env ## our service beside its peers; BENCH="--bundle short=B1 --bundle long=B2"; writes docs/benchmarks.md
	$(BIN)/python -m tests.benchmarks.serving --peers $(PEERS) $(BENCH)

lint: env ## ruff: style and common faults
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: env ## mypy, strict
	$(BIN)/mypy

imports: env ## training → models ← service, and no torch outside training
	$(BIN)/lint-imports

check: lint types imports ## lint, types and import rules

service-env: .venv-service/ready ## what a serving image has: no torch; the tests start the service with it

.venv-service/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-service
	.venv-service/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	.venv-service/bin/python -m pip install --quiet --group service --constraint constraints.txt
	@touch $@

constraints: env ## write constraints.txt anew from what is installed
	(sed -n '/^#/p' constraints.txt; $(BIN)/python -m pip freeze --exclude torch) > constraints.new && mv constraints.new constraints.txt

clean: ## remove what the commands above made
	rm -rf .venv .venv-service .bench demo .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
