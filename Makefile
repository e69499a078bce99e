# `make up` runs everything, `make test` proves it. Both make the environment in .venv first.

PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3; do \
	$$name -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$name && break; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: env env-dev up test check bench lock fmt clean

env: .venv/.server
env-dev: .venv/.dev

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed; name it with: make PYTHON=/path/to/python"; exit 1; }
	@echo "Making the environment in .venv with $(PYTHON)"
	@$(PYTHON) -m venv .venv || { rm -rf .venv; \
		echo "This Python can't make environments; on Debian or Ubuntu: apt-get install python3-venv"; exit 1; }

.venv/.server: requirements/server.txt | .venv/bin/python
	@echo "Installing what the server needs (this takes a minute the first time)"
	@$(PIP) install --require-hashes -r requirements/server.txt
	@$(BIN)/python -c 'from pathlib import Path; import sysconfig; \
		Path(sysconfig.get_path("purelib"), "meshhook_errors.pth").write_text(str(Path.cwd()))'
	@printf '#!/bin/sh\nexec "$$(dirname "$$0")/python" -m jobs.cli "$$@"\n' > $(BIN)/meshhook-errors
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
	@$(BIN)/python -m pytest $(ARGS)

check: env-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

bench: env-dev
	@$(BIN)/python -m tests.bench $(ARGS)

fmt: env-dev
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

# The lock files hold versions and hashes, and no addresses.
lock: .venv/bin/python
	@$(PIP) install uv
	@for extras in "server" "server dev"; do set -- $$extras; for last in $$extras; do :; done; \
		$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
			--no-header $$(printf -- '--extra %s ' $$extras) pyproject.toml -o requirements/$$last.txt; done

clean:
	rm -rf .venv .pytest_cache .ruff_cache .mypy_cache .hypothesis .import_linter_cache
