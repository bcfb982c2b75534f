#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The own CUDA kernels as nvcc builds them for sm_80 and sm_90, PTX beside them: no warning, nothing spilled, no kernel of more than
# MOST registers (a block of 256 threads must fit). Objects that stand are not built again. Without nvcc: one line that says how much was not tried.
cd "$(dirname "$0")/.." || exit 1
B=${B:-build/release}
MOST=${MOST:-255}
nvcc=${CUDA_HOME:-/usr/local/cuda}/bin/nvcc
if [ ! -x "$nvcc" ]; then
  echo "SKIP nvcc is not here: the CUDA kernels of $(ls kernels/*.cu | wc -l) files not built for a GPU, $(grep -c ' CUDA, ' src/ops/ops.def) ops"
  exit 0
fi
make --no-print-directory -s -j"$(nproc 2>/dev/null || echo 2)" cuda-kernels || exit 1
# shellcheck disable=SC2046
awk -v most="$MOST" '
  /Compiling entry function/ { split($0, q, "\047"); name = q[2]; arch = q[4]; on[arch]++ }
  /bytes stack frame/ { if ($5 + 0 || $9 + 0) { printf "%s (%s): %d bytes spilled\n", name, arch, $5 + $9; bad++ } }
  /Used [0-9]+ registers/ {
    for (i = 1; i <= NF; i++) if ($i == "Used") r = $(i + 1)
    n++
    if (r > top) { top = r; which = name " (" arch ")" }
    if (r > most) { printf "%s (%s): %d registers, at most %d wanted\n", name, arch, r, most; bad++ }
  }
  END {
    if (!on["sm_80"] || on["sm_80"] != on["sm_90"]) { printf "%d kernels for sm_80, %d for sm_90\n", on["sm_80"], on["sm_90"]; bad++ }
    printf "nvcc: %d kernels for sm_80 and as many for sm_90, none may spill, at most %d registers: %s; %d faults\n", on["sm_80"], top, which, bad
    exit bad > 0
  }
' $(ls kernels/*.cu | sed "s|\(.*\)\.cu|$B/cuda/\1.ptxas|")
