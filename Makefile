# superd. `make` alone lists what there is to make.
#
# Nothing is written to the checkout but .venv, and by root nothing at all: its environments stand where the
# users that superd drops to can read them, which a clone under /root is not.

PYTHON ?= /usr/bin/python3
ifeq ($(shell id -u),0)
VENV   ?= /var/cache/superd/venv-$(shell printf %s '$(CURDIR)' | cksum | cut -d' ' -f1)
else
VENV   ?= $(CURDIR)/.venv
endif

# where `make install` puts things; a packager gives PREFIX=/usr DESTDIR=… DEPENDENCIES=system
PREFIX       ?= /usr/local
BINDIR       ?= $(PREFIX)/bin
SBINDIR      ?= $(PREFIX)/sbin
LIBDIR       ?= $(PREFIX)/lib
MANDIR       ?= $(PREFIX)/share/man
DOCDIR       ?= $(PREFIX)/share/doc/superd
UNITDIR      ?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR  ?= $(PREFIX)/lib/sysusers.d
DEPENDENCIES ?= bundled

RUN_ENV  = $(VENV)/run
# what builds superd for `make install`; the tests give their own
INSTALL_ENV ?= $(RUN_ENV)
# apart from the first, so that new code under test never reaches a superd that is running
TEST_ENV = $(VENV)/test

export PYTHONDONTWRITEBYTECODE = 1
CACHES = MYPY_CACHE_DIR='$(TEST_ENV)/cache/mypy' RUFF_CACHE_DIR='$(TEST_ENV)/cache/ruff' \
	HYPOTHESIS_STORAGE_DIRECTORY='$(TEST_ENV)/cache/hypothesis'

.PHONY: help setup run test lint bench install uninstall clean python run-env test-env install-env

help:
	@echo 'make run        run superd here, in the foreground: harmless, on loopback alone ([CONFIG=FILE])'
	@echo 'make test       all tests, linters included; as root the live ones too ([ARGS="-k WORD"])'
	@echo 'make lint       ruff and mypy alone'
	@echo 'make bench      superd against the other super-servers, as root ([BENCH=SCENARIO])'
	@echo 'make setup      the Python environments that the others make when they are missing'
	@echo 'make install    program, man pages, unit file ([PREFIX=$(PREFIX)] [DESTDIR=])'
	@echo 'make uninstall  removes them again'
	@echo 'make clean      removes the environments and everything else that was made'
	@echo
	@echo 'PYTHON=$(PYTHON)'
	@echo 'VENV=$(VENV)'

setup: run-env test-env

python:
	@command -v '$(PYTHON)' >/dev/null || { echo 'superd: no $(PYTHON); install it as root with:' \
		'apt-get install -y --no-install-recommends python3 python3-venv' >&2; exit 1; }

run-env: python
	@'$(PYTHON)' -B tools/environment.py '$(RUN_ENV)'

test-env: python
	@'$(PYTHON)' -B tools/environment.py '$(TEST_ENV)' dev

ifeq ($(INSTALL_ENV),$(RUN_ENV))
install-env: run-env
else
install-env:
endif

run: run-env
	@'$(RUN_ENV)/bin/python' -B -I tools/foreground.py $(CONFIG)

# PYTHONSAFEPATH: what starts superd starts the installed one, which every user can read, not the checkout's;
# the benchmark's modules are in no package and must be found all the same
INSTALLED = PYTHONSAFEPATH=1 PYTHONPATH='$(CURDIR)/bench'

test: test-env
	@$(CACHES) $(INSTALLED) '$(TEST_ENV)/bin/python' -m pytest -o cache_dir='$(TEST_ENV)/cache/pytest' $(ARGS)

lint: test-env
	@$(CACHES) '$(TEST_ENV)/bin/python' -m ruff check .
	@$(CACHES) '$(TEST_ENV)/bin/python' -m ruff format --check .
	@$(CACHES) '$(TEST_ENV)/bin/python' -m mypy superd tests bench tools

bench: test-env
	@$(INSTALLED) '$(TEST_ENV)/bin/python' bench/run.py $(if $(BENCH),--scenario $(BENCH)) $(ARGS)

INSTALL = '$(INSTALL_ENV)/bin/python' tools/install.py --python '$(PYTHON)' --destdir '$(DESTDIR)' \
	--bindir '$(BINDIR)' --sbindir '$(SBINDIR)' --libdir '$(LIBDIR)' --mandir '$(MANDIR)' --docdir '$(DOCDIR)' \
	--unitdir '$(UNITDIR)' --sysusersdir '$(SYSUSERSDIR)' --dependencies '$(DEPENDENCIES)'

install: install-env
	@$(INSTALL)

uninstall: install-env
	@$(INSTALL) --uninstall

clean:
	rm -rf '$(VENV)/run' '$(VENV)/test' '$(VENV)/run.lock' '$(VENV)/test.lock' bench/results build dist
	rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find superd tests bench tools -name __pycache__ -prune -exec rm -rf {} +
	[ ! -d '$(VENV)' ] || rmdir --ignore-fail-on-non-empty '$(VENV)'
