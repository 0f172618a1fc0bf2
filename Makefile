# Everything a developer, an operator and CI run. `make help` lists it.
.DEFAULT_GOAL := help
SHELL := /bin/bash

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
AUDIT  := build/audit
DISTS  := ./shared ./imaging ./phantoms ./services/ingest_service ./services/inference_service \
          ./services/report_service ./services/dashboard_service ./training ./deploy/local
STAMP  := $(VENV)/.radrelay-installed
API_SERVICES := ingest report dashboard
SOURCES := shared/src imaging/src services/*/src deploy/local/src deploy/k8s deploy/supply phantoms/src training/src benchmarks tests

DICOM ?=
ONCE  ?=
EXAMPLES ?= 200
JOBS  ?= 2
SIZE  ?= 380
BENCH ?=
IMAGE ?=
FILES ?= 20000
SEED  ?= 1
BASE  ?=
TORCH_INDEX ?=
VERSION ?= 0.1.0

.PHONY: help setup demo demo-bundle up down test browser promtool test-api fuzz check format schemas observability bench bench-inference bench-ingest bench-dashboard bench-reports clean images images-test test-containers sbom licences audit manifests

help: ## List the commands
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  \033[1m%-15s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Make the virtual environment with everything in it

$(STAMP): constraints.txt requirements-dev.txt $(addsuffix /pyproject.toml,$(DISTS))
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Radrelay needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Name another with: make PYTHON=python3.12 ...")'
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "Python's venv module is missing; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the pinned packages (torch among them: several GB, a few minutes the first time) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'pip==26.3'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -r requirements-dev.txt $(addprefix -e ,$(DISTS:local=local[embedded]))
	@touch $@

demo: setup ## Start everything, screen synthetic head CTs and real DICOM files, show the reports (ONCE=1 ends by itself, DICOM=path takes yours)
	@$(BIN)/radrelay demo $(if $(ONCE),--once) $(if $(DICOM),--dicom "$(DICOM)")

demo-bundle: setup ## Train, calibrate and evaluate the demonstration bundle anew, and write its card (2 hours on 2 cores; resumes)
	$(BIN)/python -m radrelay_training

up: setup ## Start the embedded stack and leave it running
	@$(BIN)/radrelay up

down: setup ## Stop the embedded stack; its data stays
	@$(BIN)/radrelay down

# Each process has servers of its own; end-to-end tests come first, since they are the longest. A process that a test
# hung or crashed ends the run: a new one would begin with the same test.
test: setup browser promtool ## Run every test on the embedded stack, in as many processes as JOBS says (2)
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder --max-worker-restart 0

browser: ## Install Chromium for the tests of the frontend, on Debian as root; elsewhere they are skipped without one
	@deploy/local/install-chromium

promtool: setup ## Get promtool for the tests of the alert rules, on Debian; elsewhere they are skipped without one
	@deploy/local/install-promtool

# Testcontainers' own helper image removes what a killed run leaves; without it, whoever kills a run does.
test-containers: setup ## Run the integration tests on servers in containers (NATS_IMAGE=, MINIO_IMAGE=, POSTGRES_IMAGE= name others than those of deploy/compose)
	TESTCONTAINERS_RYUK_DISABLED=true $(BIN)/python -m pytest tests/integration --servers containers \
	  --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder --max-worker-restart 0

test-api: setup ## Try the HTTP APIs against their OpenAPI documents for longer than make test does (EXAMPLES=200 requests an operation)
	$(BIN)/python -m pytest tests/integration --api-examples $(EXAMPLES) -k test_contract -o faulthandler_timeout=0

fuzz: setup ## Send FILES=20000 mutated files (SEED=1) through intake and decoders, and say what became of them
	PYTHONPATH=tests $(BIN)/python -m fuzz --files $(FILES) --seed $(SEED)

check: setup manifests ## Lint, format, types, import rules, committed schemas, OpenAPI documents, Kubernetes manifests, licences and advisories
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(SOURCES)
	$(BIN)/lint-imports
	$(BIN)/python -m radrelay_shared.events.schemas --check shared/contracts
	@for service in $(API_SERVICES); do $(BIN)/python -m $${service}_service.document --check docs/api || exit 1; done
	$(BIN)/python -m radrelay_local.prometheus_rules --check deploy/observability
	$(BIN)/python -m deploy.supply check

images: setup ## Build the container images under Docker (IMAGE="report" names some, BASE=, TORCH_INDEX= and VERSION= see docs/containers.md)
	@BASE='$(BASE)' TORCH_INDEX='$(TORCH_INDEX)' VERSION='$(VERSION)' deploy/images/build $(IMAGE)

images-test: setup ## Start every image under Docker as it is meant to run, and run the demo's job on the containers (after make images)
	@deploy/images/require-docker
	VERSION='$(VERSION)' $(BIN)/python -m pytest tests/containers

sbom: setup ## Write a CycloneDX bill of materials for each image to build/sbom
	@$(BIN)/python -m deploy.supply sbom

licences: setup ## Write the licence of every package of every image to build/licences.md
	@$(BIN)/python -m deploy.supply licences

# In an environment of its own. Strict: without it, a package that the service does not answer for would pass.
audit: ## Ask PyPI's advisory service about every pinned package (needs the network)
	@test -x $(AUDIT)/bin/pip-audit || { $(PYTHON) -m venv $(AUDIT) && $(AUDIT)/bin/pip install --quiet --disable-pip-version-check 'pip-audit==2.10.1'; }
	@$(AUDIT)/bin/pip-audit --strict --requirement constraints.txt --no-deps --disable-pip --progress-spinner off || \
	  { echo "make audit: there are advisories, or the service could not be asked (see above); make check knows what is in deploy/supply/advisories.yaml" >&2; exit 1; }

manifests: setup ## Render every combination of the Kubernetes manifests, and check each
	$(BIN)/python -m deploy.k8s.checks

format: setup ## Format and fix what can be fixed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

schemas: setup ## Write the JSON Schemas of the events to shared/contracts and the OpenAPI documents to docs/api
	$(BIN)/python -m radrelay_shared.events.schemas --write shared/contracts
	@for service in $(API_SERVICES); do $(BIN)/python -m $${service}_service.document --write docs/api || exit 1; done

observability: setup ## Write the alert rules for Kubernetes from deploy/observability/rules
	$(BIN)/python -m radrelay_local.prometheus_rules --write deploy/observability

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
