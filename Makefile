# From a clone, on a machine with Python (3.11 or later) and make:
#   make demo    runs the quickstart twice: the first run pays, the second is free
#   make test    everything that has to hold: lint, types, layers, tests, notebooks, old LangChain packages, the site
#   make docs    the site, in docs/_build/html
PYTHON ?= python3
BIN := .venv/bin
# Installs what requirements/NAME.txt lists, release for release, and then nbcache itself from here.
INSTALL = $(1)/bin/python -m pip install --quiet --upgrade 'pip>=25.1' && \
  $(1)/bin/python -m pip install --quiet --require-hashes --no-deps --requirement requirements/$(2).txt && \
  $(1)/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
# The tests that depend most on what providers' packages do.
NEWEST_TESTS := tests/keys tests/integrations tests/entry/usage/test_usage_of_call.py tests/docs/test_notebooks.py

# Tests start hundreds of processes: none of them has to compile nbcache anew, whatever the environment says.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test lint unit redis mounts coverage browser chromium notebooks compat clients docs newest truth bench beside lock format clean

demo: .venv/ready
	$(BIN)/python notebooks/demo.py

test:
	$(MAKE) --jobs=2 --output-sync=line lint compat clients notebooks docs
	$(MAKE) unit browser

lint: .venv/ready
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

# A file of tests at a time on each core, in the order of their names: otherwise files with few tests that take long come last,
# and one core waits for the other.
UNIT := pytest --ignore tests/ui/browser --numprocesses=2 --dist=loadfile --no-loadscope-reorder

unit: .venv/ready redis mounts
	$(BIN)/$(UNIT) -m "not before_release"

# The tests of stores start a server of their own; the one that the package would start is not needed.
redis:
	@command -v redis-server >/dev/null || command -v valkey-server >/dev/null || \
	  { apt-get update -qq && RUNLEVEL=1 apt-get install -y -qq redis-server && \
	    { ! command -v systemctl >/dev/null || systemctl disable --now redis-server || true; }; } || \
	  { echo "The tests of stores need a server: install redis-server or valkey-server." >&2; exit 1; }

# A file system that the tests mount twice, as two machines would, and one with quotas. Where none may be mounted, these tests
# are skipped, and say so.
mounts:
	@{ command -v bindfs && command -v mkfs.btrfs; } >/dev/null || [ ! -e /dev/fuse ] || \
	  { apt-get update -qq && apt-get install -y -qq bindfs btrfs-progs; } || \
	  echo "The tests of network file systems and quotas need bindfs and btrfs-progs: they are skipped." >&2

# The same with two parts of the bench that take minutes, and how much of nbcache the tests run. That takes half as long again, at least. To be run before each release.
coverage: .venv/ready redis mounts
	$(BIN)/coverage erase
	$(BIN)/$(UNIT) --cov --cov-report=term --cov-fail-under=95

# The panel in JupyterLab and Notebook 7. What fails is tried once more: a browser on a busy machine may take its time.
browser: .venv/ready chromium
	$(BIN)/pytest tests/ui/browser || $(BIN)/pytest tests/ui/browser --last-failed

chromium:
	@command -v "$${NBCACHE_CHROMIUM:-chromium}" >/dev/null || command -v google-chrome >/dev/null || \
	  { apt-get update -qq && apt-get install -y -qq chromium; } || \
	  { echo "The panel's tests need a browser: install chromium, or name one in NBCACHE_CHROMIUM." >&2; exit 1; }

# In a store of their own, first cold and then warm: the outputs must be the same. One runs from its cassette alone, and
# one needs the clients: `clients` runs it.
notebooks: NOTEBOOKS = env -u OPENAI_API_KEY NBCACHE_DIR=$(CURDIR)/.venv/notebooks \
  $(BIN)/pytest --nbval notebooks --ignore notebooks/replay.ipynb --ignore notebooks/clients.ipynb
notebooks: .venv/ready redis
	rm -rf .venv/notebooks
	$(NOTEBOOKS)
	$(NOTEBOOKS)
	env -u OPENAI_API_KEY NBCACHE_DIR=$(CURDIR)/.venv/notebooks/empty $(BIN)/pytest --nbval --nbcache=replay notebooks/replay.ipynb

# Keys, streams and shared calls under the oldest supported LangChain packages; `unit` checks them under the newest.
compat: .venv/oldest/ready
	.venv/oldest/bin/python -m tests.compat

# The clients of models, as their users run them: a second run is free. `unit` has those that need openai's next major version.
# Their notebook runs cold and then warm, like the others. LiteLLM would fetch its price list from the network.
clients: NOTEBOOK = env -u OPENAI_API_KEY -u ANTHROPIC_API_KEY -u GEMINI_API_KEY -u GOOGLE_API_KEY \
  NBCACHE_DIR=$(CURDIR)/.venv/clients/store LITELLM_LOCAL_MODEL_COST_MAP=True .venv/clients/bin/pytest --nbval notebooks/clients.ipynb
clients: .venv/clients/ready redis
	.venv/clients/bin/pytest tests/integrations/clients
	rm -rf .venv/clients/store
	$(NOTEBOOK)
	$(NOTEBOOK)

# The site. It needs no network, and loads nothing from one. A warning or a dead link is an error.
docs: .venv/docs/ready
	rm -rf docs/_build
	.venv/docs/bin/sphinx-build --quiet --fail-on-warning --keep-going -c docs -d docs/_build/doctrees . docs/_build/html
	.venv/docs/bin/python docs/check_site.py docs/_build/html

# The tests at today's newest releases, which the lock files don't have yet. To be run before each release.
newest: .venv/ready
	$(PYTHON) -m venv --clear .venv/newest
	.venv/newest/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	.venv/newest/bin/python -m pip install --quiet --editable . --group dev
	.venv/newest/bin/pytest --numprocesses=2 --dist=loadfile $(NEWEST_TESTS)

# Keys against what is really sent, for a hundred thousand pairs of calls and more; `unit` checks a few thousand.
truth: .venv/ready
	$(BIN)/python -m tests.keys.truth --write

# Ten minutes, and best on a machine that does nothing else. It writes benchmarks/RESULTS.md, a line of benchmarks/history.jsonl
# and the table in docs/figures.md. `python -m benchmarks --growth` does that for stores of up to a million entries.
bench: .venv/bench/ready
	.venv/bench/bin/python -m benchmarks

# Another version beside this one, for the speed of hits and misses: make beside OTHER=/a/folder/that/holds/its/package
beside: .venv/ready
	$(BIN)/python -m benchmarks.beside $(OTHER)

# Look for newer releases of all that is installed here, for each version of Python.
lock:
	$(PYTHON) -m venv .venv/lock
	.venv/lock/bin/python -m pip install --quiet --upgrade uv
	for name in dev bench clients docs oldest; do \
	  .venv/lock/bin/uv pip compile pyproject.toml --group $$name --universal --python-version 3.11 --upgrade --quiet \
	    --generate-hashes --no-emit-index-url --no-annotate --custom-compile-command "make lock" \
	    --output-file requirements/$$name.txt || exit; \
	done

format: .venv/ready
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:
	rm -rf .venv docs/_build .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache

# Two of those below may begin at once, and each would make the folder.
.venv:
	mkdir -p $@

# Releases that the tests have passed with. `make lock` looks for newer ones.
.venv/ready: pyproject.toml requirements/dev.txt | .venv
	$(PYTHON) -m venv .venv
	$(call INSTALL,.venv,dev)
	touch $@

.venv/oldest/ready: .venv/ready requirements/oldest.txt
	$(PYTHON) -m venv .venv/oldest
	$(call INSTALL,.venv/oldest,oldest)
	touch $@

.venv/clients/ready: .venv/ready requirements/clients.txt
	$(PYTHON) -m venv .venv/clients
	$(call INSTALL,.venv/clients,clients)
	touch $@

.venv/docs/ready: pyproject.toml requirements/docs.txt | .venv
	$(PYTHON) -m venv .venv/docs
	$(call INSTALL,.venv/docs,docs)
	touch $@

# The panel is measured in JupyterLab, in the Chromium that `browser` takes; without one, the bench says that it didn't
# measure that.
.venv/bench/ready: .venv/ready requirements/bench.txt
	$(PYTHON) -m venv .venv/bench
	$(call INSTALL,.venv/bench,bench)
	touch $@
