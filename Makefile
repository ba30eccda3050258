# Voz: everything a developer does, by name. `make help` lists it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup demo up down status clean test test-unit test-contract test-integration test-e2e test-browser test-chaos test-torch \
        check lint types layers proto proto-check format bench bench-% chaos replay model model-research model-eval openapi

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do command -v $$p >/dev/null 2>&1 && \
  $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1 && { command -v $$p; break; }; done)
BIN := .venv/bin
PACKAGES := libs/contracts libs/streamkit services/ingest services/enrich services/router services/metrics-api devstack
INSTALLED := .venv/.installed
BROWSER := .venv/.browser
SPEED ?= 60
FILE ?= ../shared/data/airline/replay.jsonl

help: ## this list
	@echo "Voz. make TARGET:"; grep -hE '^[a-z-]+%?:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | \
	  awk -F'\t' '{printf "  %-18s %s\n", $$1, $$2}'
	@echo; echo "  DEMO_SECONDS=60 make demo ends by itself; FILE=… SPEED=… make replay plays a recorded stream."

setup: $(INSTALLED) ## what is missing: the virtual environment, Python packages, Java, Kafka's jars
	@$(BIN)/voz-stack setup

$(INSTALLED): constraints.txt requirements-dev.txt pyproject.toml $(PACKAGES:%=%/pyproject.toml)
	@test -n "$(PYTHON)" || { echo "Voz needs Python 3.11, 3.12 or 3.13: install one, or name it: make setup PYTHON=/path/to/python3.12"; exit 1; }
	@echo "[setup] virtual environment in .venv with $(PYTHON)"
	@test -x $(BIN)/python || "$(PYTHON)" -m venv .venv
	@echo "[setup] Python packages (about two minutes the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt hatchling editables -r requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-build-isolation $(PACKAGES:%=-e %)
	@touch $@

$(BROWSER): requirements-browser.txt constraints.txt $(INSTALLED)
	@echo "[setup] packages that drive a browser (for tests)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -r requirements-browser.txt
	@touch $@

demo: setup ## the whole pipeline with simulated customers, live in the terminal; Ctrl-C ends it
	@$(BIN)/voz-stack demo $(if $(DEMO_SECONDS),--seconds $(DEMO_SECONDS))

up: setup ## the pipeline in the background; .voz/stack.json says where
	@$(BIN)/voz-stack up

down: $(INSTALLED) ## stop it; its data stays
	@$(BIN)/voz-stack down

status: $(INSTALLED) ## who runs, where, since when, with what lag
	@$(BIN)/voz-stack status

clean: $(INSTALLED) ## stop it and erase its data
	@$(BIN)/voz-stack clean

replay: setup ## play a recorded stream into the running pipeline: FILE=… SPEED=…
	@$(BIN)/voz-stack replay --file "$(FILE)" --speed $(SPEED)

test: setup $(BROWSER) ## every test tier that CI runs
	@$(BIN)/python -m pytest tests

test-torch: .venv/.train ## the tests that need PyTorch: Hugging Face models, training
	@$(BIN)/python -m pytest tests/unit/training tests/contract/test_{hf_model,signal_model,tokens}.py \
	  tests/integration/enrich/test_model_swap.py \
	  tests/e2e/test_understanding.py::test_a_hugging_face_model_decides_in_the_shipped_one_s_place

test-%: setup $(BROWSER)
	@$(BIN)/python -m pytest tests/$*

check: $(INSTALLED) lint types layers proto-check ## format, lint, types, layers, protobuf, stale generated files

lint: $(INSTALLED) ## formatting and lint
	@$(BIN)/ruff format --check . && $(BIN)/ruff check .

format: $(INSTALLED) ## format and mend what can be mended
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

types: $(BROWSER) ## strict types
	@$(BIN)/mypy

layers: $(INSTALLED) ## who may import whom
	@$(BIN)/lint-imports

proto: $(INSTALLED) ## generated code from proto/
	@$(BIN)/buf lint && $(BIN)/python libs/contracts/generate.py

proto-check: $(INSTALLED) ## protobuf lint, breaking changes, stale generated code
	@$(BIN)/buf lint
	@$(BIN)/buf breaking --against proto/released.binpb
	@$(BIN)/python libs/contracts/generate.py --check

openapi: $(INSTALLED) ## write the services' OpenAPI documents anew
	@for s in ingest router metrics-api; do $(BIN)/voz-$$s openapi > services/$$s/openapi.json; done

chaos: setup ## the long kill and rebalance runs
	@echo "[chaos] every process of the pipeline, three times each, at random moments"
	@$(BIN)/python -m tests.chaos.pipeline_chaos --rounds 3
	@echo "[chaos] enrich workers: 40 kills, 12 joins and leaves"
	@$(BIN)/python -m tests.chaos.enrich_chaos --kills 40 --rebalances 12

bench: bench-ingest bench-model bench-enrich bench-pipeline ## all benchmarks

bench-%: setup ## one benchmark: bench-ingest, bench-model, bench-enrich, bench-pipeline
	@$(BIN)/python bench/$*.py

.venv/.train: $(INSTALLED)
	@echo "[setup] packages for training (PyTorch: some minutes the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-build-isolation -e "services/enrich[train]"
	@touch $@

model: .venv/.train ## make the model bundle again (needs ../shared; an hour on two cores)
	@$(BIN)/python models/training/train.py

model-research: .venv/.train ## the same with the sets that don't let weights ship; stays in build/
	@$(BIN)/python models/training/train.py --research

model-eval: .venv/.train ## judge the model bundle: docs/model.md, its card (RESEARCH=1: the research one, prints only)
	@$(BIN)/python models/training/evaluate.py $(if $(RESEARCH),--research)
