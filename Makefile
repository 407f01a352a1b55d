# make run    a node on this machine, with embedded defaults, in the foreground; CONFIG=node.toml for others
# make cluster  three of them as one cluster, to talk over and to kill one of; in cluster/
# make test   lint, types and tests
# make help   the rest

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Of tests, at the same time: they wait for disks, timers and other processes as long as they work.
JOBS ?= 3
CONFIG ?=
PACKAGES := admin client node ops replication store
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
INSTALL_FAILED = echo "Packages can't be installed in $(VENV) (above is why). They are downloaded: is there a network, or a mirror \
	that pip is told of? Then the same again; if that doesn't help, make clean first."; exit 1

.PHONY: run cluster test lint types unit long bytecode bench-quick lock clean help check-python

run: $(VENV)/.installed
	@$(BIN)/waystation run --guide $(if $(CONFIG),--config '$(CONFIG)')

cluster: $(VENV)/.installed
	@$(BIN)/waystation cluster here

test: lint types unit

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev
	$(BIN)/mypy

unit: $(VENV)/.installed-dev bytecode
	$(BIN)/pytest -n $(JOBS) --dist worksteal

long: $(VENV)/.installed-dev bytecode
	$(BIN)/pytest -n $(JOBS) --dist worksteal -m long

# Tests start hundreds of processes: each would compile all of it anew where PYTHONDONTWRITEBYTECODE is set. What can't be
# compiled is told by the test that imports it.
bytecode: $(VENV)/.installed
	@-$(BIN)/python -m compileall -qq -j 2 $(PACKAGES)

$(VENV)/.installed: requirements.lock pyproject.toml | check-python
	@echo "Making an environment in $(VENV) ..."
	@{ test -f $(VENV)/pyvenv.cfg && $(BIN)/python -m pip --version >/dev/null 2>&1; } || $(PYTHON) -m venv --clear $(VENV) || \
	  { echo "No environment can be made in $(VENV). Is there space, and may you write here? Then: make clean, and again."; \
	    exit 1; }
	@$(PIP) --require-hashes -r requirements.lock || { $(INSTALL_FAILED); }
	@$(PIP) --no-deps --no-build-isolation --editable . || { $(INSTALL_FAILED); }
	@touch $@

$(VENV)/.installed-dev: requirements-dev.lock $(VENV)/.installed
	@$(PIP) --require-hashes -r requirements-dev.lock || { $(INSTALL_FAILED); }
	@touch $@

check-python:
	@command -v $(PYTHON) >/dev/null 2>&1 || \
	  { echo "There is no $(PYTHON). Install it: apt install python3 python3-venv"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Waystation needs Python 3.11 or later; $(PYTHON) is $$($(PYTHON) -V 2>&1)."; \
	    echo "Install one, and name it: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' >/dev/null 2>&1 || \
	  { echo "$(PYTHON) can't make environments. Install that part: apt install python3-venv"; exit 1; }

# Versions and hashes of everything that is installed. Look at the difference before you commit it.
lock: $(VENV)/.installed
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml \
	  --group build -o requirements.lock
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml \
	  --group dev -c requirements.lock -o requirements-dev.lock

bench-quick: $(VENV)/.installed
	$(BIN)/waystation bench messages --seconds 5

clean:
	find $(PACKAGES) tests -name __pycache__ -prune -exec rm -rf {} +
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile
	@echo "make lint   ruff alone"
	@echo "make types  mypy --strict alone"
	@echo "make unit   the tests alone; JOBS=1 for one process"
	@echo "make long   more of real processes than make test has time for"
	@echo "make lock   resolve the dependencies anew"
