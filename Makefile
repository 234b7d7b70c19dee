# `make demo` analyses the sample photograph; `make test` passes all tests. `make help` lists the rest.
# Both set up everything they need in .venv. Without cargo they go on with the Python backend.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CARGO := $(shell command -v cargo 2>/dev/null)
RUST_SOURCES := $(shell find helicopter-rs -name target -prune -o \( -name '*.rs' -o -name '*.cu' -o -name '*.toml' -o -name '*.pyi' -o -name 'Cargo.lock' \) -print 2>/dev/null)
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

# How many tests run at once. Those that measure time do so afterwards, on a quiet machine.
WORKERS ?= 2
AT_ONCE := --numprocesses $(WORKERS) --dist loadgroup
TEST := $(if $(CARGO),HELICOPTER_REQUIRE_RUST=1 )$(BIN)/python
# Two jobs at once: rustc optimises the accelerator on one core while the other does the rest. What
# a job says is shown when it has ended, in one piece.
BESIDE := +$(MAKE) --no-print-directory --jobs 2 $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)

.PHONY: help demo emulator sanitize-cuda test-cuda test-cuda-python test test-rust test-python test-training lint lint-rust lint-python check exhaustive format \
	coverage coverage-rust fuzz sanitize miri deny audit hostile bench lock clean
.DEFAULT_GOAL := help

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

demo: $(VENV)/helicopter.stamp $(VENV)/accelerator.stamp ## analyse the sample photograph and leave a report
	$(BIN)/helicopter analyze --sample

# -- CUDA without a card: a driver and a compiler of the tests' own, see docs/cuda.md ----------------

EMULATOR := helicopter-rs/target/emulator
CXX ?= g++
EMULATOR_FLAGS := -std=c++17 -O1 -g1 -Wall -Wextra -fPIC -shared -fvisibility=hidden -pthread
KERNEL_FLAGS :=

emulator: $(EMULATOR)/libcuda.so $(EMULATOR)/libnvrtc.so ## the emulated CUDA driver, with g++

$(EMULATOR)/libcuda.so: $(wildcard helicopter-rs/emulator/*)
	@mkdir -p $(EMULATOR)/old
	cp helicopter-rs/emulator/*.h $(EMULATOR)/
	echo '$(KERNEL_FLAGS)' >$(EMULATOR)/kernel-flags
	$(CXX) $(EMULATOR_FLAGS) $(KERNEL_FLAGS) -Wl,-soname,libcuda.so helicopter-rs/emulator/driver.cpp -ldl -o $@
	$(CXX) $(EMULATOR_FLAGS) $(KERNEL_FLAGS) -O0 -DEMULATED_WITHOUT_POOLS -Wl,-soname,libcuda.so \
	  helicopter-rs/emulator/driver.cpp -ldl -o $(EMULATOR)/old/libcuda.so

$(EMULATOR)/libnvrtc.so: $(wildcard helicopter-rs/emulator/*)
	@mkdir -p $(EMULATOR)
	rm -rf $(EMULATOR)/cache $(EMULATOR)/home
	$(CXX) $(EMULATOR_FLAGS) -O0 -Wl,-soname,libnvrtc.so.12 helicopter-rs/emulator/nvrtc.cpp -ldl -o $@
	ln -sf libnvrtc.so $(EMULATOR)/libnvrtc.so.12
	ln -sf libnvrtc.so $(EMULATOR)/libnvrtc.so.13

HAVE_CXX := $(shell command -v $(CXX) 2>/dev/null)
ON_EMULATOR = HELICOPTER_CUDA_EMULATOR=$(abspath $(EMULATOR)) XDG_CACHE_HOME=$(abspath $(EMULATOR))/home
# Any complaint of the emulator's ends a test; and all that may be in another order is.
STRICT := HELICOPTER_EMULATOR_STRICT=1
OTHERWISE := HELICOPTER_EMULATOR_ORDER=backwards HELICOPTER_EMULATOR_GUARD=before HELICOPTER_EMULATOR_DEFER=1
CUDA_TESTS = $(TEST) -m pytest --quiet -m cuda tests/cuda

test-cuda: $(VENV)/dev.stamp $(VENV)/accelerator.stamp $(if $(HAVE_CXX),emulator) ## CUDA on the emulated driver, and on a card where there is one
ifdef CARGO
	cd helicopter-rs && $(ON_EMULATOR) $(STRICT) cargo test --locked --quiet --features cuda --lib cuda
	cd helicopter-rs && $(ON_EMULATOR) $(STRICT) $(OTHERWISE) cargo test --locked --quiet --features cuda --lib cuda
	cd helicopter-rs && $(ON_EMULATOR) cargo test --locked --quiet --features cuda --test cuda_faults
endif
	+$(MAKE) --no-print-directory test-cuda-python

# The same tests on a card, where there is one.
test-cuda-python: $(VENV)/dev.stamp $(VENV)/accelerator.stamp $(if $(HAVE_CXX),emulator)
ifdef HAVE_CXX
	$(ON_EMULATOR) $(CUDA_TESTS)
else
	@echo "CUDA is not tested here: the emulated driver needs $(CXX), which was not found."
endif
	@if $(BIN)/python -c 'import ctypes; raise SystemExit(ctypes.CDLL("libcuda.so.1").cuInit(0))' 2>/dev/null; then \
	  echo "CUDA: the same tests on this machine's card."; $(CUDA_TESTS); \
	else echo "CUDA: this machine has no card; its tests ran emulated only."; fi

SANITIZED := $(EMULATOR)-sanitized
sanitize-cuda: $(VENV)/dev.stamp $(VENV)/accelerator.stamp ## kernels and the emulated driver under address,undefined
	+$(MAKE) --no-print-directory emulator EMULATOR=$(SANITIZED) \
	  KERNEL_FLAGS='-g1 -fsanitize=address,undefined -fno-sanitize-recover=undefined'
	LD_PRELOAD="$$($(CXX) -print-file-name=libasan.so) $$($(CXX) -print-file-name=libubsan.so)" \
	  ASAN_OPTIONS=detect_leaks=0 HELICOPTER_CUDA_EMULATOR=$(abspath $(SANITIZED)) \
	  XDG_CACHE_HOME=$(abspath $(SANITIZED))/home $(CUDA_TESTS)

test: ## set up what tests need and pass them all
	$(BESIDE) $(VENV)/accelerator.stamp $(VENV)/dev.stamp test-rust
	+$(MAKE) --no-print-directory test-python test-cuda-python

test-rust: $(if $(HAVE_CXX),emulator)
ifdef CARGO
	cd helicopter-rs && $(if $(HAVE_CXX),$(ON_EMULATOR) $(STRICT)) cargo test --locked --quiet
endif

test-python: $(VENV)/dev.stamp $(VENV)/accelerator.stamp
	$(TEST) -m pytest --quiet $(AT_ONCE) -m 'not quiet and not exhaustive and not cuda'
	$(TEST) -m pytest --quiet -m quiet

test-training: $(VENV)/dev.stamp $(VENV)/accelerator.stamp ## train for a few steps; fetches PyTorch, some 3 GB
	$(PIP) install --editable '.[dev,train]'
	$(TEST) -m pytest --quiet tests/training

lint: ## formatting, linting, spelling, types
	$(BESIDE) $(VENV)/accelerator.stamp lint-python lint-rust
ifdef CARGO
	$(BIN)/python -m mypy.stubtest helicopter_rs --allowlist helicopter-rs/stubtest-allowlist.txt
endif

lint-python: $(VENV)/dev.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/codespell
	$(BIN)/mypy

lint-rust:
ifdef CARGO
	cd helicopter-rs && cargo fmt --check
	cd helicopter-rs && cargo clippy --locked --quiet --all-targets --features python -- -D warnings
endif

check: ## while working: formatting, linting, types and quick tests, in three minutes
	$(BESIDE) lint-python lint-rust $(VENV)/accelerator.stamp
	$(TEST) -m pytest --quiet $(AT_ONCE) --quick

exhaustive: $(VENV)/dev.stamp $(VENV)/accelerator.stamp ## every combination of options, not only pairs
	$(TEST) tests/exhaustive.py $(AT_ONCE)

format: $(VENV)/dev.stamp ## format everything
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(if $(CARGO),cd helicopter-rs && cargo fmt)

coverage: $(VENV)/dev.stamp $(VENV)/accelerator.stamp ## lines and branches of Python that tests reach
	$(BIN)/python -m pytest --quiet --cov --cov-report=term --cov-report=html $(TESTS)

coverage-rust: ## the same of Rust; needs cargo-llvm-cov and rustup's component llvm-tools
	cd helicopter-rs && cargo llvm-cov --locked $(CARGO_TESTS)

# -- hostile input: see CONTRIBUTING.md for what each needs -----------------------------------------

HOST = $(shell rustc -vV | sed -n 's/^host: //p')
FUZZ_MINUTES ?= 10
FUZZ_TARGETS := arrays masks models weights
# What cargo-fuzz passes to a compiler; these flags are stable, so that no other compiler is needed.
COVERED := --cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
	-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table

fuzz: $(VENV)/dev.stamp $(VENV)/accelerator.stamp ## ten minutes of each fuzzer, or FUZZ_MINUTES
	cd helicopter-rs/fuzz && RUSTFLAGS="$(COVERED)" cargo build --release --locked --target $(HOST)
	cd helicopter-rs/fuzz && for target in $(FUZZ_TARGETS); do \
	  mkdir -p target/corpus/$$target && \
	  target/$(HOST)/release/$$target -max_total_time=$$((60 * $(FUZZ_MINUTES))) -timeout=5 \
	    -rss_limit_mb=2048 -max_len=20000 -print_final_stats=1 target/corpus/$$target corpus/$$target || exit 1; \
	done
	$(BIN)/python benchmarks/hostile_calls.py --minutes $(FUZZ_MINUTES)
	$(BIN)/python benchmarks/hostile_files.py --minutes $(FUZZ_MINUTES)

SANITIZER ?= address
sanitize: ## the crate's tests under a sanitizer; SANITIZER=thread wants nightly with rust-src
ifeq ($(SANITIZER),thread)
	cd helicopter-rs && RUSTFLAGS=-Zsanitizer=thread cargo +nightly test --locked -Zbuild-std \
	  --target $(HOST) --target-dir target/thread --tests
else
	cd helicopter-rs && LSAN_OPTIONS=suppressions=$$PWD/leaks.supp RUSTC_BOOTSTRAP=1 \
	  RUSTFLAGS=-Zsanitizer=$(SANITIZER) cargo test --locked \
	  --target $(HOST) --target-dir target/$(SANITIZER) --tests
endif

# Miri knows no instructions of a processor by name, so kernels are their plain versions there; what starts
# threads is for the sanitizers.
MIRI_TESTS ?= memory:: ranking simd:: pde::kernels
miri: ## what is pure in the crate, under Miri; wants nightly with miri and rust-src
	cd helicopter-rs && cargo +nightly miri test --locked --target-dir target/miri --lib -- $(MIRI_TESTS)

audit: $(VENV)/made.stamp ## known holes in what Python uses; asks the database of advisories
	$(PIP) install pip-audit
	$(BIN)/pip-audit --disable-pip --require-hashes --requirement requirements-dev.lock

deny: ## licences, sources and known holes of what the crate is built of; wants cargo-deny and cargo-audit
	cd helicopter-rs && cargo deny --locked check
	cd helicopter-rs && cargo audit

hostile: $(VENV)/dev.stamp $(VENV)/accelerator.stamp ## the table of SECURITY.md, in less than an hour
	$(TEST) benchmarks/hostile.py

bench: $(VENV)/helicopter.stamp $(VENV)/accelerator.stamp ## Rust against Python on this machine
	$(BIN)/helicopter bench

lock: $(VENV)/made.stamp ## choose the newest versions of what development needs, and note their hashes
	$(PIP) install uv
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.10 --generate-hashes \
	  --custom-compile-command 'make lock' --extra dev --output-file requirements-dev.lock pyproject.toml

clean: ## remove what was built here
	rm -rf $(VENV) helicopter-rs/target helicopter-report htmlcov .coverage

# -- set-up: each stamp stands for something installed in the virtual environment ----------------

$(VENV)/made.stamp:
	@echo "Setting up .venv; the first time this takes a few minutes."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "Helicopter needs Python 3.10 or later; $(PYTHON) is $$($(PYTHON) --version). Try: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/helicopter.stamp: $(VENV)/made.stamp pyproject.toml
	$(PIP) install --editable .
	@touch $@

# the versions that were tested, by their hashes
$(VENV)/dev.stamp: $(VENV)/made.stamp pyproject.toml requirements-dev.lock
	$(PIP) install --require-hashes --requirement requirements-dev.lock
	$(PIP) install --no-deps --editable .
	@touch $@

$(VENV)/accelerator.stamp: $(VENV)/made.stamp $(RUST_SOURCES)
ifdef CARGO
	$(PIP) install --force-reinstall --no-deps ./helicopter-rs
	@touch $@
else
	@echo "cargo was not found: going on with the Python backend alone, which gives the same results, slower."
endif
