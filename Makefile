# Everything runs inside .venv, made on first use; a stamp file per set of extras keeps re-runs from installing again.
# Modules are compiled to bytecode where they are first imported, in place of ten thousand at installation.
#
#   make report   install what the main job needs, run it, write one HTML page (its path is the last line printed)
#   make test     every test, on the CPU
#   make lint     ruff, and mypy on the installed package
#   make docs     the documentation as pages, in site/; nothing in it points outside
#   make tables   compute the tables of docs/ again
#   make clean    remove what the targets above made

SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
OUT := report-out
CANDIDATES := python3 python3.14 python3.13 python3.12 python3.11 python
PYTHON := $(firstword $(foreach candidate,$(CANDIDATES),$(shell \
	$(candidate) -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $(candidate))))
ROOMS := veridraft theory simulate gpu reports
SOURCES := pyproject.toml constraints.txt Makefile \
	$(shell find $(ROOMS) -name '*.py' -o -name py.typed -o -path '*/templates/*')
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet --quiet
INSTALL := $(PIP) install --constraint constraints.txt --no-build-isolation --no-compile --config-settings editable_mode=strict --editable

export PYTHONDONTWRITEBYTECODE :=

.PHONY: report test lint docs tables clean

report: $(VENV)/.with-report
	@$(BIN)/veridraft report --out $(OUT)

test: $(VENV)/.with-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist worksteal

lint: $(VENV)/.with-dev
	$(BIN)/ruff check .
	$(BIN)/mypy $(foreach room,$(filter-out veridraft,$(ROOMS)),-p veridraft.$(room)) -p veridraft

docs: $(VENV)/.with-docs
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	@echo site/index.html

tables: $(VENV)/.with-report
	@$(BIN)/python -m veridraft.reports.commands.report.doc_tables docs
	@$(BIN)/python docs/claiming.py

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks $(OUT) site docs/pictures

$(VENV)/.created: constraints.txt
	@$(if $(PYTHON),:,echo "veridraft needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python3" >&2; exit 1)
	@echo "Creating $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --constraint constraints.txt setuptools wheel
	@touch $@

$(VENV)/.with-report: $(VENV)/.created $(SOURCES)
	@echo "Installing veridraft with the extras gpu and report (PyTorch is large: some minutes the first time)"
	@$(INSTALL) '.[gpu,report]'
	@touch $@

$(VENV)/.with-docs: $(VENV)/.created $(SOURCES)
	@echo "Installing veridraft with the extra docs"
	@$(INSTALL) '.[report,docs]'
	@touch $@

$(VENV)/.with-dev: $(VENV)/.created $(SOURCES)
	@echo "Installing veridraft with the extras gpu, report, test and dev (PyTorch is large: some minutes the first time)"
	@$(INSTALL) '.[gpu,report,test,dev]'
	@touch $@
