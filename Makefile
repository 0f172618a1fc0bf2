# Everything a developer, an operator and CI run. `make help` lists it.
.DEFAULT_GOAL := help
SHELL := /bin/bash

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
DISTS  := ./shared ./imaging ./phantoms ./services/ingest_service ./services/inference_service \
          ./services/report_service ./services/dashboard_service ./training ./deploy/local
STAMP  := $(VENV)/.radrelay-installed
API_SERVICES := ingest report dashboard
SOURCES := shared/src imaging/src services/*/src deploy/local/src deploy/k8s phantoms/src training/src benchmarks tests

DICOM ?=
ONCE  ?=
EXAMPLES ?= 200
JOBS  ?= 2
SIZE  ?= 380
BENCH ?=
FILES ?= 20000
SEED  ?= 1

.PHONY: help setup demo demo-bundle up down test browser test-api fuzz check manifests format schemas bench bench-inference bench-ingest bench-dashboard bench-reports clean

help: ## List the commands
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  \033[1m%-15s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Make the virtual environment with everything in it

$(STAMP): constraints.txt requirements-dev.txt $(addsuffix /pyproject.toml,$(DISTS))
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Radrelay needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Name another with: make PYTHON=python3.12 ...")'
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "Python's venv module is missing; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the pinned packages (torch among them: several GB, a few minutes the first time) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'pip==26.3'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -r requirements-dev.txt $(addprefix -e ,$(DISTS))
	@touch $@

demo: setup ## Start everything, screen synthetic head CTs and real DICOM files, show the reports (ONCE=1 ends by itself, DICOM=path takes yours)
	@$(BIN)/radrelay demo $(if $(ONCE),--once) $(if $(DICOM),--dicom "$(DICOM)")

demo-bundle: setup ## Train, calibrate and evaluate the demonstration bundle anew, and write its card (2 hours on 2 cores; resumes)
	$(BIN)/python -m radrelay_training

up: setup ## Start the embedded stack and leave it running
	@$(BIN)/radrelay up

down: setup ## Stop the embedded stack; its data stays
	@$(BIN)/radrelay down

# Each process has servers of its own; end-to-end tests come first, since they are the longest.
test: setup browser ## Run every test on the embedded stack, in as many processes as JOBS says (2)
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder

browser: ## Install Chromium for the tests of the frontend, on Debian as root; elsewhere they are skipped without one
	@deploy/local/install-chromium

test-api: setup ## Try the HTTP APIs against their OpenAPI documents for longer than make test does (EXAMPLES=200 requests an operation)
	$(BIN)/python -m pytest tests/integration --api-examples $(EXAMPLES) -k test_contract

fuzz: setup ## Send FILES=20000 mutated files (SEED=1) through intake and decoders, and say what became of them
	PYTHONPATH=tests $(BIN)/python -m fuzz --files $(FILES) --seed $(SEED)

check: setup manifests ## Lint, format, types, import rules, committed schemas, OpenAPI documents and Kubernetes manifests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(SOURCES)
	$(BIN)/lint-imports
	$(BIN)/python -m radrelay_shared.events.schemas --check shared/contracts
	@for service in $(API_SERVICES); do $(BIN)/python -m $${service}_service.document --check docs/api || exit 1; done

manifests: setup ## Render every combination of the Kubernetes manifests, and check each
	$(BIN)/python -m deploy.k8s.checks

format: setup ## Format and fix what can be fixed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

schemas: setup ## Write the JSON Schemas of the events to shared/contracts and the OpenAPI documents to docs/api
	$(BIN)/python -m radrelay_shared.events.schemas --write shared/contracts
	@for service in $(API_SERVICES); do $(BIN)/python -m $${service}_service.document --write docs/api || exit 1; done

bench: bench-inference bench-ingest bench-dashboard bench-reports ## Run every benchmark

bench-inference: setup ## Measure the inference worker and write benchmarks/RESULTS.md (SIZE=192 sets the input size, BENCH="--sweep" adds options)
	$(BIN)/python -m benchmarks.inference --size $(SIZE) $(BENCH)

bench-ingest: setup ## Measure the ingest service and write benchmarks/RESULTS.md
	$(BIN)/python -m benchmarks.ingest

bench-dashboard: setup ## Measure the dashboard service and write benchmarks/RESULTS.md
	$(BIN)/python -m benchmarks.dashboard

bench-reports: setup ## Measure the report service with 5,000,000 reports and write benchmarks/RESULTS.md (17 GB of disk while it lasts)
	$(BIN)/python -m benchmarks.reports

clean: ## Remove what was built, the environment and the stack's data
	rm -rf build $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
