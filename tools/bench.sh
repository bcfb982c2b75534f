#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# make bench: times dorsum beside PyTorch, in turn, and prints the ratios (tools/bench.py).
#   PYTHON=/path/to/python   the interpreter that has torch; else torch is installed into build/bench-venv
#   PART=silhouette,conv,pose,mlp,run,experiment   the parts wanted; none given: all
#   THREADS=2   BENCH_SECONDS=20 (per comparison, at least)   BENCH_ARGS="..." (see tools/bench.py --help)
set -eu
cd "$(dirname "$0")/.."
venv=build/bench-venv
if [ -z "${PYTHON:-}" ]; then
  PYTHON=$venv/bin/python
  if ! "$PYTHON" -c 'import torch, numpy, h5py' 2>/dev/null; then
    echo "bench: installing torch, numpy and h5py from PyPI into $venv (about a gigabyte); PYTHON=... names another interpreter"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet torch numpy h5py
  fi
fi
# An environment that names a kernel set or a number of threads would decide the comparison.
unset OPENBLAS_CORETYPE OMP_NUM_THREADS MKL_NUM_THREADS ONEDNN_MAX_CPU_ISA OMP_PROC_BIND OMP_WAIT_POLICY || true
exec "$PYTHON" tools/bench.py --part "${PART:-all}" --threads "${THREADS:-2}" --seconds "${BENCH_SECONDS:-20}" ${BENCH_ARGS:-}
