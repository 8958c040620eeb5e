# Everything needs Python 3.11 (or newer) and make alone: the other tools come with the packages of constraints.txt.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= $(firstword $(foreach name,python3.11 python3 python3.12 python3.13 python3.14,$(if $(shell \
	$(name) -c 'import sys; print(sys.version_info >= (3, 11) or "")' 2>/dev/null),$(name))))
VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
READY := $(VENV)/.ready
APP ?= examples.quickstart:app

.PHONY: help setup demo serve test bench soak check check-breaking format generate docs constraints clean

help: ## Show this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

setup: $(READY) ## Create .venv with everything in it; does nothing when it is up to date

$(READY): constraints.txt pyproject.toml client/pyproject.toml
	@test -n "$(PYTHON)" || \
		{ echo "musterd needs Python 3.11 or newer: make setup PYTHON=/path/to/python3.11" >&2; exit 1; }
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --requirement constraints.txt
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable client --editable .
	@touch $@

demo: $(READY) ## See it work: a server, an agent and a client, without any key
	$(BIN)/musterd demo

serve: $(READY) ## Serve an app; APP=module:name names yours
	$(BIN)/musterd serve $(APP)

test: $(READY) ## Run all tests; ARGS="-k cancel" picks some
	@$(PY) -m pytest $(ARGS)

bench: $(READY) ## Measure, and write build/bench.json
	@mkdir -p build
	$(PY) -m tests.bench $(ARGS)

soak: $(READY) ## Make 20,000 runs on three replicas that are killed; ARGS="--runs 2000" for fewer
	$(PY) -m tests.soak $(ARGS)

check: $(READY) ## Format, lint, types, import rules, contract, generated code, docs, tests of features
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/buf lint
	$(BIN)/buf format --diff --exit-code
	@$(MAKE) --no-print-directory check-breaking
	$(PY) scripts/generate.py --check
	$(PY) scripts/docs.py --check
	$(PY) scripts/features.py

check-breaking: $(READY)
	@tag=$$(git tag --list 'v*' --sort=-version:refname | grep -E -m 1 '^v[0-9]+\.[0-9]+\.[0-9]+$$' || true); \
	if [ -z "$$tag" ]; then echo "buf breaking: there is no release tag to compare with"; exit; fi; \
	echo "buf breaking: against $$tag"; \
	rm -rf build/released && mkdir -p build/released; \
	git archive "$$tag" buf.yaml protos | tar --extract --directory build/released; \
	$(BIN)/buf breaking --against build/released

format: $(READY) ## Format the code and the protos, and fix what ruff can fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/buf format --write

generate: $(READY) ## Write the generated code from the protos
	$(PY) scripts/generate.py

docs: $(READY) ## Write what the docs take from the code
	$(PY) scripts/docs.py

# What the two packages, their development and their build need, apart from themselves.
define REQUIREMENTS
import tomllib
from pathlib import Path
for path in ("pyproject.toml", "client/pyproject.toml"):
    project = tomllib.loads(Path(path).read_text())
    needs = project["project"]["dependencies"] + project["build-system"]["requires"]
    needs += project.get("dependency-groups", {}).get("dev", [])
    print(*(need for need in needs if not need.startswith("musterd")), sep="\n")
endef
export REQUIREMENTS

constraints: ## Pin anew what the pyproject files ask for; ARGS=--upgrade also takes newer versions
	@mkdir -p build
	test -x build/pin/bin/uv || { $(PYTHON) -m venv build/pin; build/pin/bin/pip install --quiet uv; }
	$(PYTHON) -c "$$REQUIREMENTS" > build/requirements.in
	build/pin/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-strip-extras \
		--no-header --no-annotate --output-file constraints.txt $(ARGS) build/requirements.in

clean: ## Remove all that the other targets made
	rm -rf $(VENV) build dist client/dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find server client tests scripts -name __pycache__ -prune -exec rm -rf {} +
