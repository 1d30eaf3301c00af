# The commands of development and CI.
# Without make: README.md, "The same by hand, without make".

PORT ?= 8000
VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python

# An interpreter to make .venv from; `make setup PYTHON=/path/to/python3.12` overrides.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& { echo $$p; break; }; done)
UV := $(shell command -v uv 2>/dev/null)
# uv must not download an interpreter: a closed network has no access.
export UV_PYTHON_DOWNLOADS := never

ifneq ($(UV),)
INSTALL = $(UV) pip install --quiet --compile-bytecode --python $(PY) --require-hashes -r
else
INSTALL = $(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r
endif

.DEFAULT_GOAL := help
# The lanes of `make test`, the longest first.
LANES := test-browser test-services-live test-services-units test-sqlite-hosts test-sqlite-units test-sqlite-live test-js
.PHONY: help setup setup-dev run migrate test $(LANES) test-sqlite test-services fuzz contract messages lint hosts chaos bench growth lock package matrix clean

help:  ## this list
	@echo "Doorbell. Start with:  make run"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(VENV)/.setup  ## .venv with everything needed to run
setup-dev: $(VENV)/.setup-dev  ## .venv with everything needed to test and lint, too

$(PY):
	@if [ -z "$(PYTHON)" ]; then \
		echo "Doorbell needs Python 3.11 or newer; $$(python3 --version 2>/dev/null || echo 'no python3') was found." >&2; \
		echo "Install one, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12" >&2; exit 1; fi
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Doorbell needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1)." >&2; exit 1; }
	@echo "── creating $(VENV) ($$($(PYTHON) --version))"
ifneq ($(UV),)
	@$(UV) venv --quiet --seed --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" $(VENV)
else
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "python3 -m venv failed. On Debian or Ubuntu: apt-get install python3-venv" >&2; exit 1; }
endif

$(VENV)/.setup: requirements.txt | $(PY)
	@echo "── installing requirements.txt (about a minute, only this time)"
	@$(INSTALL) requirements.txt
	@touch $@

$(VENV)/.setup-dev: requirements-dev.txt $(VENV)/.setup | $(PY)
	@echo "── installing requirements-dev.txt"
	@$(INSTALL) requirements-dev.txt
	@touch $@

migrate: setup  ## apply the migrations
	@$(PY) manage.py migrate --verbosity 0

run: setup migrate  ## the demo, at http://127.0.0.1:8000 (PORT=… changes it)
	@$(PY) manage.py seed_demo
	@exec $(PY) manage.py serve --host 127.0.0.1 --port $(PORT)

# A missing piece fails the run: no test may be skipped silently.
# Bytecode is written, for a start without it takes four times as long.
LANE := -u PYTHONDONTWRITEBYTECODE REQUIRE_ALL=1
TEST_ENV := env $(LANE)
ON_SQLITE := env -u DATABASE_URL -u REDIS_URL $(LANE)
ON_SERVICES := $(TEST_ENV) $(PY) -m tools.services --pg --redis --
PYTEST := $(PY) -m pytest
FUZZ_EXAMPLES ?= 200

# Three lanes at a time: live tests spend most of their time waiting for processes that they have killed.
LIVE := tests/live tests/chaos
UNITS := $(addprefix --ignore=,tests/browser tests/hosts $(LIVE))
# What depends on no database runs once, on SQLite: files whose tests execute no SQL, or only such as any view does, and
# are about addresses, headers, bytes, logs, settings or pages. `make test FULL_SIZE=1` runs everything on both.
ifndef FULL_SIZE
ONCE := $(addprefix --ignore=,config/tests/test_deployment.py config/tests/test_environment.py \
	$(addprefix messaging/tests/test_,exceptions.py notification_types.py) \
	$(addprefix realtime/tests/test_,body_limit.py client_socket.py documents.py drain.py envelopes.py message_queue.py mount.py \
	protocol.py replay.py routing.py server.py static_storage.py sync_state.py user_queue.py user_sockets.py) \
	$(addprefix tests/test_,alerts.py architecture.py benchmarks.py catalogues.py checks_table.py compose.py configuration.py contract.py data_shapes.py \
	django_settings.py inbox_replica.py limits.py metrics_table.py services.py) \
	tests/chaos/test_checker.py \
	$(addprefix tests/live/test_,bad_bytes.py bad_line.py body_limit.py client_page.py drain.py extending.py half_open.py log_lines.py \
	proxies.py secrets.py slow_reader.py) \
	$(addprefix tests/hosts/test_,checks.py logins.py mistakes.py names.py optional_parts.py sessions.py settings.py shown_names.py testing.py \
	unusual_settings.py wheel.py))
endif

test: setup-dev  ## every test: SQLite, PostgreSQL + Redis, a real browser, JavaScript (FULL_SIZE=1: at full length)
	@echo "════ seven lanes, three at a time, some minutes; each is shown when it has ended"
	@$(MAKE) --no-print-directory -j3 --output-sync=target $(LANES)
	@echo "════ all seven passed"

test-sqlite: test-sqlite-units test-sqlite-live test-sqlite-hosts  ## the Python suite on SQLite and the in-memory layer
test-services: test-services-units test-services-live  ## the Python suite on real PostgreSQL and real Redis

test-sqlite-units: setup-dev
	@echo "════ Python, SQLite and in-memory layer: units"
	@$(ON_SQLITE) $(PYTEST) $(UNITS) $(ARGS)

test-sqlite-live: setup-dev
	@echo "════ Python, SQLite and in-memory layer: real processes"
	@$(ON_SQLITE) $(PYTEST) $(LIVE) $(ARGS)

test-sqlite-hosts: setup-dev
	@echo "════ Python, SQLite and in-memory layer: other projects"
	@$(ON_SQLITE) $(PYTEST) tests/hosts $(ARGS)

test-services-units: setup-dev
	@echo "════ Python, PostgreSQL and Redis: units"
	@$(ON_SERVICES) $(PYTEST) $(UNITS) $(ONCE) $(ARGS)

test-services-live: setup-dev
	@echo "════ Python, PostgreSQL and Redis: real processes"
	@$(ON_SERVICES) $(PYTEST) $(LIVE) tests/hosts $(ONCE) $(ARGS)

test-browser: setup-dev  ## the page in Chromium, on PostgreSQL and Redis
	@echo "════ Browser: Chromium, PostgreSQL, Redis"
	@$(TEST_ENV) $(PY) -m tools.browser --fetch
	@$(ON_SERVICES) $(PYTEST) tests/browser $(ARGS)

test-js: setup-dev  ## the JavaScript tests, by node's own runner
	@echo "════ JavaScript: node --test"
	@$(PY) -m tools.node --test tests/js/*.test.mjs

fuzz: setup-dev  ## schemathesis over the whole API, at length and at random, on both databases (FUZZ_EXAMPLES=…)
	@FUZZ_EXAMPLES=$(FUZZ_EXAMPLES) $(ON_SQLITE) $(PYTEST) -s -v tests/live/test_api_fuzz.py
	@FUZZ_EXAMPLES=$(FUZZ_EXAMPLES) $(ON_SERVICES) $(PYTEST) -s -v tests/live/test_api_fuzz.py

contract: setup-dev  ## write the generated files: the client's types and docs/configuration.md
	@$(PY) -m tools.contract
	@$(PY) -m tools.configuration

messages: setup-dev  ## bring the translations up to date with the code, and compile them (ARGS="--add it": a new language)
	@$(PY) -m tools.messages $(ARGS)

lint: setup-dev  ## ruff, mypy, import-linter, tsc
	@echo "════ ruff"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@echo "════ mypy"
	@$(BIN)/mypy
	@echo "════ import-linter"
	@$(BIN)/lint-imports
	@if [ -f package.json ]; then echo "════ tsc" && $(MAKE) --no-print-directory node_modules/.installed \
		&& $(PY) -m tools.node --npm run --silent typecheck; fi

# Versions are pinned in package.json; a lock file would name the registry.
node_modules/.installed: package.json
	@$(PY) -m tools.node --npm install --no-package-lock --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

hosts: setup-dev  ## Django projects with Doorbell in them, at full length, on both databases
	@$(TEST_ENV) $(PY) -m tools.browser --fetch
	@FULL_SIZE=1 $(ON_SQLITE) $(PYTEST) $(HOSTS) $(ARGS)
	@FULL_SIZE=1 $(ON_SERVICES) $(PYTEST) $(HOSTS) $(ARGS)

HOSTS := tests/hosts tests/browser/test_host_projects.py tests/browser/test_gunicorn.py

chaos: setup-dev  ## break real servers under load and check what their clients received; writes docs/reliability.md (ARGS="--help")
	@$(PY) -m tests.chaos $(ARGS)

bench: setup-dev  ## measure speed beside stock Channels and python-socketio; writes docs/performance.md (ARGS="--only d --quick", "--help")
	@$(PY) -m benchmarks $(ARGS)

growth: setup-dev  ## measure queries on a million notifications, on PostgreSQL (some minutes; ARGS="--rows 100000")
	@$(PY) -m tools.services --pg -- $(PY) -m benchmarks.growth $(ARGS)

lock: setup-dev  ## resolve pyproject.toml again into requirements*.txt; `make lock ARGS=-U` takes newer versions
	@$(LOCK) --group server -o requirements.txt $(ARGS)
	@$(LOCK) --group dev -c requirements.txt -o requirements-dev.txt $(ARGS)

LOCK = $(BIN)/uv pip compile pyproject.toml --python-version 3.11 --universal --all-extras --generate-hashes --no-annotate --no-header --quiet

package: setup-dev  ## wheel and sdist into dist/, their contents checked
	@$(PY) -m tools.package $(ARGS)

matrix: setup-dev  ## the unit tests on other Pythons and Djangos, newest and oldest dependencies (ARGS="--help")
	@$(PY) -m tools.matrix $(ARGS)

clean:  ## remove caches and built files; keeps .venv, var/ (the data) and .cache/ (the browser)
	rm -rf dist staticfiles .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis htmlcov .coverage
	find . \( -name .venv -o -name node_modules -o -name .git \) -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
