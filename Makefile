# Two virtual environments: .venv (Airflow 3.3) and .venv-2.11. uv is used when it is there, pip otherwise.
PYTHON ?= python3
PYTHON_2_11 ?= $(firstword $(foreach python,$(PYTHON) python3.12 python3.11,$(call suits_2_11,$(python))) $(UV:%=3.12))
suits_2_11 = $(shell $(1) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null && echo $(1))
UV := $(shell command -v uv)
BIN := .venv/bin
# A machine that stalls at the worst moment costs a test a second try, and says so; a fault that is one fails again.
TRIES := --reruns 1 --max-suite-reruns 4 --rerun-show-tracebacks
PYTEST := $(BIN)/python -m pytest -rs $(TRIES)
# For two cores: with more processes, what has to be done within a second is not.
SIDE_BY_SIDE := --numprocesses 2 --dist worksteal
BIN_2_11 := .venv-2.11/bin
SOURCES := airflow_oauth_provider demo dags_examples benchmarks tests

.DEFAULT_GOAL := help
.PHONY: help demo test lint types statements unit integration coverage system browser test-celery test-2.11 package bench clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9.-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/demo.stamp ## Run the example Dags in a real Airflow, with one token for all of them
	$(BIN)/python -m demo.run

test: lint types statements coverage system browser package test-2.11 ## Run every test, on Airflow 3.3 and 2.11

lint: .venv/dev.stamp ## Check style and the import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: .venv/dev.stamp ## Check types
	$(BIN)/mypy --strict $(SOURCES)

statements: .venv/dev.stamp ## List the statements of docs/oauth-checklist.md that no test shows
	$(BIN)/python -m tests.support.statements

unit: .venv/dev.stamp ## Run the unit tests
	$(PYTEST) $(SIDE_BY_SIDE) tests/unit

integration: .venv/dev.stamp ## Run the tests with real sockets, processes and authorization servers
	$(PYTEST) $(SIDE_BY_SIDE) tests/contract tests/integration

coverage: .venv/dev.stamp ## Run unit and integration tests and hold the coverage gate
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -rs $(TRIES) $(SIDE_BY_SIDE) tests/unit tests/contract tests/integration
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

system: .venv/dev.stamp ## Run the tests in a real Airflow
	$(PYTEST) tests/system

browser: .venv/dev.stamp ## Run the tests of the form and of the page of tokens in a real browser
	$(PYTEST) tests/browser

test-celery: .venv/dev.stamp ## Run mapped tasks on two Celery workers with Redis and PostgreSQL
	$(PYTEST) tests/celery

test-2.11: .venv-2.11/test.stamp ## Run unit tests and example Dags on Airflow 2.11
	$(BIN_2_11)/python -m pytest -rs $(TRIES) tests/unit tests/integration/test_cli.py tests/system/test_dags_test.py tests/system/test_cli.py

package: .venv/dev.stamp ## Build wheel and sdist into dist/ and test them
	rm -rf dist
	$(BIN)/python -m build --quiet
	$(PYTEST) tests/packaging

bench: .venv/dev.stamp ## Measure tokens, pages, transfers and a whole fleet beside their peers (half an hour)
	$(BIN)/python benchmarks/token.py
	$(BIN)/python benchmarks/paging.py
	$(BIN)/python benchmarks/fleet.py

clean: ## Remove what the other targets made
	rm -rf .venv .venv-2.11 .demo dist build htmlcov .coverage* .*_cache

.venv/demo.stamp: pyproject.toml constraints/airflow-3.3.txt
	$(call install,.venv,$(PYTHON),demo,airflow-3.3)

.venv/dev.stamp: pyproject.toml constraints/airflow-3.3.txt
	$(call install,.venv,$(PYTHON),dev,airflow-3.3)

.venv-2.11/test.stamp: pyproject.toml constraints/airflow-2.11.txt
	$(if $(PYTHON_2_11),,$(error Airflow 2.11 needs Python 3.11 or 3.12: make $@ PYTHON_2_11=/path/to/python3.12))
	$(call install,.venv-2.11,$(PYTHON_2_11),test,airflow-2.11)

# $(call install,environment,interpreter,extra,constraints)
define install
@echo "Installing into $(1) (extra $(3), constraints/$(4).txt)"
@test -x $(1)/bin/python || $(if $(UV),uv venv --quiet --python $(2),$(2) -m venv) $(1)
@$(if $(UV),uv pip install --compile-bytecode --python $(1)/bin/python,$(1)/bin/python -m pip install) --quiet \
	--editable '.[$(3)]' --constraint constraints/$(4).txt
@touch $@
endef
