# make demo   identify the elements of an example spectrum, in an environment of its own
# make docs   build the manual into docs/_build
# make test   run the whole test suite, in an environment of its own
PYTHON ?= python3
DEMO := .venv-demo
TEST := .venv-test
DOCS := .venv-docs
SOURCES := pyproject.toml constraints.txt $(shell find src -name '*.py' -o -name '*.csv' -o -name '*.npz' -o -name '*.toml' -o -name '*.json' -o -name '*.onnx' 2>/dev/null)

.PHONY: help demo test lint docs clean
help:
	@echo "make demo    identify the elements of an example spectrum (no torch needed)"
	@echo "make test    run the test suite (installs torch, for training's tests)"
	@echo "make lint    ruff and mypy"
	@echo "make docs    the manual, in docs/_build/index.html"
	@echo "make clean   remove the environments and outputs"

define environment
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or later is needed; name one with: make $@ PYTHON=python3.12"; exit 2; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || \
	  { echo "this Python cannot make environments; on Debian: apt install python3-venv"; exit 2; }
	@test -x $(1)/bin/python || $(PYTHON) -m venv $(1)
endef

$(DEMO)/.done: $(SOURCES)
	$(call environment,$(DEMO))
	@$(DEMO)/bin/python -m pip install --quiet --disable-pip-version-check .
	@touch $@

demo: $(DEMO)/.done
	@mkdir -p out
	@$(DEMO)/bin/coreloss identify examples/lanthanum_manganite.csv --plot out/demo.png --force

# torch first and pinned: the newest release would bring gigabytes of GPU libraries
$(TEST)/.done: pyproject.toml constraints.txt
	$(call environment,$(TEST))
	@$(TEST)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	@$(TEST)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[train,gos,distributed,hyperspy,test,lint]'
	@# for its edge table alone, to which ours is compared, as it is to that of eXSpy
	@$(TEST)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps nionswift-eels-analysis==0.6.13
	@touch $@

test: $(TEST)/.done
	@OMP_NUM_THREADS=1 $(TEST)/bin/python -m pytest -n 2

lint: $(TEST)/.done
	@$(TEST)/bin/ruff check .
	@$(TEST)/bin/ruff format --check .
	@$(TEST)/bin/mypy

$(DOCS)/.done: pyproject.toml constraints.txt
	$(call environment,$(DOCS))
	@$(DOCS)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@touch $@

docs: $(DOCS)/.done
	@$(DOCS)/bin/sphinx-build -W --keep-going -q docs docs/_build

clean:
	rm -rf $(DEMO) $(TEST) $(DOCS) docs/_build out build dist
