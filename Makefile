# Everything a user types. Each stage is one target and one `punzinet` command; a stage whose
# inputs have not changed says so and does nothing.

PYTHON   ?= python3
MANIFEST ?= data_manifest.yaml
OUTPUT   ?= output
SCALE    ?= default
EXECUTOR ?= auto
SCHEDULER ?=
WORKERS  ?= $(shell nproc 2>/dev/null || sysctl -n hw.ncpu 2>/dev/null || echo 1)
NETWORKS ?=
UNBLIND  ?=

VENV     := .venv
READY    := $(VENV)/.ready
PUNZINET := $(VENV)/bin/punzinet
PLACE     = --manifest "$(MANIFEST)" --output "$(OUTPUT)" --scale $(SCALE)
SEEN      = $(if $(UNBLIND),--unblind)
SPREAD    = --executor $(EXECUTOR) --workers $(WORKERS) $(if $(SCHEDULER),--scheduler "$(SCHEDULER)")

.PHONY: all data features train select limits shape plots report paper paper-studies baselines validate status docs notebook test test-slow test-faults lint format bench lock clean help
.NOTPARALLEL:

all: plots ## the whole chain, from generated events to figures

data: $(READY) ## default ntuples (nothing to do for your own)
	@$(PUNZINET) simulate $(PLACE) $(SPREAD)

features: data ## windows and training tensors
	@$(PUNZINET) features $(PLACE) $(SPREAD) $(SEEN)

train: features ## networks and their sensitivity (NETWORKS=25 for an ensemble, kept until changed)
	@$(PUNZINET) train $(PLACE) $(if $(NETWORKS),--networks $(NETWORKS))

select: train ## recoil-mass histograms behind the single cut
	@$(PUNZINET) select $(PLACE) $(SPREAD) $(SEEN)

limits: select ## expected upper limits and their workspaces
	@$(PUNZINET) limits $(PLACE) $(SEEN)

shape: limits ## the same by fits of the spectrum around each mass, and what they gain
	@$(PUNZINET) shape $(PLACE)

plots: limits ## figures, as PDF, PNG and SVG
	@$(PUNZINET) plot $(PLACE)

report: plots ## everything on one page, report.html of the output folder
	@$(PUNZINET) report $(PLACE)

paper: features ## figures and claims of the paper, with ensembles of networks (NETWORKS=25)
	@$(PUNZINET) paper $(PLACE) $(if $(NETWORKS),--networks $(NETWORKS))

paper-studies: features ## the same, and what variations of the recipe change
	@$(PUNZINET) paper $(PLACE) $(if $(NETWORKS),--networks $(NETWORKS)) --studies

baselines: train ## other methods on the same events, systematics, ranks of observables
	@$(PUNZINET) baselines $(PLACE) $(SPREAD)

status: $(READY) ## what is done, missing and failed, also while a stage runs
	@$(PUNZINET) status $(PLACE)

validate: features ## default data against published numbers and Pythia 8
	@$(PUNZINET) validate-simulation $(PLACE)

test: $(READY) ## all fast tests, with coverage
	@$(VENV)/bin/pytest --numprocesses auto --dist loadfile --no-loadscope-reorder --cov --cov-fail-under=90

test-slow: $(READY) ## longer validation
	@$(VENV)/bin/pytest -m slow --timeout 3600

test-faults: $(READY) ## killed processes, broken files, full disks, failing servers, fuzzed input
	@$(VENV)/bin/pytest -m faults --timeout 1800

docs: $(READY) ## documentation, in output/docs; warnings are errors
	@NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict --quiet

notebook: $(READY) ## the example notebook, executed anew from its script
	@$(VENV)/bin/jupytext --quiet --to ipynb docs/examples/punzi_loss.py
	@$(VENV)/bin/jupyter-execute --inplace docs/examples/punzi_loss.ipynb

lint: $(READY) ## style and types
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy

format: $(READY) ## put the code into shape
	@$(VENV)/bin/ruff check --fix .
	@$(VENV)/bin/ruff format .

bench: $(READY) ## measured speed and memory, bench.json of the output folder
	@$(VENV)/bin/python tests/bench/run.py --output "$(OUTPUT)"

lock: ## newest versions that fit together, with their hashes, into requirements.lock
	@rm -rf $(VENV)-lock && $(PYTHON) -m venv $(VENV)-lock
	@$(VENV)-lock/bin/pip install --quiet --upgrade pip
	@$(VENV)-lock/bin/pip install --quiet --only-binary pythia8mc torch==2.13.0 . --group dev
	@$(VENV)-lock/bin/pip freeze | sed -e '/^punzinet/d' -e '/^torch==/d' > $(VENV)-lock/pins.txt
	@$(VENV)-lock/bin/pip install --quiet uv
	@$(VENV)-lock/bin/uv pip compile --quiet --python $(VENV)-lock --no-deps --generate-hashes --no-annotate --no-header --output-file requirements.lock $(VENV)-lock/pins.txt
	@$(VENV)-lock/bin/pip download --quiet --no-deps --dest $(VENV)-lock torch==2.13.0
	@printf 'torch==2.13.0 \\\n    %s\n' "$$($(VENV)-lock/bin/pip hash $(VENV)-lock/torch-*.whl | tail -1)" >> requirements.lock
	@rm -rf $(VENV)-lock

clean: ## remove the output folder and compiled code, keep the environment
	@rm -rf "$(OUTPUT)" punzinet/__pycache__

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  with MANIFEST=, OUTPUT=, SCALE=default|paper, EXECUTOR=auto|iterative|futures|dask|parsl, WORKERS=, SCHEDULER=, NETWORKS=, UNBLIND=1"

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	@echo "Making the environment in $(VENV) (once)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(VENV)/bin/pip install --quiet --no-deps --no-compile "$$(grep -o '^torch==[0-9.]*' requirements.lock)"
	@$(VENV)/bin/pip install --quiet --no-deps --no-compile --require-hashes --requirement requirements.lock
	@$(VENV)/bin/pip install --quiet --editable .
	@$(VENV)/bin/python -m compileall -qq -j 0 $(VENV)/lib || true # on all cores; templates may be no Python
	@touch $@
