# What people type. CMake builds (CMakePresets.json names the variants); this file only calls it and
# the scripts in tools/. Each variant has its own directory, build/NAME.
PREFIX ?= /usr/local
FUZZ_SECONDS ?= 60

.PHONY: all deps quickstart quickstart-ci learning check check-build check-long check-transformers bench fuzz \
        install format lint clean help

all: deps
	tools/build.sh release

help:
	@echo 'make                 the program: build/release/fathom'
	@echo 'make quickstart      text -> tokenizer -> model -> sentences, in some minutes'
	@echo 'make quickstart-ci   the same, cut to a minute or two'
	@echo 'make learning        runs with other formats, without router bias, without MTP: a table (an hour)'
	@echo 'make check           build with warnings as errors, run every test'
	@echo 'make check-build     build the tests only'
	@echo 'make check-long      every test under sanitizers; clang, clang-tidy, layer rules'
	@echo 'make check-transformers  what we write loads in transformers (PYTHON=a Python that has it)'
	@echo 'make bench           limits of this machine, operations and training against them'
	@echo 'make fuzz            fuzz each target for FUZZ_SECONDS=$(FUZZ_SECONDS) seconds'
	@echo 'make install         into PREFIX=$(PREFIX) (DESTDIR is honoured)'
	@echo 'make format | lint   clang-format in place | formatter, clang-tidy and layer rules'
	@echo 'make clean           removes build/'

deps:
	@tools/install_deps.sh

quickstart: all
	tools/quickstart.sh

quickstart-ci: all
	tools/quickstart.sh --ci

learning: all
	tools/learning.sh

check: deps
	@tools/check.sh

check-build: deps
	tools/build.sh dev

check-long:
	@tools/install_deps.sh long
	@tools/check_long.sh

check-transformers: all
	tools/check_transformers.sh

bench: all
	build/release/fathom bench machine
	build/release/fathom bench ops
	build/release/fathom bench train

fuzz:
	@tools/install_deps.sh long
	@FUZZ_SECONDS=$(FUZZ_SECONDS) tools/fuzz.sh

install: all
	cmake --install build/release --prefix '$(PREFIX)'

format:
	tools/lint.sh --format

lint:
	@tools/install_deps.sh long
	tools/build.sh clang
	tools/lint.sh build/clang

clean:
	rm -rf build
