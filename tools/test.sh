#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# `make test`: everything that needs no GPU. Quick tests as built for users, the house
# rules, the same tests under the sanitizers, and whole programs run as a user would.
set -eu
cd "$(dirname "$0")/.."
jobs=$(nproc 2>/dev/null || echo 2)
began=0
export WERROR=-Werror
now() { date +%s; }
took() { [ "$began" = 0 ] || echo "-- $(($(now) - began)) s"; }
say() { took; began=$(now); printf '\n== %s\n' "$*"; }

say "build";              make --no-print-directory -j"$jobs" all build/release/check
say "tests";              build/release/check
say "CUDA kernels by nvcc"; tools/ptxas.sh
say "size";               make --no-print-directory size
say "reference pages";    tools/docs.sh check
say "floors";             make --no-print-directory floors
say "lint";               make --no-print-directory lint
say "sanitizers: build";  make --no-print-directory -j"$jobs" VARIANT=asan build/asan/check
say "sanitizers: tests";  ASAN_OPTIONS=detect_leaks=1 build/asan/check
say "whole programs"
passed=0 failed=0
for t in tests/e2e/*.sh; do
  if sh "$t" >build/e2e.log 2>&1; then passed=$((passed + 1)); echo "ok   $t"; grep -i '^skip' build/e2e.log || true
  else failed=$((failed + 1)); echo "FAIL $t"; tail -n 40 build/e2e.log; fi
done
took
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
