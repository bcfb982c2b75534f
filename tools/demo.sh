#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# `make demo`: builds, makes a synthetic cohort and runs three arms on it: backward bend,
# forward bend, questionnaires. About a minute on two cores. Again: prints the same report.
set -eu
cd "$(dirname "$0")/.."
jobs=$(nproc 2>/dev/null || echo 2)
cohort=build/demo
say() { printf '\n== %s\n' "$*"; }

say "build"
make --no-print-directory -j"$jobs" all
say "a synthetic cohort: people drawn from a model ($cohort/assumptions.md), not patients"
build/dorsum synth -o "$cohort" --force subjects=80 seed=1 d=1.2 flip=0 frames=16
say "which silhouettes tell FP from EP? 3 arms x 5 folds"
build/dorsum run experiments/backtracker/demo.cfg data="$cohort/cohort.h5"
