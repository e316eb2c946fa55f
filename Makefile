# Each target is one line of work; CI calls the same.
.DEFAULT_GOAL := help
PYTHON ?= $(firstword $(foreach name,python3 python3.13 python3.12 python3.11,$(if $(shell $(name) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo yes),$(name))))
BIN := .venv/bin
INSTALLED := .venv/.installed
BENCH_INSTALLED := .venv/.installed-bench
PGBOUNCER := .venv/pgbouncer
BROWSER := .venv/browser
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --custom-compile-command "make lock" setup.cfg

.PHONY: help install run test test-pgbouncer test-browser certify check lint types audit generate spec-diff spec-upgrade screenshot soak bench bench-check bench-layers bench-import bench-scale bench-matching weights lock

help: ## List the targets.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "%-14s %s\n", $$1, $$2}'

$(INSTALLED): requirements.lock setup.cfg pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; name one with PYTHON=/path/to/python." >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

install: $(INSTALLED) ## Set up .venv with everything that running, testing and developing needs.

run: $(INSTALLED) ## Serve a throwaway database with fictional guests on 127.0.0.1:8080 and print a curl command.
	@$(BIN)/loyalty demo

test: $(INSTALLED) ## Run all tests, on SQLite and on a Postgres of their own.
	$(BIN)/python -m pytest -q -n auto --dist worksteal --ignore tests/resilience
	$(BIN)/python -m pytest -q tests/resilience

certify: $(INSTALLED) ## Judge the server at URL=... by the contract (docs/certify.md); ARGS=--help tells what else it can do.
	@$(BIN)/loyalty certify $(if $(URL),--base-url "$(URL)") $(ARGS)

$(PGBOUNCER)/pgbouncer: .ci/pgbouncer $(INSTALLED)
	.ci/pgbouncer $(PGBOUNCER)
	@touch $@

test-pgbouncer: $(PGBOUNCER)/pgbouncer ## Run the tests behind PgBouncer: this machine's, or Debian's, which is fetched into .venv.
	$(BIN)/python -m pytest -q -m pgbouncer tests/resilience/test_pgbouncer.py

$(BROWSER)/chromium: .ci/chromium $(INSTALLED)
	.ci/chromium $(BROWSER)

test-browser: $(BROWSER)/chromium ## Run the front desk in Chromium, this machine's or Debian's; screenshots go to build/screenshots.
	$(BIN)/python -m pytest -q -n auto --dist worksteal -m browser tests/browser

screenshot: $(BROWSER)/chromium ## Take the README's picture of the front desk anew.
	$(BIN)/python -m tests.browser.screenshot docs/images/frontdesk.png

lint: $(INSTALLED) ## Check style, known dangers (bandit), that generated code is what the spec generates, and that no handler is missing.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m codegen --check
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml app handlers models codegen certify frontdesk bench

types: $(INSTALLED) ## Check types.
	$(BIN)/mypy

check: lint types test ## All that CI checks.

generate: $(INSTALLED) ## Generate handlers/schemas.py from the spec, and a stub for each operation without a handler.
	$(BIN)/python -m codegen

spec-diff: $(INSTALLED) ## Say what the contract in NEW=... changes for the server built for OLD=... (docs/spec.md).
	@$(BIN)/loyalty spec diff $(if $(OLD),"$(OLD)") $(if $(NEW),"$(NEW)")

spec-upgrade: $(INSTALLED) ## Put the contract in FILE=... in place, carry the code over, and list the work left (docs/spec.md).
	@$(BIN)/loyalty spec upgrade $(if $(FILE),"$(FILE)")

audit: $(INSTALLED) ## For every night: ask PyPI whether a locked package has a known vulnerability; it needs the network.
	$(BIN)/pip-audit --strict --disable-pip --require-hashes --progress-spinner off -r requirements.lock -r bench/requirements.lock

soak: $(INSTALLED) ## The long runs: 2,000 Schemathesis examples per operation, 1,000 walks of the state machine, 8 upgrades, all faulty servers for the kit on both databases, faults.
	SOAK=1 CONTRACT_EXAMPLES=2000 $(BIN)/python -m pytest -q tests/contract tests/stateful tests/codegen/test_upgrade.py tests/certify tests/resilience

bench: $(INSTALLED) ## Measure what requests cost here, on FastAPI with SQLAlchemy, and at the least; ARGS=--help tells more.
	@$(BIN)/python -m bench.speed $(ARGS)

bench-check: $(INSTALLED) ## Fail if an operation costs more than it did, as a multiple of the least; ARGS=--help tells more.
	@$(BIN)/python -m bench.speed_check $(ARGS)

bench-layers: $(INSTALLED) ## Measure which layer of the server takes how much of a request; ARGS=--help tells more.
	@$(BIN)/python -m bench.layers $(ARGS)

bench-import: $(INSTALLED) ## Measure members per second and memory of an import, on SQLite and Postgres; ARGS=--help tells more.
	@$(BIN)/python -m bench.import_speed $(ARGS)

bench-scale: $(INSTALLED) ## Measure member search at 10k, 100k and 1M members; ARGS=--help tells what else it can do.
	@$(BIN)/python -m bench.scale $(ARGS)

$(BENCH_INSTALLED): $(INSTALLED) bench/requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r bench/requirements.lock
	@touch $@

bench-matching: $(BENCH_INSTALLED) ## Measure how well member search finds people, against other ways; ARGS=--help tells more.
	@$(BIN)/python -m bench.matching_quality $(ARGS)

weights: $(BENCH_INSTALLED) ## Estimate what agreement in names and places is worth anew, and write it to models/weights.json.
	@$(BIN)/python -m bench.weights --write

lock: $(INSTALLED) ## Renew requirements.lock, and with it bench/requirements.lock, within the ranges of setup.cfg.
	$(COMPILE) --extra certify --extra development -o requirements.lock
	$(COMPILE) --extra bench --constraint requirements.lock -o bench/requirements.lock
