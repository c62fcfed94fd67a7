# Every target sets up what it needs: a virtual environment with pinned packages.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: setup demo test up check format bench chaos lock

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Waybill needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

demo: setup
	$(BIN)/waybill demo

up: setup
	$(BIN)/waybill up

# Two processes, each with servers of its own: most tests wait for something.
test: setup
	$(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup
	$(BIN)/python -m bench

# Faults by a seed, which repeats them; it is printed where none is given. Exit code 1: a violation.
MINUTES ?= 5
chaos: setup
	$(BIN)/python -m tests.chaos --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

# After a change of dependencies: resolve anew, then pin what was found. No registry is named.
lock:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade --upgrade-strategy eager --editable '.[server,embedded,s3,parquet,otel,bench,dev]'
	$(BIN)/pip freeze --exclude-editable > requirements.lock
