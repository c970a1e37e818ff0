# Needs Python 3.11 or newer and make, nothing else: Kafka, Java and Postgres come as Python packages.
# pip reads your own configuration, so a mirror or a proxy set there is respected.

PYTHON ?= python3
ARGS ?=
# Processes that share the tests; they share one Kafka and one Postgres too.
TEST_WORKERS ?= 3

BIN := .venv/bin
# The stamp is the last thing that setup writes: an interrupted setup starts again.
READY := .venv/.ready
PACKAGES := $(addprefix customer_timeline.,schemas projections producers streams api runtime) docs benchmarks
UV_COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml

.DEFAULT_GOAL := help
.PHONY: help setup demo dev check test verify soak bench docs lock

help:  ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY)  ## create .venv from the locked packages (once; the others do it too)

$(READY): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11")'
	@test -x $(BIN)/python || { echo "setup: creating .venv"; $(PYTHON) -m venv .venv; }
	@echo "setup: installing the locked packages (a minute or two the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(READY)  ## start everything, publish a demonstration and show customers worth a look (ARGS="--once")
	@$(BIN)/customer-timeline demo $(ARGS)

dev: $(READY)  ## start Kafka, Postgres, worker and API, empty (ARGS="--data DIR --workers 2")
	@$(BIN)/customer-timeline dev $(ARGS)

check: $(READY)  ## lint, format, types, layers, generated files are current
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check . || { $(BIN)/ruff format --check . ; exit 1; }
	@echo "check: lint and format ok"
	@$(BIN)/mypy --no-error-summary $(addprefix -p ,$(PACKAGES))
	@$(BIN)/mypy --no-error-summary tests examples
	@echo "check: types ok"
	@PYTHONPATH=.typing $(BIN)/lint-imports --no-logo > .venv/layers.log || { cat .venv/layers.log; exit 1; }
	@echo "check: layers ok"
	@$(BIN)/python -m docs.generate --check

test: $(READY)  ## the suite against real Kafka and Postgres (ARGS="-k name")
	@$(BIN)/pytest -q -n $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

verify: $(READY)  ## the long proofs: 200 racing runs, 20 ways of 20,000 events, new examples for every property
	@$(BIN)/pytest -q -n $(TEST_WORKERS) --dist worksteal -m "verify or (hypothesis and not soak)" --hypothesis-profile=explore $(ARGS)

soak: $(READY)  ## the very long proofs: every crash 50 times, 200 ways of 20,000 events, 2,000 histories
	@$(BIN)/pytest -q -n $(TEST_WORKERS) --dist worksteal -m soak $(ARGS)

bench: $(READY)  ## the benchmark (ARGS="--quick")
	@$(BIN)/python -m benchmarks.run $(ARGS)

docs: $(READY)  ## write the generated reference pages and schemas again
	@$(BIN)/python -m docs.generate

lock: $(READY)  ## resolve the dependencies again; commit what changes
	@$(UV_COMPILE) --upgrade --extra worker --extra api --extra embedded -o requirements.lock
	@$(UV_COMPILE) --upgrade --constraint requirements.lock --all-extras -o requirements-dev.lock
