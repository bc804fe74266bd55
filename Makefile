# What a developer does here; each target says what it is for. Python 3.11 is all that must be there before.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
READY := .venv/.ready
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps
COMPILE := $(BIN)/uv pip compile --python-version 3.11 --generate-hashes --no-header --quiet

.PHONY: setup demo test lint bench bench-full shots lock clean

# Kafka, Cassandra, a replayed stream and a look at what was collected; nothing needs Docker.
demo: setup
	$(BIN)/starling demo

# Everything that a change must pass. The first run fetches Kafka and Cassandra (about 110 MB, two minutes).
test: lint
	$(BIN)/pytest -n 2

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint --ignore DL3008 Dockerfile # a pinned version leaves Debian's mirrors with the next one

# Figures; see benchmarks/README.md.
bench: setup
	$(BIN)/python -m benchmarks

# Figures of a million stored posts and more: partitions, the thesis's table and its word count.
bench-full: setup
	$(BIN)/python -m benchmarks.full

# The pictures in docs/images, by Chromium, of a demo's generated posts.
shots: setup
	$(BIN)/python -m docs.shots

setup: $(READY)

# In steps: what builds packages comes first, by hash like everything else, because pyspark exists only as source.
# --no-deps: the locks are whole, and a resolver that looks for `coverage[toml]` beside a pinned `coverage` meets a newer
# release without a hash as soon as there is one. `pip check` says whether they are whole.
$(READY): requirements/build.txt requirements/all.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null || \
		{ echo "Starling needs Python 3.11; set PYTHON=/path/to/python3.11 (found: $(PYTHON))" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(INSTALL) --require-hashes -r requirements/build.txt
	$(INSTALL) --require-hashes --no-build-isolation -r requirements/all.txt
	$(INSTALL) --no-build-isolation --editable .
	@$(BIN)/python -m pip check
	@touch $@

# After a change of pyproject.toml, or of a version in app/local/artifacts.py: new locks and new lists of jars.
# UPGRADE=--upgrade takes the newest versions that fit.
lock:
	@test -x $(BIN)/uv || { echo "no uv in .venv; run 'make setup' first" >&2; exit 1; }
	$(COMPILE) $(UPGRADE) pyproject.toml --extra local --extra analysis --group test --group lint --group bench --group build -o requirements/all.txt
	$(COMPILE) $(UPGRADE) pyproject.toml --constraint requirements/all.txt -o requirements/run.txt
	$(COMPILE) $(UPGRADE) pyproject.toml --extra analysis --constraint requirements/all.txt -o requirements/analysis.txt
	$(COMPILE) $(UPGRADE) --group build --constraint requirements/all.txt -o requirements/build.txt
	$(BIN)/python -m app.local.artifacts

# The environment and caches; what was collected (.starling) stays, `starling down --purge` removes that.
clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
