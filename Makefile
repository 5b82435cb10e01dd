# The lab's commands. `make demo` and `make test` set up all they need in .venv.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Without a terminal nobody can approve, so the demo runs with --approve.
ARGS ?= $(shell test -t 0 || echo --approve)
# Test files run in parallel, the long ones first; each worker has its own local clouds.
WORKERS ?= 2
PARALLEL = --numprocesses $(WORKERS) --dist loadfile
# The local cloud's clock: AWS seconds per wall-clock second.
SPEED ?= 60
# A game day: the number of its faults, and what decides them.
FAULTS ?= 1000
SEED ?= 1
# Compiled into the environment: installed again when it changes.
TREE_WALK = $(wildcard model/tree_walk/*)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo test test-slow test-page page-pictures page-types test-provider test-engine test-peers test-clients test-notebooks nightly gameday mutants record compare recordings check lint lint-workflows scan types unit e2e bench up down start lock docs site settings schemas notebooks lab clear policy-pack dist wheels clean

help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

$(VENV)/.done: requirements.lock pyproject.toml $(TREE_WALK)
	@$(PYTHON) -m install.install $(VENV) requirements.lock
	@touch $@

# What the lab runs with, without the tools of its development; the whole lock has it, too.
$(VENV)/.lab: requirements-demo.lock pyproject.toml $(TREE_WALK)
	@$(PYTHON) -m install.install $(VENV) requirements-demo.lock
	@touch $@

LAB = $(if $(wildcard $(VENV)/.done),$(VENV)/.done,$(VENV)/.lab)

demo: $(LAB) ## Run the whole lab on the local cloud (asks for the approval in a terminal)
	@$(BIN)/localcloud demo $(ARGS)

test: $(VENV)/.done ## Run the tests: unit, API and the whole lab
	@$(BIN)/python -m pytest $(PARALLEL) -m "not slow" tests/e2e tests/api tests/unit

test-slow: $(VENV)/.done ## Run what `make test` leaves out: labs of their own for one behaviour (about twelve minutes)
	@$(BIN)/python -m pytest $(PARALLEL) -m slow tests/e2e tests/api tests/unit

test-provider: $(VENV)/.done ## Deploy with the real AWS provider (needs terraform and TF_PLUGIN_MIRROR)
	@$(BIN)/python -m pytest tests/provider

test-engine: $(VENV)/.done ## Deploy by Pulumi's own engine (needs `pulumi` on the PATH)
	@$(BIN)/python -m pytest tests/engine

test-peers: $(VENV)/.done tests/peers/.venv/.done ## Compare the monitor's statistics with Evidently's
	@$(BIN)/python -m pytest tests/peers

tests/peers/.venv/.done: tests/peers/requirements.in
	$(PYTHON) -m venv tests/peers/.venv
	tests/peers/.venv/bin/python -m pip install --quiet --requirement tests/peers/requirements.in
	@touch $@

# The environments of the clients that `make test-clients` runs; each has its own pins.
CLIENTS = tests/clients/.venv/command-line tests/clients/.venv/sagemaker-2 tests/clients/.venv/sagemaker-3 tests/clients/.venv/dataframes
NODE_MODULES = tests/clients/javascript/node_modules

test-clients: $(VENV)/.done $(CLIENTS:=/.done) $(NODE_MODULES)/.done ## Run the clients of other makers: CLI, SDKs, data frames
	@$(BIN)/python -m pytest tests/clients

tests/clients/.venv/%/.done: tests/clients/environments/%.in
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --requirement $<
	@touch $@

$(NODE_MODULES)/.done: tests/clients/javascript/package-lock.json
	@mkdir -p $(NODE_MODULES)
	@if command -v npm > /dev/null; then npm ci --silent --ignore-scripts --no-audit --no-fund --prefix tests/clients/javascript && touch $@; \
	else echo "npm is not there: the tests of the SDK for JavaScript will be skipped"; fi

PAGE = tests/page

test-page: $(VENV)/.done $(PAGE)/.venv/.done $(PAGE)/node_modules/.done ## Test the page in Chromium (needs chromium and chromedriver)
	@$(PAGE)/.venv/bin/python -m pytest $(PAGE)

page-pictures: $(VENV)/.done $(PAGE)/.venv/.done ## Make pictures of the page at three widths in both schemes, in build/page
	@$(PAGE)/.venv/bin/python -m tests.page.pictures $(URL)

page-types: $(PAGE)/node_modules/.done ## Check the types of the page's modules by tsc (needs npm)
	@if test -x $(PAGE)/node_modules/.bin/tsc; then $(PAGE)/node_modules/.bin/tsc -p $(PAGE); else echo "npm is not there: skipped"; fi

# The environment of the browser's driver sees the packages of the other one.
$(PAGE)/.venv/.done: $(PAGE)/requirements.in
	$(PYTHON) -m venv $(PAGE)/.venv
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
		> $$($(PAGE)/.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/project.pth
	$(PAGE)/.venv/bin/python -m pip install --quiet --requirement $(PAGE)/requirements.in
	@touch $@

$(PAGE)/node_modules/.done: $(PAGE)/package-lock.json
	@mkdir -p $(PAGE)/node_modules
	@if command -v npm > /dev/null; then npm ci --silent --ignore-scripts --no-audit --no-fund --prefix $(PAGE) && touch $@; \
	else echo "npm is not there: types and accessibility of the page are not checked"; fi

test-notebooks: $(VENV)/.done notebooks/.venv/.done ## Run every notebook, and fail if a cell raises
	@$(BIN)/python -m pytest tests/course

notebooks: $(VENV)/.done notebooks/.venv/.done ## Run the course and write build/notebooks/*.html
	@notebooks/.venv/bin/python notebooks/pages.py

lab: $(VENV)/.done notebooks/.venv/.done ## Open the course in JupyterLab, on 127.0.0.1
	@cd notebooks && .venv/bin/jupyter lab --ip 127.0.0.1

clear: ## Clear the outputs of the notebooks
	@$(PYTHON) notebooks/clear.py

notebooks/.venv/.done: notebooks/requirements.in
	$(PYTHON) -m venv notebooks/.venv
	notebooks/.venv/bin/python -m pip install --quiet --requirement notebooks/requirements.in
	@touch $@

# Test by test, and not file by file: the requests at random are in one file.
nightly: $(VENV)/.done ## Run every property and the fuzzing with 500 examples (about 40 minutes)
	@HYPOTHESIS_PROFILE=nightly $(BIN)/python -m pytest -m "hypothesis or fuzz" --override-ini timeout=3600 \
		--numprocesses $(WORKERS) --dist worksteal tests/api tests/unit

gameday: $(VENV)/.done ## Inject FAULTS (default: 1,000) faults into the running lab (about an hour)
	@$(BIN)/localcloud gameday --count $(FAULTS) --duration 10m --out build/gameday-$(shell date +%s) --seed $(SEED)

mutants: $(VENV)/.done tests/mutants/.venv/.done ## Print mutation scores (MODULE=path [TESTS=paths] for one module)
	@$(BIN)/python tests/mutants/run.py $(MODULE) $(if $(TESTS),--tests $(TESTS))

# mutmut runs the tests in its own process, so its environment sees the packages of the other one.
tests/mutants/.venv/.done: tests/mutants/requirements.in
	$(PYTHON) -m venv tests/mutants/.venv
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
		> $$(tests/mutants/.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/project.pth
	tests/mutants/.venv/bin/python -m pip install --quiet --requirement tests/mutants/requirements.in
	@touch $@

# Without ACCOUNT it calls nothing, and shows the calls and their price.
record: $(VENV)/.done ## Record AWS's answers (ACCOUNT=… PROFILE=… BY='…' [TIER=…] [YES=1]); without ACCOUNT, the plan
	@$(BIN)/python -m tests.recorder record $(if $(ACCOUNT),--account $(ACCOUNT)) \
		$(if $(PROFILE),--profile "$(PROFILE)",$(if $(ACCOUNT),--environment)) $(if $(BY),--by "$(BY)") \
		$(if $(TIER),--tier $(TIER)) $(if $(IMAGE),--image $(IMAGE)) $(if $(ROLE),--role $(ROLE)) $(if $(ONLY),--only "$(ONLY)") $(if $(YES),--yes)

compare: $(VENV)/.done ## Replay the recordings of AWS on a local cloud and print the differences
	@$(BIN)/python -m tests.recorder compare

recordings: $(VENV)/.done ## Write what the recordings show into docs/semantics.md
	@$(BIN)/python -m tests.recorder page

unit: $(VENV)/.done ## Run the unit tests only
	@$(BIN)/python -m pytest tests/unit $(PARALLEL)

check: lint types unit ## Run lint, types and unit tests, as before each commit

lint: $(VENV)/.done ## Lint and check the formatting
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(VENV)/.done ## Check types (the first run takes about two minutes)
	@$(BIN)/mypy

lint-workflows: tests/workflows/.venv/.done ## Check the workflows by zizmor, and by actionlint if it is on the PATH
	@tests/workflows/.venv/bin/zizmor --offline --quiet --no-progress .github
	@if command -v actionlint > /dev/null; then actionlint; else echo "actionlint is not on the PATH: skipped"; fi

scan: $(VENV)/.done tests/scanners/.venv/.done lint-workflows ## Scan what the program deploys by checkov and parliament, and the workflows
	@$(BIN)/python -m pytest tests/scanners

tests/scanners/.venv/.done: tests/scanners/requirements.in
	$(PYTHON) -m venv tests/scanners/.venv
	tests/scanners/.venv/bin/python -m pip install --quiet --requirement tests/scanners/requirements.in
	@touch $@

tests/workflows/.venv/.done: tests/workflows/requirements.in
	$(PYTHON) -m venv tests/workflows/.venv
	tests/workflows/.venv/bin/python -m pip install --quiet --requirement tests/workflows/requirements.in
	@touch $@

policy-pack: policy/.venv/.done ## Set up the policy pack's own environment (its tests then run too)

policy/.venv/.done: policy/requirements.txt
	$(PYTHON) -m venv policy/.venv
	policy/.venv/bin/python -m pip install --quiet --requirement policy/requirements.txt
	@touch $@

start: $(LAB) ## Run the local cloud in this terminal
	@$(BIN)/localcloud start --speed $(SPEED)

up: $(LAB) ## Deploy both stacks to the running local cloud
	@$(BIN)/localcloud up prd
	@$(BIN)/localcloud up dev

down: $(LAB) ## Take the lab down: the endpoints, then both stacks, including protected resources
	@$(BIN)/localcloud teardown --yes

docs: $(VENV)/.done ## Regenerate docs/operations.md and docs/cli.md from the code
	@$(BIN)/python -m localcloud.edge.coverage > docs/operations.md
	@$(BIN)/python -m localcloud.cli.reference > docs/cli.md

site: docs/site/.venv/.done ## Build the documentation as a site in build/site/html, and check its links
	@docs/site/.venv/bin/python docs/site/build.py

docs/site/.venv/.done: docs/site/requirements.in
	$(PYTHON) -m venv docs/site/.venv
	docs/site/.venv/bin/python -m pip install --quiet --requirement docs/site/requirements.in
	@touch $@

settings: $(VENV)/.done ## Regenerate the settings in Pulumi.yaml from components/settings.py
	@$(BIN)/python -m components.settings_file Pulumi.yaml

schemas: $(VENV)/.done ## Regenerate CloudFormation's schemas.json from the installed cfn-lint
	@$(BIN)/python -m localcloud.cloudformation.write_schemas

lock: $(VENV)/.done ## Resolve the dependencies into requirements.lock and requirements-demo.lock
	@$(BIN)/python -m pip install --quiet uv
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra deploy --extra model --extra load --extra parquet --extra dev --no-annotate --no-header --generate-hashes --output-file requirements.lock pyproject.toml
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra deploy --extra model --extra load --extra install --constraint requirements.lock --no-annotate --no-header --generate-hashes --output-file requirements-demo.lock pyproject.toml

dist: tests/wheel/.venv/.done ## Build the source distribution and the wheel into dist, and check them by twine
	@rm -rf dist build/source
	@mkdir -p build/source
	@git ls-files -z | tar --create --null --files-from=- | tar --extract --directory build/source
	@tests/wheel/.venv/bin/python -m build --outdir dist build/source
	@rm -rf build/source
	@tests/wheel/.venv/bin/python -m twine check --strict dist/*

tests/wheel/.venv/.done: tests/wheel/requirements.in
	$(PYTHON) -m venv tests/wheel/.venv
	tests/wheel/.venv/bin/python -m pip install --quiet --requirement tests/wheel/requirements.in
	@touch $@

wheels: $(VENV)/.done ## Check that the locks have wheels for every Python and machine (needs PyPI)
	@$(BIN)/python -m pip install --quiet uv
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m install.wheels requirements.lock

clean: ## Remove everything that make built
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
