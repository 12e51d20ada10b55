# The whole workflow; CI runs the same targets. Needs Python >= 3.11 and make, nothing else.
.DEFAULT_GOAL := help
.NOTPARALLEL:
SHELL := /bin/bash
MAKEFLAGS += --no-print-directory

BIN := .venv/bin
RUN := $(BIN)/python -m
SETUP := .venv/.setup-done
SUITABLE := import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(firstword $(foreach name,python3.13 python3.12 python3.11 python3,\
	$(shell $(name) -c '$(SUITABLE)' >/dev/null 2>&1 && command -v $(name))))

.PHONY: help
help: ## Print this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r name text; do printf '%-18s %s\n' "$$name" "$$text"; done

# --- installing ---

PROGRAMS := market trade attest sim migrate cli

.PHONY: setup lock
setup: $(SETUP) ## Make .venv with exactly what requirements.lock says
$(SETUP): requirements.lock requirements-bootstrap.lock pyproject.toml
	@if ! $(BIN)/python -c '$(SUITABLE)' 2>/dev/null; then \
		if [ -z '$(PYTHON)' ]; then \
			echo 'No Python >= 3.11 with venv found (tried python3.13, python3.12, python3.11, python3).' >&2; \
			echo 'Install one, or name it: make setup PYTHON=/path/to/python3' >&2; exit 1; \
		fi; \
		$(PYTHON) -c '$(SUITABLE)' 2>/dev/null || { echo '$(PYTHON) is older than Python 3.11, or lacks venv.' >&2; exit 1; }; \
		echo "1/3 .venv with $$($(PYTHON) --version)"; \
		$(PYTHON) -m venv --clear .venv; \
	fi
	@echo '2/3 packages of requirements.lock, hashes checked'
	@if $(RUN) pip install -q --disable-pip-version-check --require-hashes -r requirements-bootstrap.lock 2>/dev/null \
		&& $(BIN)/uv pip install --system-certs --python $(BIN)/python --require-hashes -r requirements.lock; then :; else \
		echo 'uv did not do it; with pip this takes about a minute'; \
		$(RUN) pip install --disable-pip-version-check --progress-bar off --require-hashes -r requirements.lock \
			| sed -u -n 's/^Collecting \([^ ]*\).*/    \1/p;/^Successfully/p'; \
		exit "$${PIPESTATUS[0]}"; \
	fi
	@echo '3/3 interlock itself, in place'
	@$(RUN) pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e . 
	@touch $@

lock: $(SETUP) ## Resolve the dependencies again and write the hashed lock files
	$(BIN)/uv pip compile requirements-bootstrap.in --generate-hashes --universal -q -o requirements-bootstrap.lock
	$(BIN)/uv pip compile pyproject.toml --extra embedded --extra cli --extra dev --generate-hashes --universal -q -o requirements.lock
	$(BIN)/uv pip compile pyproject.toml --extra market --extra bench -c requirements.lock --generate-hashes --universal -q -o requirements-bench.lock
	$(BIN)/uv pip compile pyproject.toml --extra supply -c requirements.lock --generate-hashes --universal -q -o requirements-supply.lock
	@for program in $(PROGRAMS); do \
		$(BIN)/uv pip compile pyproject.toml --extra $$program -c requirements.lock --generate-hashes --universal -q -o locks/$$program.lock || exit 1; \
	done

# --- what we install ---

.PHONY: audit sbom licences
SUPPLY := .venv/.supply-done
$(SUPPLY): $(SETUP) requirements-supply.lock
	@echo 'packages of requirements-supply.lock, hashes checked'
	@if [ -x $(BIN)/uv ]; then $(BIN)/uv pip install -q --system-certs --python $(BIN)/python --require-hashes -r requirements-supply.lock; \
		else $(RUN) pip install -q --disable-pip-version-check --require-hashes -r requirements-supply.lock; fi
	@touch $@

audit: $(SUPPLY) ## Look every locked package up for known weaknesses; tools/waivers.toml says which we live with
	@$(RUN) tools.audit

sbom: $(SUPPLY) ## A bill of materials for each lock, in dist/
	@$(RUN) tools.sbom

licences: $(SETUP) ## Write docs/licences.md; a licence nobody has agreed to fails
	@$(RUN) tools.licences

# --- running ---

.PHONY: demo up down migrate
demo: $(SETUP) ## The main job, end to end, on this machine; prints what really happened
	@$(RUN) standalone demo $(if $(RECORDING),--recording '$(RECORDING)')

up: $(SETUP) ## Start everything in the background; addresses are in .local/interlock.json. TLS=1: with certificates
	@$(RUN) standalone up $(if $(RECORDING),--recording '$(RECORDING)') $(if $(TLS),--tls)

down: $(SETUP) ## Stop what `make up` started
	@$(RUN) standalone down

migrate: $(SETUP) ## Bring the databases of INTERLOCK_TRADE_DSN and INTERLOCK_MARKET_DSN to the newest schema
	@$(RUN) migrations.apply

# --- checking ---

.PHONY: check format format-check lint types imports test test-containers compose-mutants mutants
check: format-check lint types imports proto-check buf-lint buf-breaking sbom test-containers test ## All that CI runs

format: $(SETUP) ## Format the code
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

format-check: $(SETUP)
	@$(BIN)/ruff format --check .

lint: $(SETUP)
	@$(BIN)/ruff check .

types: $(SETUP)
	@$(BIN)/mypy --strict .

imports: $(SETUP)
	@$(BIN)/lint-imports --no-logo

test: $(SETUP) ## All tests: make test, or make test ARGS='tests/policy -x'
	@$(RUN) pytest $(ARGS)

test-containers: $(SETUP) ## The images and docker-compose.yml on a real Docker engine: DOCKER_HOST's, or one started here; COMPOSE=2
	@INTERLOCK_COMPOSE=$(COMPOSE) $(RUN) tools.docker_engine $(BIN)/python -m pytest tests/containers $(ARGS)

compose-mutants: $(SETUP) ## Take every setting out of docker-compose.yml in turn and show what notices; an hour
	@$(RUN) tools.docker_engine $(BIN)/python -m tests.containers.mutants $(ARGS)

mutants: $(SETUP) ## Remove each mechanism in turn and show which test notices
	@$(RUN) tests.mutants $(ARGS)

# --- protos (docs/decisions/0001-protos-and-validation.md) ---

.PHONY: proto proto-check buf-lint buf-breaking validate-proto
proto: $(SETUP) ## Generate the Python code beside the .proto files
	@$(RUN) tools.gencode

proto-check: $(SETUP)
	@$(RUN) tools.gencode --check

buf-lint: $(SETUP)
	@$(BIN)/buf lint

buf-breaking: $(SETUP) ## Compare the protos with BREAKING_AGAINST, by default the main branch
	@$(RUN) tools.breaking

validate-proto: $(SETUP) ## Print validate.proto again after an upgrade of protovalidate
	@$(RUN) tools.validate_proto > third_party/buf/validate/validate.proto

.PHONY: attest-table
attest-table: $(SETUP) ## What becomes of a key of every kind, for both services, strict and lenient
	@$(RUN) tests.attest.table

# --- longer than the gate ---

.PHONY: faults conformance sim-campaign scan-campaign
scan-campaign: $(SETUP) ## Three scanners, a hundred jobs, one killed every two seconds for a minute
	@$(RUN) tests.market_service.scan_campaign

faults: $(SETUP) ## Races over two replicas for 200 rounds each, and every fault of the way to the exchange
	@INTERLOCK_ROUNDS=200 $(RUN) pytest tests/e2e tests/faults tests/trade_service/test_guarantees.py $(ARGS)

conformance: $(SETUP) ## Unmodified clients of the exchange against the simulated one; needs node and npm
	@$(RUN) tests.conformance $(ARGS)

sim-campaign: $(SETUP) ## 100,000 random orders on the simulated exchange: money conserved, price-time priority kept
	@$(RUN) tests.exchange_sim.campaign --orders 100000

# --- measuring ---

.PHONY: bench bench-execute bench-sim bench-market bench-scan scan-fencing
bench: bench-execute bench-sim bench-market bench-scan ## All of them

BENCH := .venv/.bench-done
$(BENCH): $(SETUP) requirements-bench.lock
	@echo 'packages of requirements-bench.lock, hashes checked'
	@if [ -x $(BIN)/uv ]; then $(BIN)/uv pip install --system-certs --python $(BIN)/python --require-hashes -r requirements-bench.lock; \
		else $(RUN) pip install -q --disable-pip-version-check --require-hashes -r requirements-bench.lock; fi
	@touch $@

bench-market: $(SETUP) ## Book updates per second beside ccxt.pro, frame to subscriber, memory of a stalled reader
	@$(RUN) benchmarks.market $(ARGS)

bench-execute: $(BENCH) ## Executions per second beside the floor and DBOS, paired rounds
	@$(RUN) benchmarks.execute $(ARGS)

bench-sim: $(SETUP) ## Order requests a second, and book frames a second to 50 sockets, of the simulated exchange
	@$(RUN) benchmarks.sim && $(RUN) benchmarks.sim_frames

bench-scan: $(BENCH) ## Claims and completions of scan jobs beside a bare floor, pgqueuer and procrastinate
	@$(RUN) benchmarks.scan $(ARGS)

scan-fencing: $(BENCH) ## Whose late holder can end a job that another runs by now? A table
	@$(RUN) benchmarks.scan_fencing $(ARGS)
