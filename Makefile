# `make` lists the targets. Needs GNU make and Python 3.11 or newer with venv; everything else is
# installed into .venv from the lock files. Options for the program or for pytest go into ARGS:
#   make run ARGS="--config canary.toml"       make test ARGS="-k guard"

SHELL := /bin/sh
PYTHON ?= python3
ARGS ?=

VENV := .venv
VENV_SQLALCHEMY20 := .venv-sqlalchemy20
VENV_LOCK := .venv-lock
VENV_BENCH := .venv-bench

# Of two -q, the first hides what pip does and the second its warnings; errors are still shown.
INSTALL := -m pip install -qq
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# Empty files in an environment that say what was installed there; older than its prerequisites
# means: install again. Nothing here calls Python, so an environment in order costs nothing.
RUNTIME := $(VENV)/.runtime-installed
PACKAGE := $(VENV)/.package-installed
DEV := $(VENV)/.dev-installed
SQLALCHEMY20 := $(VENV_SQLALCHEMY20)/.installed
BENCH := $(VENV_BENCH)/.installed
UV := $(VENV_LOCK)/bin/uv

MAKEFLAGS += --no-builtin-rules --no-print-directory
.SUFFIXES:
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help setup setup-dev run test lint format acceptance bench test-matrix dashboards chart lock clean

help: ## List the targets
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-20s %s\n", $$1, $$2 }'

setup: $(PACKAGE) ## Install the program and all it needs into .venv
	@echo "Installed. Start it with: make run"

run: $(PACKAGE) ## Run the daemon, installing it first if needed
	@exec $(VENV)/bin/ingest-canary run $(ARGS)

setup-dev: $(PACKAGE) $(DEV) ## Also install what tests and checks need
	@:

test: lint ## Lint, then run all tests but the slow ones
	@$(VENV)/bin/python -m pytest -n 2 --dist loadfile -m "not slow" tests/unit tests/contract tests/integration tests/acceptance $(ARGS)

lint: setup-dev ## Check style, types and the layers of the design
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports --no-logo

format: setup-dev ## Mend what ruff can mend
	@$(VENV)/bin/ruff check --fix .
	@$(VENV)/bin/ruff format .

acceptance: setup-dev ## Run the slow acceptance tests and print what they measure, and fuzz for longer
	@INGEST_CANARY_TEST_FUZZ=20 $(VENV)/bin/python -m pytest -q tests/unit/test_*_fuzz.py $(ARGS)
	@$(VENV)/bin/python -m pytest -m slow -s tests/acceptance tests/integration $(ARGS)

bench: setup-dev $(BENCH) ## Run the benchmarks of the program itself, and of its detector beside others
	@$(VENV)/bin/python -m tests.benchmarks $(ARGS)
	@$(if $(ARGS),:,$(VENV_BENCH)/bin/python -m tests.benchmarks.detection)

test-matrix: setup-dev $(SQLALCHEMY20) ## Integration tests: PostgreSQL 18 and 15, SQLAlchemy 2.1 and 2.0
	@failed=''; \
	for venv in $(VENV) $(VENV_SQLALCHEMY20); do \
	  sqlalchemy=$$($$venv/bin/python -c 'import sqlalchemy; print(sqlalchemy.__version__)') || exit 1; \
	  for server in 18 15; do \
	    echo "=== PostgreSQL $$server, SQLAlchemy $$sqlalchemy"; \
	    INGEST_CANARY_TEST_PG=$$server $$venv/bin/python -m pytest tests/integration $(ARGS) \
	      || failed="$$failed [PostgreSQL $$server, SQLAlchemy $$sqlalchemy]"; \
	  done; \
	done; \
	if [ -n "$$failed" ]; then echo "Failed on:$$failed" >&2; exit 1; fi

chart: setup-dev ## Bring rules, dashboards and the settings' schema into the Helm chart
	@$(VENV)/bin/python -m helm.make_chart

dashboards: $(VENV)/bin/python ## Write grafana/dashboards anew from grafana/generator
	@$(VENV)/bin/python -m grafana.generator

LOCK = $(UV) pip compile --no-config --python $(VENV_LOCK)/bin/python --quiet \
  --universal --python-version 3.11 --generate-hashes --custom-compile-command 'make lock' \
  --extra embedded --group build

lock: $(UV) ## Resolve both lock files anew; ARGS=--upgrade moves to the newest versions
	@$(LOCK) $(ARGS) pyproject.toml --output-file requirements.lock
	@$(LOCK) $(ARGS) pyproject.toml --group dev --constraint requirements.lock --output-file requirements-dev.lock
	@$(UV) pip compile --no-config --python $(VENV_LOCK)/bin/python --quiet --universal --python-version 3.11 \
	  --generate-hashes --custom-compile-command 'make lock' $(ARGS) --group bench --output-file requirements-bench.lock

clean: ## Remove the environments, caches and build results
	rm -rf $(VENV) $(VENV_SQLALCHEMY20) $(VENV_LOCK) $(VENV_BENCH) build dist
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find monitor tests -name __pycache__ -type d -prune -exec rm -rf {} +

# The interpreter is a symbolic link: it counts as missing when the Python behind it was removed.
$(VENV)/bin/python $(VENV_SQLALCHEMY20)/bin/python $(VENV_LOCK)/bin/python $(VENV_BENCH)/bin/python:
	@command -v $(firstword $(PYTHON)) >/dev/null || { \
	  echo "ingest-canary needs Python 3.11 or newer, and there is no $(PYTHON). Install it, or name another: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "ingest-canary needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) -V 2>&1). Name another: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) cannot make virtual environments: its module venv or ensurepip is missing. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(@:/bin/python=)

$(RUNTIME): requirements.lock $(VENV)/bin/python
	@echo "Installing what requirements.lock names into $(VENV) ..." >&2
	@$(VENV)/bin/python $(INSTALL) --require-hashes -r requirements.lock
	@touch $@

$(DEV): requirements-dev.lock $(RUNTIME)
	@echo "Installing what requirements-dev.lock names into $(VENV) ..." >&2
	@$(VENV)/bin/python $(INSTALL) --require-hashes -r requirements-dev.lock
	@touch $@

$(PACKAGE): pyproject.toml monitor/__init__.py $(RUNTIME)
	@$(VENV)/bin/python $(INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

$(SQLALCHEMY20): requirements-dev.lock pyproject.toml monitor/__init__.py $(VENV_SQLALCHEMY20)/bin/python
	@echo "Installing requirements-dev.lock with SQLAlchemy 2.0 into $(VENV_SQLALCHEMY20) ..." >&2
	@$(VENV_SQLALCHEMY20)/bin/python $(INSTALL) --require-hashes -r requirements-dev.lock
	@$(VENV_SQLALCHEMY20)/bin/python $(INSTALL) --upgrade 'sqlalchemy[asyncio]~=2.0.45'
	@$(VENV_SQLALCHEMY20)/bin/python $(INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

$(BENCH): requirements-bench.lock $(VENV_BENCH)/bin/python
	@echo "Installing what requirements-bench.lock names into $(VENV_BENCH) ..." >&2
	@$(VENV_BENCH)/bin/python $(INSTALL) --require-hashes -r requirements-bench.lock
	@touch $@

$(UV): $(VENV_LOCK)/bin/python
	@$(VENV_LOCK)/bin/python $(INSTALL) uv
	@touch $@
