# Everything that these commands make lies under var/, .venv*/ or the folder that you name.
VENV ?= .venv
AIRFLOW_VENV ?= .venv-airflow
PYTHON ?=
ROOT ?= var/demo
export VENV AIRFLOW_VENV PYTHON
export MPLCONFIGDIR ?= $(CURDIR)/var/cache/matplotlib
AIRFLOW_PORT ?= 8080
BIN := $(VENV)/bin
AIRFLOW_BIN := $(AIRFLOW_VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help setup ablate airflow cluster-test airflow-stop airflow-test airflow-setup demo test check format own-data own-data-inputs bench lock clean distclean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "  karma --help      the single jobs ($(BIN)/karma, once the set-up has run)"

setup: ## set up what is missing: Python environment, Java, Delta's jars (the other commands do it by themselves)
	@sh scripts/setup.sh

demo: setup ## the whole road on the sample world: three days published, joined to impressions, and shown (ROOT=var/demo)
	@$(BIN)/karma demo --root "$(ROOT)"

test: setup ## the tests, in two processes (ARGS="tests/house -x" goes to pytest)
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

check: setup ## format, lint, types, architecture: under a minute
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest tests/house

format: setup ## put the code into the project's format
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

own-data: own-data-inputs setup ## your own files, to published vectors: EVENTS=.. ITEMS=.. OUT=.. [IMAGES=..] [IMPRESSIONS=..] [TARGETS=..] [MAPPING=..] [ARGS=..]
	@$(BIN)/karma own-data --events "$(EVENTS)" --items "$(ITEMS)" --out "$(OUT)" \
	$(if $(IMAGES),--images "$(IMAGES)") $(if $(IMPRESSIONS),--impressions "$(IMPRESSIONS)") \
	$(if $(TARGETS),--targets "$(TARGETS)") $(if $(MAPPING),--mapping "$(MAPPING)") $(ARGS)

ablate: setup ## arms of the encoder compared on a finished own-data or demo: SET=folder OUT=folder [BACKBONE=folder or hub id] [ARGS=..]
	@[ -n "$(SET)" ] && [ -n "$(OUT)" ] || { echo "usage: make ablate SET=folder OUT=folder [BACKBONE=..] [ARGS=..]" >&2; exit 2; }
	@$(BIN)/karma ablate --set "$(SET)" --out "$(OUT)" $(if $(BACKBONE),--backbone "$(BACKBONE)") $(ARGS)

own-data-inputs:
	@[ -n "$(EVENTS)" ] && [ -n "$(ITEMS)" ] && [ -n "$(OUT)" ] || \
	{ echo "usage: make own-data EVENTS=file ITEMS=file OUT=folder [IMAGES=..] [IMPRESSIONS=..] [TARGETS=..] [MAPPING=..]" >&2; exit 2; }

airflow: airflow-setup ## a local Airflow with the DAGs on a sample world, on loopback (AIRFLOW_PORT=8080)
	@$(AIRFLOW_BIN)/python scripts/local_airflow.py start --port $(AIRFLOW_PORT)

airflow-stop: ## end it, and every process that it started
	@[ ! -d var/airflow/home ] || [ ! -x $(AIRFLOW_BIN)/python ] || $(AIRFLOW_BIN)/python scripts/local_airflow.py stop

# Airflow writes its home when it is imported.
airflow-test: airflow-setup ## the tests of the DAGs, then a real scheduler driven by a test: about 13 minutes on 2 cores (ARGS="-k tick")
	@AIRFLOW_HOME="$(CURDIR)/var/airflow-test/parsing" AIRFLOW__CORE__LOAD_EXAMPLES=False PYTHONPATH="$(CURDIR)" \
	$(AIRFLOW_BIN)/python -m pytest --confcutdir=tests/dags tests/dags tests/scheduler $(ARGS)

cluster-test: setup ## the daily job on a standalone master and two workers, against the same on one machine
	@$(BIN)/python -m pytest tests/cluster $(ARGS)

airflow-setup:
	@sh scripts/setup.sh airflow

bench: setup ## the benchmarks, on a finished demo (ROOT=var/demo), into benchmarks/results/
	@mkdir -p benchmarks/results
	@for file in benchmarks/[a-z]*.py; do \
	name=$$(basename "$$file" .py); echo "benchmarks/results/$$name.txt:"; \
	$(BIN)/python -m "benchmarks.$$name" --root "$(ROOT)" $(ARGS) >"benchmarks/results/$$name.txt" || exit; \
	cat "benchmarks/results/$$name.txt"; done

lock: setup ## compile requirements/*.in to locks with hashes, keeping the versions that still fit (UPGRADE=--upgrade takes new ones)
	@$(BIN)/uv pip compile $(UPGRADE) $(COMPILE) requirements/build.in -o requirements/build.lock
	@$(BIN)/uv pip compile $(UPGRADE) $(COMPILE) --constraint requirements/build.lock requirements/dev.in -o requirements/karma.lock
	@$(BIN)/uv pip compile $(UPGRADE) $(COMPILE) --override requirements/airflow.overrides requirements/airflow.in -o requirements/airflow.lock

COMPILE := --quiet --universal --python-version 3.11 --generate-hashes --custom-compile-command "make lock"

clean: airflow-stop ## remove what the commands made under var/, except what was fetched
	@[ ! -d var ] || find var -mindepth 1 -maxdepth 1 ! -name cache -exec rm -rf {} +

distclean: airflow-stop ## remove var/ and the environments
	@rm -rf var "$(VENV)" "$(AIRFLOW_VENV)"
