# `make` alone lists the targets. ARGS="…" is passed on where a target says so.
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
.SILENT:
.DELETE_ON_ERROR:

VENV := .venv
PY := $(VENV)/bin/python
DEV := $(PY) -m rebootcamp.cli.dev
FLASK := $(PY) -m flask --app rebootcamp.wsgi
PORT ?= 8000
UV := uv==0.13.8
NEWMAN := newman@6.2.2
CODE := src tests migrations
# The wheels of the lock files exist up to this version; a bare python3 is the last resort.
CANDIDATES := python3.14 python3.13 python3.12 python3.11 python3

# A name on PATH may be a shim that runs nothing, and some systems split venv from Python: try it for real.
define FIND_PYTHON
for name in $(CANDIDATES); do \
  if "$$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then echo "$$name"; exit; fi; \
done
endef

define INSTALL
echo "Installing $$(grep -c '==' $(1)) pinned packages from $(1) (about half a minute the first time) …"
PYTHONWARNINGS=ignore $(PY) -m pip install -qq --disable-pip-version-check --no-input --require-hashes -r $(1)
endef

.PHONY: help
help: ## list the targets
	echo "RebootCamp: make TARGET [PORT=8000] [RUN_DIR=.run] [ARGS=…]"; echo
	grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  \1\t\2/' | expand -t 20

.PHONY: run reset servers
run: $(VENV)/.run-stamp ## start databases, service and relay on this machine; Ctrl-C stops them
	exec $(DEV) run

reset: $(VENV)/.run-stamp ## forget the data of `make run`
	exec $(DEV) reset

servers: $(VENV)/.run-stamp ## start the databases only and print their addresses
	exec $(DEV) servers

.PHONY: test check fmt format-check lint types contracts migrations-check
# Without ARGS two processes share the files, each with servers of its own: one alone leaves half of two cores idle.
test: $(VENV)/.dev-stamp ## run the whole test-suite on its own real servers (ARGS goes to pytest)
	exec $(PY) -m pytest $(or $(ARGS),-n 2 --dist loadfile)

check: format-check lint types contracts migrations-check ## all other checks of CI
	echo "All checks passed."

fmt: $(VENV)/.dev-stamp ## format the code
	$(PY) -m ruff format $(CODE)
	$(PY) -m ruff check --fix --quiet $(CODE)

format-check: $(VENV)/.dev-stamp
	echo "— format"
	$(PY) -m ruff format --check --quiet $(CODE) || { $(PY) -m ruff format --check $(CODE); echo "Run: make fmt"; exit 1; }

lint: $(VENV)/.dev-stamp ## ruff
	echo "— lint"
	$(PY) -m ruff check --quiet $(CODE)

types: $(VENV)/.dev-stamp ## mypy --strict
	echo "— types"
	$(PY) -m mypy --strict src

contracts: $(VENV)/.dev-stamp ## import rules
	echo "— import contracts"
	$(VENV)/bin/python -c 'from importlinter.cli import lint_imports_command as run; run()'

# Two processes: in one, the first command leaves a hook behind that breaks the second.
migrations-check: $(VENV)/.dev-stamp ## migrations equal models, on fresh servers
	echo "— migrations equal models"
	$(DEV) exec sh -c '$(FLASK) db upgrade && $(FLASK) db check'

.PHONY: migrate migration bench bench-rank bench-rebuild chaos drill postman lock clean
migrate: $(VENV)/.run-stamp ## bring the stores of DATABASE_URL and MONGODB_URI (or of `make run`) up to date
	exec $(FLASK) prepare

migration: $(VENV)/.dev-stamp ## write a migration from the models: make migration M="what changes"
	$(DEV) exec sh -c '$(FLASK) db upgrade && $(FLASK) db migrate -m "$(or $(M),change)"'

bench: $(VENV)/.dev-stamp ## measure reads and writes against frameworkless WSGI applications
	exec $(PY) -m tests.bench $(ARGS)

bench-rank: $(VENV)/.dev-stamp ## measure one's own rank among 1,000 and 1,000,000 learners
	exec $(PY) -m tests.bench.rank $(ARGS)

bench-rebuild: $(VENV)/.dev-stamp ## measure the rebuild of 50,000 and 200,000 events: seconds and memory
	exec $(PY) -m tests.bench.rebuild $(ARGS)

chaos: $(VENV)/.dev-stamp ## kill, damage and restore backups under load, and print the figures (long; ARGS=--help)
	exec $(PY) -m tests.chaos $(ARGS)

drill: $(VENV)/.dev-stamp ## carry out docs/MIGRATION_BDD.md between two pairs of servers, compare every read address
	exec $(PY) -m tests.drill

postman: ## walk the Postman collection against a running service (needs Node)
	command -v npx >/dev/null || { echo "error: npx is missing: install Node.js to run the Postman collection" >&2; exit 1; }
	npx --yes $(NEWMAN) run $(wildcard docs/postman/*collection.json) $(addprefix -e ,$(wildcard docs/postman/*environment.json)) \
	  --env-var "base_url=$(or $(BASE_URL),http://127.0.0.1:$(PORT))" $(ARGS)

lock: $(VENV)/.run-stamp ## rewrite requirements*.txt from requirements*.in (ARGS="--upgrade-package NAME")
	$(PY) -m pip install -qq --disable-pip-version-check $(UV)
	for name in requirements requirements-embedded requirements-dev; do \
	  $(PY) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --custom-compile-command "make lock" \
	    $(ARGS) $$name.in -o $$name.txt || exit 1; \
	done

clean: ## remove caches; the environment and the data stay
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage htmlcov
	find src tests migrations -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	python=$$($(FIND_PYTHON)); \
	if [ -z "$$python" ]; then echo "error: Python 3.11 or newer with venv is needed (on Debian: apt install python3-venv)" >&2; exit 1; fi; \
	echo "Creating $(VENV) with $$($$python --version) …"; $$python -m venv $(VENV)
	# A relative path: a copied clone finds its own sources, not those of the original.
	$(PY) -c 'import os, sysconfig as s; d = s.get_path("purelib"); open(os.path.join(d, "rebootcamp.pth"), "w").write(os.path.relpath("src", d) + "\n")'

$(VENV)/.run-stamp: requirements.txt requirements-embedded.txt | $(VENV)/bin/python
	$(call INSTALL,requirements.txt)
	$(call INSTALL,requirements-embedded.txt)
	touch $@

$(VENV)/.dev-stamp: requirements-dev.txt | $(VENV)/bin/python
	$(call INSTALL,requirements-dev.txt)
	touch $(VENV)/.run-stamp $@
