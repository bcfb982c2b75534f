#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# make gpu-bench PART=silhouette|conv|block|pose|fleet: builds for the GPU that is here and times dorsum beside PyTorch on it (tools/gpu_bench.py),
# under 8 minutes a part.   PYTHON=/path/to/python with torch (python3)   OUT=folder for the JSON (results/bench)   LIMIT_S=460 in all
set -u
cd "$(dirname "$0")/.." || exit 1
what=gpu-bench goals=all
results=${OUT:-results/bench}
OUT=build/gpu-bench
. tools/gpu_setup.sh.inc
# The build's LD_LIBRARY_PATH is not PyTorch's: it brings libraries of its own, and dorsum finds its by rpath.
unset LD_LIBRARY_PATH
exec "${PYTHON:-python3}" tools/gpu_bench.py --part "${PART:?PART=silhouette, conv, block, pose or fleet}" --out "$results" \
  --libraries "$cuda/lib64" --limit $((${LIMIT_S:-460} - $(past))) --about "$gpu; $versions; $commit"
