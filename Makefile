# Two commands: `make gameday` and `make test`. Each sets up what it needs.
.DELETE_ON_ERROR:
.PHONY: gameday lab test unit lint bench clean setup lock
PYTHON ?= python3
BIN := .venv/bin

gameday: setup ## run the game-day in a lab that is started for it (DRILLS="audit_backend_fail/kms" for one)
	$(BIN)/aegis gameday $(DRILLS)

lab: setup ## keep a lab up until Ctrl-C
	$(BIN)/aegis lab up

test: setup ## every test; the lab is started once
	$(BIN)/pytest

unit: setup ## the quick tests, without the lab
	$(BIN)/pytest -m "not lab and not slow"

lint: setup ## style, types, import contracts
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup ## figures, as ratios side by side
	$(BIN)/python -m benchmarks

clean: ## everything that the other targets have made
	rm -rf .venv .cache .lab reports *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

setup: .venv/ready .cache/ready

.venv/ready: requirements/lock.txt requirements/bootstrap.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; name one with: make PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv --clear .venv
	$(BIN)/pip install --quiet --require-hashes -r requirements/bootstrap.txt
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements/lock.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

.cache/ready: .venv/ready
	$(BIN)/python -m aegis_flows.lab.debian
	@mkdir -p $(@D)
	@touch $@

lock: ## resolve the dependencies anew
	$(PYTHON) -m venv .venv && $(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  --upgrade requirements/bootstrap.in -o requirements/bootstrap.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  --upgrade --extra lab --extra dev pyproject.toml -o requirements/lock.txt
