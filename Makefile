# Each target installs what it needs, in .venv, and does so again only when pyproject.toml or constraints.txt changed.
.PHONY: help run test clients check docs bench bench-quick bench-check bench-instructions bench-mixed bench-sdk profile endurance format setup

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin

# The version check of the pyright wrapper asks the network; what is installed is what constraints.txt says.
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1
# The theme warns of mkdocs 2 at every build; pyproject.toml keeps to 1.
export NO_MKDOCS_2_WARNING := 1

# What a client with the openai package of 1.x would notice.
OPENAI_1_TESTS := $(addprefix tests/gateway/test_,$(addsuffix .py,chat_completions memory_modes files_in models identity tools structured_output))

# Client programs, each with its environment. Those that take seconds to install run with the other tests.
CLIENTS := openai_agents pydantic_ai langchain llama_index
LIGHT_CLIENTS := openai_agents pydantic_ai
NODE_CLIENT := tests/clients/vercel_ai/node_modules/.package-lock.json

# What the benchmark sets beside the gateway, each in an environment of its own.
PEERS := fastapi litellm

help: ## Show this.
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' Makefile | expand -t 26

run: .venv/.gateway ## Start the gateway: on the Dify that .env names, else on a simulated one.
	$(BIN)/opendify serve --simulator $(ARGS)

test: .venv/.dev .venv/openai-1 $(LIGHT_CLIENTS:%=.venv/clients/%/installed) $(if $(shell command -v npm),$(NODE_CLIENT)) ## Run the tests. ARGS="-k words" picks some.
	$(BIN)/pytest -q -n 2 --dist loadfile $(ARGS)
	$(if $(ARGS),,PYTHONPATH=.venv/openai-1 $(BIN)/pytest -q -n 2 --dist loadfile $(OPENAI_1_TESTS))

clients: .venv/.dev $(NODE_CLIENT) $(CLIENTS:%=.venv/clients/%/installed) ## Run agent frameworks against the gateway. ARGS="-k words" picks some.
	$(BIN)/pytest -q -n 2 --dist loadfile tests/clients $(ARGS)

check: .venv/.dev ## Format, lint, types, generated files, documents and the house rules.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/python scripts/unasync.py --check
	$(BIN)/python scripts/documents.py --check
	$(BIN)/pytest -q tests/test_house_rules.py tests/test_docs.py tests/compat/test_types.py

docs: .venv/.dev ## Build the site of the documents and the reference into site/.
	$(BIN)/mkdocs build --strict
	@echo "Open site/index.html; for the search, too: $(BIN)/mkdocs serve"

bench: .venv/.bench $(PEERS:%=.venv/peers/%/installed) ## Measure the gateway beside others: under ten minutes. ARGS=--page writes the figures into the documents.
	$(BIN)/python -m benchmarks $(ARGS)

bench-quick: .venv/.dev ## Measure what says the most: under two minutes.
	$(BIN)/python -m benchmarks --quick $(ARGS)

bench-check: .venv/.dev ## Is the gateway slower than what was committed? Fails past 20 percent.
	$(BIN)/python -m benchmarks --check $(ARGS)

bench-instructions: .venv/.dev ## Count the instructions of the pure parts, with valgrind. Fails past 5 percent. ARGS=--write keeps them.
	$(BIN)/python -m benchmarks.instructions $(ARGS)

profile: .venv/.profile ## Where do a call and a chunk spend their time? A table and flame graphs, in a minute.
	$(BIN)/python -m benchmarks.profile $(ARGS)

bench-mixed: .venv/.dev ## How smooth are streams while others call and upload beside them? Fails past 10 ms; in two minutes.
	$(BIN)/python -m benchmarks.mixed $(ARGS)

bench-sdk: .venv/.dev ## Measure the SDK.
	$(BIN)/python -m benchmarks.sdk $(ARGS)

endurance: .venv/.dev ## Ask one worker 20,000 times, and weigh it.
	ENDURANCE=1 $(BIN)/pytest -q -rP tests/gateway/test_endurance.py

format: .venv/.dev ## Format, mend what can be mended by itself, write the generated files.
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .
	$(BIN)/python scripts/unasync.py
	$(BIN)/python scripts/documents.py

setup: .venv/.dev ## Make .venv with all that development needs.

.venv/.gateway: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[gateway]'
	@touch $@

.venv/.dev: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@ .venv/.gateway

.venv/.bench: .venv/.dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	@touch $@

.venv/.profile: .venv/.dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[profile]'
	@touch $@

.venv/openai-1: tests/openai-1.txt .venv/.dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target $@ -r $<
	@touch $@

.venv/peers/%/installed: benchmarks/requirements/%.txt | $(BIN)/python
	$(BIN)/python -m venv --clear --without-pip $(@D)
	$(BIN)/python -m pip --python $(@D)/bin/python install --quiet --disable-pip-version-check --no-deps -r $<
	@touch $@

.venv/clients/%/installed: tests/clients/%/requirements.txt | $(BIN)/python
	$(BIN)/python -m venv --clear --without-pip $(@D)
	$(BIN)/python -m pip --python $(@D)/bin/python install --quiet --disable-pip-version-check --no-deps -r $<
	@touch $@

$(NODE_CLIENT): tests/clients/vercel_ai/package-lock.json
	@command -v npm >/dev/null || \
		{ echo "The Vercel AI SDK is tested with Node 20 and npm, and npm is not here: install them, then run this again."; exit 1; }
	npm ci --prefix tests/clients/vercel_ai --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

# Debian's Python makes no pip without the package python3-venv; the pip outside can put one in.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "OpenDify needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv .venv || { $(PYTHON) -m venv --clear --without-pip .venv && \
		$(PYTHON) -m pip --python $(BIN)/python install --quiet pip; }
