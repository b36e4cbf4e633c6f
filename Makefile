# `make run` sets everything up and opens the page; `make test` sets everything up and tests it all.
PYTHON ?= python3
PORT ?= 8501
BIN := .venv/bin

.PHONY: run test lint benchmark chromium clean

run: .venv/.run
	$(BIN)/streamlit run app.py --server.port $(PORT)

test: .venv/.test chromium lint
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

lint: .venv/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

benchmark: .venv/.test chromium
	$(BIN)/python -m benchmarks.query
	$(BIN)/python -m benchmarks.scoring
	$(BIN)/python -m benchmarks.embedding
	$(BIN)/python -m benchmarks.build
	$(BIN)/python -m benchmarks.page

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "mars_map needs Python 3.11 or newer; set PYTHON=/path/to/python3.11." >&2; exit 1; }
	$(PYTHON) -m venv .venv

.venv/.run: requirements.txt pyproject.toml | .venv/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

.venv/.test: requirements-dev.txt requirements-reference.txt .venv/.run
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --upgrade --no-deps \
	  --target .venv/reference -r requirements-reference.txt
	@touch $@

# The browser journeys drive a Chromium of the system; Debian and its kin have it as a package.
chromium:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || \
	  { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium; } || \
	  echo "Chromium is not installed: the browser journeys will be skipped (in CI they fail)." >&2

clean:
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis *.egg-info
