# Every target installs what it needs first: uv (in .venv-tools if it is not on PATH), the locked packages, the members.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MEMBERS := schemas runtime generator apps/ingest apps/detector apps/influx-sink apps/archiver apps/alerter apps/redrive dashboards compose/native compose/demo
PYTHON_SOURCES := schemas/src runtime/src generator/src $(wildcard apps/*/src) dashboards/src compose/native/src compose/demo/src
BIN := .venv/bin

ENGINE ?= docker
IMAGES ?= ingest detector influx-sink archiver alerter redrive generator
METERS ?= 10000
RATE ?=
DURATION ?=
INPUT ?=

.PHONY: help setup demo test test-fast test-containers test-cluster images lint format bench bench-quick bench-peers bench-guard bench-quality bench-scores bench-scale bench-recovery chaos backpressure fuzz soak dashboards audit lock clean

help: ## Show what can be done
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  demo takes METERS=10000 RATE=<readings/s> DURATION=<seconds> INPUT=<csv or parquet file>"

setup: .venv/ready ## Install uv, the locked packages and the members into .venv

.venv/ready: requirements.lock pyproject.toml $(MEMBERS:%=%/pyproject.toml)
	@compose/native/setup.sh $(MEMBERS)

demo: setup ## Run the whole pipeline on this machine and watch it
	@$(BIN)/gridpulse-demo --meters $(METERS) $(if $(RATE),--rate $(RATE)) $(if $(DURATION),--duration $(DURATION)) $(if $(INPUT),--input "$(INPUT)")

test: setup lint ## Everything: lint, unit, contract, integration and end to end on real servers
	@$(BIN)/gridpulse-native build
	@$(BIN)/pytest -m "not containers" $(ARGS)

test-fast: setup ## What needs no server
	@$(BIN)/pytest -m "not servers and not containers" $(ARGS)

images: ## Build the image of every program (ENGINE=docker, podman or buildah)
	@for app in $(IMAGES); do \
	  $(ENGINE) build -f compose/Dockerfile --build-arg APP=$$app --build-arg REVISION=$$(git rev-parse HEAD) \
	    -t localhost/gridpulse/$$app:$$(sed -n 's/^GRIDPULSE_VERSION=//p' compose/.env) . ; \
	done

test-containers: setup ## Build every image and run the stack of compose/ in containers (root, podman, buildah, debootstrap)
	@$(BIN)/python tests/containers/engine.py
	@$(BIN)/gridpulse-native build
	@$(BIN)/pytest -m containers tests/containers $(ARGS)

test-cluster: setup ## The chart on a real Kubernetes control plane: install, upgrade, roll back (builds it first: 15 minutes, once)
	@$(BIN)/gridpulse-native build cluster
	@$(BIN)/pytest tests/helm/cluster.py $(ARGS)

lint: setup ## ruff, mypy, the import arrows
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy $(PYTHON_SOURCES) && $(BIN)/lint-imports --no-logo

format: setup ## Let ruff lay out the code
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

bench: setup ## Throughput and latency on real Kafka, printed with the machine they were measured on
	@$(BIN)/python tests/bench/pipeline.py $(ARGS)

bench-quick: setup ## The same with less of everything
	@$(BIN)/python tests/bench/pipeline.py --ticks 400 --singles 600000 --seconds 30 $(ARGS)

bench-peers: setup ## Beside Kafka Streams, Flink and Quix Streams' windows, on the same bytes (needs a JDK)
	@$(BIN)/python tests/bench/compare.py $(ARGS)

bench-guard: setup ## Steps of the hot path against the baseline, each relative to a loop in the same run
	@$(BIN)/python tests/bench/guard.py $(ARGS)

bench-quality: setup ## What the detector finds of known faults, and how often it cries without one
	@$(BIN)/python tests/bench/quality.py $(ARGS)

bench-scores: setup ## The statistical score against detectors from the literature
	@$(BIN)/python tests/bench/scores.py $(ARGS)

bench-scale: setup ## Cost by the number of meters, one detector and two, an hour of backlog
	@$(BIN)/python tests/bench/scale.py $(ARGS)

bench-recovery: setup ## How long the detector needs to go on after kill -9, with its state and without
	@$(BIN)/python tests/bench/recovery.py $(ARGS)

chaos: setup ## Kill, pause, cut off parts of the pipeline under load, 200 kills; tells what is lost or doubled
	@$(BIN)/gridpulse-native build
	@$(BIN)/python tests/chaos/run.py $(ARGS)

backpressure: setup ## Ten minutes without InfluxDB: everything else keeps its pace, and the sink catches up
	@$(BIN)/gridpulse-native build
	@$(BIN)/python tests/chaos/backpressure.py $(ARGS)

fuzz: setup ## A million hostile messages through ingest, beside good ones
	@$(BIN)/gridpulse-native build
	@$(BIN)/python tests/chaos/fuzz.py $(ARGS)

soak: setup ## The whole pipeline for an hour: memory, lag, latency each minute; fails on growth or loss
	@$(BIN)/gridpulse-native build
	@$(BIN)/python tests/chaos/soak.py $(ARGS)

audit: setup ## A bill of materials for each image (build/sbom), and what is known to be vulnerable of all that is locked
	@mkdir -p build/sbom; for app in $(IMAGES); do $(BIN)/python compose/bill_of_materials.py $$app build/sbom/$$app.cdx.json; done
	@$(BIN)/pip-audit --strict --disable-pip --require-hashes -r requirements.lock

dashboards: setup ## Build the JSON of the Grafana dashboards anew, into dashboards/grafana
	@$(BIN)/python -m gridpulse_dashboards dashboards/grafana

lock: setup ## Resolve requirements.lock anew (hashes, no addresses)
	@uv=$$(command -v uv || echo .venv-tools/bin/uv); \
	$$uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 $(ARGS) \
	  $(MEMBERS:%=%/pyproject.toml) --group pyproject.toml:dev \
	  --no-emit-package gridpulse-schemas --no-emit-package gridpulse-runtime --no-emit-package gridpulse-native -o requirements.lock

clean: ## Remove the environment and the local stack's data (the cache of built servers stays)
	rm -rf .venv .venv-tools .gridpulse
