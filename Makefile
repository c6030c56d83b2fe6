# From a clone, on a machine with Python (3.11 or later) and make:
#   make demo    runs the quickstart twice: the first run pays, the second is free
#   make test    everything that has to hold: lint, types, layers, tests, notebooks, old LangChain packages
PYTHON ?= python3
BIN := .venv/bin
OLDEST := langchain-core==1.0.0 langchain-openai==1.0.0 langchain-anthropic==1.0.0 langchain-ollama==1.0.0

.PHONY: demo test lint unit browser chromium notebooks compat truth bench format clean

demo: .venv/ready
	$(BIN)/python notebooks/demo.py

test: lint unit browser
	$(MAKE) --jobs=2 --output-sync=line notebooks compat

lint: .venv/ready
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

unit: .venv/ready
	$(BIN)/coverage erase
	$(BIN)/pytest --ignore tests/browser --numprocesses=2 --dist=loadfile --cov --cov-report=term --cov-fail-under=93

# The panel in JupyterLab and Notebook 7. What fails is tried once more: a browser on a busy machine may take its time.
browser: .venv/ready chromium
	$(BIN)/pytest tests/browser || $(BIN)/pytest tests/browser --last-failed

chromium:
	@command -v "$${NBCACHE_CHROMIUM:-chromium}" >/dev/null || command -v google-chrome >/dev/null || \
	  { apt-get update -qq && apt-get install -y -qq chromium; } || \
	  { echo "The panel's tests need a browser: install chromium, or name one in NBCACHE_CHROMIUM." >&2; exit 1; }

# In a store of their own, first cold and then warm: the outputs must be the same. One runs from its cassette alone.
notebooks: .venv/ready
	rm -rf .venv/notebooks
	env -u OPENAI_API_KEY NBCACHE_DIR=$(CURDIR)/.venv/notebooks $(BIN)/pytest --nbval notebooks --ignore notebooks/replay.ipynb
	env -u OPENAI_API_KEY NBCACHE_DIR=$(CURDIR)/.venv/notebooks $(BIN)/pytest --nbval notebooks --ignore notebooks/replay.ipynb
	env -u OPENAI_API_KEY NBCACHE_DIR=$(CURDIR)/.venv/notebooks/empty $(BIN)/pytest --nbval --nbcache=replay notebooks/replay.ipynb

# Keys, streams and shared calls under the oldest supported LangChain packages; `unit` checks them under the newest.
compat: .venv/oldest/ready
	.venv/oldest/bin/python -m tests.compat

# Keys against what is really sent, for a hundred thousand pairs of calls and more; `unit` checks a few thousand.
truth: .venv/ready
	$(BIN)/python -m tests.truth --write

bench: .venv/bench/ready
	.venv/bench/bin/python -m tests.bench

format: .venv/ready
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:
	rm -rf .venv .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache

.venv/ready: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --editable . --group dev
	touch $@

.venv/oldest/ready: .venv/ready
	$(PYTHON) -m venv .venv/oldest
	.venv/oldest/bin/python -m pip install --quiet --editable . $(OLDEST)
	touch $@

# langchain-community is what nbcache is measured against; nothing else here may need it. The panel is measured in
# JupyterLab, in the Chromium that `browser` takes; without one, the bench says that it didn't measure that.
.venv/bench/ready: .venv/ready
	$(PYTHON) -m venv .venv/bench
	.venv/bench/bin/python -m pip install --quiet --editable . langchain-openai langchain-community jupyterlab playwright
	touch $@
