# Two commands do everything: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo

.PHONY: demo test check install clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[llm,hub,dev]'
	touch $@

demo: install
	rm -rf $(DEMO)
	$(BIN)/labelwright run "Sort customer messages into delivery, returns, billing, product_question and account" \
		--data evals/sample/support.csv --gold-column intent --reviewer simulated \
		--human-labels 250 --seed 1 --project $(DEMO)
	$(BIN)/labelwright audit $(DEMO) --verify

test: install
	$(BIN)/python -m pytest

check: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) $(DEMO) build dist *.egg-info
