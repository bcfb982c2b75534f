#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# cuDNN plans what the models ask for, for an H200 that is not here: all graphs that it has ready kernels for, and some of those
# that it compiles at run time (`make cudnn-plans` asks for every one). Where cuDNN is not installed: one line says so.
. tests/e2e/lib.sh.inc

cuda=${CUDA_HOME:-/usr/local/cuda}
if [ ! -e "$cuda/include/cudnn.h" ] || [ ! -e "$cuda/lib64/libcudnn.so" ]; then
  echo "SKIP cudnn_plans: no cuDNN in $cuda: $(grep -h '^KERNEL(' kernels/*_cudnn.c | wc -l) patterns of the models' convolutions not planned"
  exit 0
fi
make --no-print-directory -s CUDA_HOME="$cuda" build/release/cudnn-plans
expect 0 build/release/cudnn-plans tests/fixtures/h200.json 4
says " 4 compiled, 0 without a plan"
cat "$tmp/out"
# plans are kept in files: a key, and cuDNN's own text
expect 0 build/release/cudnn-plans tests/fixtures/h200.json 0 "$tmp/plans"
says " $(find "$tmp/plans" -name '*.plan' | wc -l) with a ready kernel"
for f in "$tmp/plans"/*.plan; do
  head -n 2 "$f" | grep -q 'cuDNN .* conv\|cuDNN .* d[xw](' && tail -n 1 "$f" | grep -q '^{"cudnnVersion"' || fail "$f is no plan"
done
echo '{"deviceName":"none"}' >"$tmp/none.json"
expect 1 build/release/cudnn-plans "$tmp/none.json" 0
echo "cudnn_plans: ok"
