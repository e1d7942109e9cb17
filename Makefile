# The commands of the ticket router. `make help` lists them.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin

.DEFAULT_GOAL := help
PEERS ?= all
IMAGES ?= service training
.PHONY: help env helpdesk-env programs demo loop desk-pictures helpdesk-demo test slow faults soak fuzz monitoring-test bench rollout autoscaling lint types imports structure hadolint check manifests image-test constraints licences sbom service-env clean

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

env: .venv/ready ## the environment, with everything a developer needs

# torch first and by itself: asked for together with the rest, a plain torch may bring several GB of GPU packages.
# The embedded base model without its dependencies: sentence-transformers isn't needed for its files.
.venv/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; say which with: make PYTHON=python3.11 …")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet torch==2.13.0
	$(BIN)/python -m pip install --quiet --group dev --constraint constraints.txt
	$(BIN)/python -m pip install --quiet --no-deps --group embedded --constraint constraints.txt
	@touch $@

# Real neighbours, not imitations: a Prometheus that scrapes, a proxy in front, minisign's own signatures, docker-compose
# to check deploy/, PostgreSQL, curl, which the documentation speaks, a browser for the desk, and a clock to set wrong for
# one process. RUNLEVEL=1: the programs are wanted, and none of their daemons started.
PROGRAMS := chromium curl prometheus haproxy docker-compose minisign faketime
programs: ## the programs that the tests run the service beside; installed by apt where that is possible
	@missing=$$(for name in $(PROGRAMS); do PATH="$$PATH:/usr/sbin" command -v $$name >/dev/null || echo $$name; done; \
		PATH="$$PATH:$$(echo /usr/lib/postgresql/*/bin)" command -v initdb >/dev/null || echo postgresql); \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
		echo "The tests need these programs; install them first: $$(echo $$missing)" >&2; exit 1; fi; \
	apt-get update -qq && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -qq --no-install-recommends $$missing >/dev/null

demo: env ## from made-up tickets to routed e-mails, in minutes; leaves nothing running
	@$(BIN)/python -m training.demo.demo

loop: env ## a quarter of a made-up helpdesk's life: drift, a misroute alarm, recalibration, a better model; with a plot
	@$(BIN)/python -m training.demo.loop

desk-pictures: env ## docs/desk/: every page of the desk in light and dark; with the bundle of `make demo`
	@$(BIN)/python -m tests.desk.screenshots

helpdesk-demo: env helpdesk-env ## a real helpdesk in your browser, its tickets routed; Ctrl-C ends all of it
	@$(BIN)/python -m tests.helpdesks.demo

# First two at a time, then one by one what depends on times, floods and stops of a whole service.
SIDE_BY_SIDE := tests/unit tests/commands tests/contract tests/docs tests/manifests tests/desk
test: env service-env helpdesk-env programs ## the whole test suite
	$(BIN)/python -m pytest -n 2 --dist loadfile $(SIDE_BY_SIDE)
	$(BIN)/python -m pytest $(SIDE_BY_SIDE:%=--ignore=%)

slow: env service-env helpdesk-env ## the slow checks: ten kills of a training, the guarantee re-split hundreds of times, a killed search
	$(BIN)/python -m pytest -m slow --timeout 3600

# Not tests.benchmarks.overload: with a tiny model it is the client that is measured. It wants a bundle of yours.
faults: env helpdesk-env programs ## the catalogue of faults in its long form, with the limits as they are
	$(BIN)/python -m pytest tests/faults -m "slow or not slow" --timeout 3600
	$(BIN)/python -m tests.faults.mutations --count 10000
	$(BIN)/python -m tests.faults.kills --count 1000
	$(BIN)/python -m tests.faults.record_kills --count 200
	$(BIN)/python -m tests.faults.helpdesk_deliveries --count 10000
	$(BIN)/python -m tests.benchmarks.helpdesk_acks
	$(BIN)/python -m tests.faults.drains --count 100
	$(BIN)/python -m tests.faults.drains --proxy --count 100
	$(BIN)/python -m tests.faults.bare_and_proxied
	$(BIN)/python -m tests.faults.restarts --count 200
	$(BIN)/python -m tests.faults.series --count 100000
	$(BIN)/python -m tests.faults.flood
	$(BIN)/python -m tests.benchmarks.connections
	$(BIN)/python -m tests.benchmarks.hostile
	$(BIN)/python -m tests.benchmarks.stalls
	$(BIN)/python -m pytest tests/app/test_reload_under_load.py -m "slow or not slow" --timeout 3600

soak: env ## everything clients do, 300,000 times; memory's slope, what stays open; SOAK="--count 300000 --bundle folder"
	$(BIN)/python -m tests.faults.soak $(SOAK)

fuzz: env ## the readers of mails, texts, HTML, JSON and HTTP under libFuzzer; FUZZ="--runs 200000" (each of five) or --seconds
	$(BIN)/python -m tests.fuzz $(FUZZ)

monitoring-test: env ## dashboard and alerts against a real Prometheus, after two minutes of load; an alert fires and ends
	MONITORING_LOAD_SECONDS=120 $(BIN)/python -m pytest tests/monitoring -m "slow or not slow" --timeout 600

bench: env service-env ## our service beside its peers; BENCH="--bundle short=B1 --bundle long=B2"; writes .bench/benchmarks.md
	$(BIN)/python -m tests.benchmarks.serving --peers $(PEERS) $(BENCH)

rollout: env ## three services behind haproxy: restarts, roll-outs and kills under load; ROLLOUT="--bundle folder --rate 200"
	$(BIN)/python -m tests.benchmarks.rollout $(ROLLOUT)

autoscaling: env ## the autoscaler's rule against a simulated day; REPLAY="--per-week 1e6"; writes docs/autoscaling.svg
	$(BIN)/python -m tests.benchmarks.autoscaling $(REPLAY)

lint: env ## ruff: style and common faults
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: env ## mypy, strict
	$(BIN)/mypy

imports: env ## training → models ← service, no torch outside training, and the order of the packages in each
	$(BIN)/lint-imports

structure: env ## lines by package, files by folder, import levels with the longest chain
	@$(BIN)/python -m tests.structure

hadolint: env ## the Dockerfile's linter
	$(BIN)/hadolint Dockerfile

check: lint types imports hadolint ## lint, types, import rules and the Dockerfile

# Root on Debian, some minutes the first time. The tiny bundle it makes needs torch, so it runs in the environment.
image-test: env ## builds the images without a Docker engine and rehearses them; IMAGES="service service-gpu" BUNDLE=folder
	@TRANSFORMERS_VERBOSITY=error $(BIN)/python -m tests.image --images "$(IMAGES)" $(if $(BUNDLE),--bundle $(BUNDLE))

service-env: .venv-service/ready ## what a serving image has: no torch; the tests start the service with it

.venv-service/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-service
	.venv-service/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	.venv-service/bin/python -m pip install --quiet --group service --constraint constraints.txt
	@touch $@

manifests: .venv-manifests/ready ## k8s/ rendered, held against the schemas of Kubernetes 1.31 and later, and read by checkov
	.venv-manifests/bin/python -m tests.manifests.validate

.venv-manifests/ready: constraints-manifests.txt
	$(PYTHON) -m venv .venv-manifests
	.venv-manifests/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	.venv-manifests/bin/python -m pip install --quiet --group manifests --constraint constraints-manifests.txt
	@touch $@

helpdesk-env: .venv-helpdesk/ready ## a real django-helpdesk, which the tests connect the service to

.venv-helpdesk/ready: constraints-helpdesk.txt
	$(PYTHON) -m venv .venv-helpdesk
	.venv-helpdesk/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	.venv-helpdesk/bin/python -m pip install --quiet --group helpdesk --constraint constraints-helpdesk.txt
	@touch $@

constraints: env ## write constraints.txt anew from what is installed
	(sed -n '/^#/p' constraints.txt; $(BIN)/python -m pip freeze --exclude torch) > constraints.new && mv constraints.new constraints.txt

licences: env service-env ## fails on a licence that pyproject.toml does not allow: the service's packages, then everybody's
	$(BIN)/pip-licenses --python .venv-service/bin/python --format csv
	$(BIN)/pip-licenses --python $(BIN)/python --format csv

# Without the time and a random number the file changes only when a package does. The warning that is kept silent says
# that pyproject.toml lists no dependencies of the project: they are groups.
sbom: env service-env ## what the service is made of, as CycloneDX: build/sbom-service.cdx.json
	@mkdir -p build
	PYTHONWARNINGS=ignore::UserWarning $(BIN)/cyclonedx-py environment --output-reproducible --pyproject pyproject.toml \
		--output-format JSON --output-file build/sbom-service.cdx.json .venv-service

clean: ## remove what the commands above made
	rm -rf .venv .venv-service .venv-manifests .venv-helpdesk .bench build demo loop .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
