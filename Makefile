# Two commands for people: `make run` settles a month, `make test` proves the project.
# Both need only python3 (3.11 to 3.13), pip and make; uv is fetched into .tools/ where it is missing.

UV := $(shell command -v uv 2>/dev/null || echo .tools/bin/uv)
IN_VENV := $(UV) run --no-sync

.PHONY: help run test conformance evaluate year bench bench-calls lint setup validators ui

help:
	@echo "make run    set up, then settle what lies in data/landing (an empty one gets the demo month)"
	@echo "make test   set up, then lint and test"
	@echo "make conformance [CASES=file]   public numeric cases through the models"
	@echo "make evaluate [EVALUATE=options] carriers with known mistakes, alone and in pairs: are cause and amount found?"
	@echo "make year [YEAR=options]         a year that arrives in many orders: does it settle to the same?"
	@echo "make bench [BENCH=options]       rating and settling beside a copy, Polars and Python; --help lists the options"
	@echo "make bench-calls [BENCH=options] calls matched with carriers' records: precision, recall, and the time beside a join"
	@echo "make ui     open the graph of the pipeline in a browser (Dagster)"

run: setup
	@$(IN_VENV) tollgate run

ui: setup
	@$(IN_VENV) tollgate ui

test: setup validators lint
	@$(IN_VENV) pytest --numprocesses auto --dist loadfile

conformance: setup
	@PYTHONPATH=tests $(IN_VENV) python -m conformance.harness $(CASES)

evaluate: setup
	@$(IN_VENV) python -m simulation.evaluate $(EVALUATE)

year: setup
	@$(IN_VENV) python -m simulation.year $(YEAR)

bench: setup
	@$(IN_VENV) python benchmarks/rating.py $(BENCH)

bench-calls: setup
	@$(IN_VENV) python benchmarks/calls.py $(BENCH)

lint: setup
	@$(IN_VENV) ruff check .
	@$(IN_VENV) sqlfluff lint --disable-progress-bar --processes 0 models tests

setup: $(if $(findstring .tools,$(UV)),.tools/bin/uv)
	@test -d .venv || echo "installing into .venv (about 800 MB, once)"
	@$(UV) sync --locked --inexact --quiet

# What only the tests of invoices need: 600 MB more.
validators: setup
	@$(UV) sync --locked --group validators --quiet

.tools/bin/uv:
	@python3 -m venv .tools && .tools/bin/pip --quiet --disable-pip-version-check install uv==0.13.9
