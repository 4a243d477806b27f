# Everything runs in a virtual environment inside this checkout; PYTHON picks the interpreter it is made from.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The install links every file by itself, so it is made anew when files have come or gone.
FILES := $(shell find minigrad models viz -name '*.py' -o -name 'page.*' | LC_ALL=C sort | cksum | cut -d ' ' -f 1)
STAMP := $(VENV)/.installed-$(FILES)
# What Python has compiled is kept, whatever the shell says: hundreds of processes of the tests import the same modules.
export PYTHONDONTWRITEBYTECODE =

.PHONY: mistakes compiled proof demo gallery golden lessons test test-exhaustive lint types programs mutants coverage readme docs bench bench-quick clean

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "minigrad needs Python 3.11 or newer: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@rm -rf build/__editable__.*
	$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check --config-settings editable_mode=strict --editable '.[dev]'
	@rm -f $(VENV)/.installed* && touch $@

lessons: $(STAMP)
	@for lesson in examples/c[1-5]_*.py examples/trap_*.py; do \
	    echo "--- $$lesson"; $(BIN)/python $$lesson lesson-output || exit 1; \
	done

# make demo TEXT=path takes a text of yours, OPTIONS='--cell gru …' sets what examples/character_model.py --help lists.
# One BLAS thread, unless you say otherwise: at these sizes a second one gains little, and costs much on a busy machine.
demo: $(STAMP)
	@OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(BIN)/python examples/character_model.py $${TEXT:+"--text=$$TEXT"} $(OPTIONS)

# The pictures that tests/viz/golden holds, drawn anew: for changes that are meant; look at what git shows.
golden: $(STAMP)
	@GOLDEN=write $(BIN)/python -m pytest tests/viz/test_viz_golden.py

# Every kind of picture on one page.
gallery: $(STAMP)
	@$(BIN)/python examples/gallery.py build/gallery

# One training shared by several processes through MPI; OPTIONS sets what examples/parallel.py --help lists.
PROCESSES ?= 2
parallel: $(STAMP)
	@PATH="$(BIN):$$PATH" OMP_NUM_THREADS=1 mpiexec -n $(PROCESSES) $(BIN)/python examples/parallel.py $(OPTIONS)

lint: $(STAMP)
	$(BIN)/ruff check .

# Checked where it is installed: there the folders of the checkout are one package, as they are for a user.
EXAMPLES := $(patsubst examples/%.py,-m %,$(wildcard examples/*.py))
types: $(STAMP)
	@cd build/__editable__.* && MYPYPATH=../..:../../examples ../../$(BIN)/mypy --config-file ../../pyproject.toml \
	    -p minigrad -p minigrad.models -p minigrad.viz -p benchmarks $(EXAMPLES)

# What some tests of pictures need and pip does not bring.
programs:
	@bash tests/viz/install_programs.sh

# What Python has to compile of the tests, before two processes do so at once; what is wrong with them is said when they run.
compiled: $(STAMP)
	@$(BIN)/python -m pytest --collect-only -qq > /dev/null 2>&1 || true

# First what can be done at once; then as many processes as there are cores, each with one BLAS thread.
test:
	@$(MAKE) --no-print-directory -j 4 programs lint types compiled
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal

# Every case of the tables of which make test runs a part; tests/conftest.py says how that is chosen.
test-exhaustive: export EXHAUSTIVE = 1
test-exhaustive: test

# Every planted mistake, one at a time (some minutes); make mutants ONLY='tanh clip' tries those whose names say so.
mutants: $(STAMP)
	@PYTHONPATH=tests $(BIN)/python -m mutation $(ONLY)

# N random changes of the three floors, other ones each time unless SEED is given (some minutes for each core and dozen).
mutants-sampled: $(STAMP)
	@PYTHONPATH=tests $(BIN)/python -m mutation.sampled $${N:-60} $${SEED}

# The tests on every declared Python that is here, with the lowest and the newest NumPy; the last lines say what was tried.
test-versions: $(STAMP)
	@$(BIN)/python tests/project/try_versions.py

# How much of minigrad/ its tests reach, branch by branch.
coverage: $(STAMP)
	$(BIN)/python -m coverage run --branch --source=minigrad -m pytest tests
	$(BIN)/python -m coverage report --show-missing --skip-covered --fail-under=98

# The table of mistakes that check_backward names, in docs/wrong_backward_passes.md.
mistakes: $(STAMP)
	@PYTHONPATH=tests/checks $(BIN)/python tests/checks/coverage_table.py

# Mistakes planted in derived sources and in models/by_hand, and docs/proof.md. A run takes at most eight minutes: run it again
# until all checks are done. OPTIONS as its --help lists; "--places 4 --arrays 1000" is the whole.
proof: $(STAMP)
	@PYTHONPATH=tests/checks:tests/derivation OMP_NUM_THREADS=1 $(BIN)/python -m planting $(OPTIONS)

readme: $(STAMP)
	$(BIN)/python tests/project/write_readme.py

# The site, in build/site: open index.html. Every lesson is run for its page, every docstring has its place.
docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	@echo "the site is in build/site/index.html"

$(VENV)/.docs: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --config-settings editable_mode=strict --editable '.[docs]'
	@touch $@

bench: $(STAMP)
	$(BIN)/python -m benchmarks

bench-quick: $(STAMP)
	$(BIN)/python -m benchmarks --quick --out build/bench-quick

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache
