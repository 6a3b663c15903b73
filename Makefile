# SPDX-License-Identifier: BSD-3-Clause
# Front door. The build itself is Meson's; this file names the things people do.
#
#   make deps && make        build/src/cli/scweave
#   make install             PREFIX=/usr/local, DESTDIR=
#   make BUILD=build-clang CC=clang WERROR=true

BUILD   ?= build
SAN     ?= build-san
PREFIX  ?= /usr/local
DESTDIR ?=
WERROR  ?= false
FILES   ?=

# Debian's own interpreter: the one whose packages `make deps` installs.
PYTHON  := $(firstword $(wildcard /usr/bin/python3) python3)
SCWEAVE := $(BUILD)/src/cli/scweave
# Optimised, with assertions on: they cost nothing measurable here.
RELEASE := --buildtype=release --prefix=$(PREFIX) -Dwerror=$(WERROR)
# -O1 keeps this build short; a report of either sanitizer ends the test as failed. What is left out of
# the undefined behaviour ends in a bad access that the address sanitizer sees, and takes a quarter of
# the time of building and testing.
CHECKED := --buildtype=debugoptimized -Doptimization=1 -Db_sanitize=address,undefined \
           -Db_lundef=false -Dwerror=$(WERROR) -Dc_args='-fno-sanitize-recover=all -fno-sanitize=null,object-size,pointer-overflow'

.PHONY: all deps deps-build demo test test-all bench check install uninstall clean help

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD)

$(BUILD)/build.ninja:
	@meson setup $(BUILD) $(RELEASE) > $(BUILD)-setup.log 2>&1 || \
	    { cat $(BUILD)-setup.log; rm -f $(BUILD)-setup.log; \
	      echo 'scweave: the build could not be set up; "make deps" installs what it needs' >&2; \
	      exit 1; }
	@rm -f $(BUILD)-setup.log

$(SAN)/build.ninja:
	@meson setup $(SAN) $(CHECKED) > /dev/null

deps:
	@tools/deps.sh all

deps-build:
	@tools/deps.sh build

demo: deps-build
	@$(MAKE) --no-print-directory all
	@examples/demo.sh $(SCWEAVE) $(BUILD)/demo

test: deps
	@$(MAKE) --no-print-directory all
	@$(PYTHON) tools/run_tests.py $(BUILD)

test-all: deps
	@$(MAKE) --no-print-directory all $(SAN)/build.ninja
	@ninja -C $(SAN)
	@$(PYTHON) tools/run_tests.py $(BUILD) $(SAN)

check: all
	@$(PYTHON) tools/check.py --build $(BUILD)

bench: all
	@$(SCWEAVE) bench $(FILES)

install: all
	@meson configure $(BUILD) --prefix=$(PREFIX)
	@DESTDIR=$(DESTDIR) meson install -C $(BUILD) --quiet
	@echo 'installed under $(DESTDIR)$(PREFIX)'

uninstall:
	@ninja -C $(BUILD) uninstall

clean:
	rm -rf $(BUILD) $(SAN)

help:
	@echo 'make            release build in $(BUILD)/: program, shared and static library, man page'
	@echo 'make deps       install the Debian packages that are missing (build and tests)'
	@echo 'make demo       simulate a set, train on it, annotate and judge new cells: about a minute'
	@echo 'make test       all tests'
	@echo 'make test-all   all tests twice: normal build, and ASan+UBSan build'
	@echo 'make check      rules a machine can check: include arrows, exported symbols, no exit or'
	@echo '                print in the library, a gradient test for each op, headers compile alone'
	@echo 'make bench      this machine'"'"'s limits and our share of them; FILES="a.h5mu b.h5mu"'
	@echo 'make install    PREFIX=$(PREFIX) DESTDIR=$(DESTDIR); make uninstall takes it back'
	@echo 'make clean      remove the build folders'
	@echo
	@echo 'Settings: BUILD=folder CC=clang WERROR=true PREFIX=/usr/local'
