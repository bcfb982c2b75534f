#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Prints a CUDA_HOME that has nvcc, the runtime, cuBLASLt and cuDNN: $CUDA_HOME or /usr/local/cuda where it is whole; else build/cuda, made of links to
# what lies elsewhere: the nvcc of PATH, system folders, the packages (nvidia-*) of the Python that PYTHON names. Fails and says what is missing.
cd "$(dirname "$0")/.." || exit 1
home=${CUDA_HOME:-/usr/local/cuda}
whole() { [ -x "$1/bin/nvcc" ] && [ -e "$1/include/cublasLt.h" ] && [ -e "$1/include/cudnn.h" ] && [ -e "$1/lib64/libcudnn.so" ] && [ -e "$1/lib64/libcublasLt.so" ]; }
whole "$home" && { echo "$home"; exit 0; }

nvcc=$(command -v nvcc || ls "$home/bin/nvcc" /usr/local/cuda*/bin/nvcc 2>/dev/null | tail -n 1)
[ -n "$nvcc" ] && nvcc=$(readlink -f "$nvcc") && top=$(cd "$(dirname "$nvcc")/.." && pwd)
python=$(command -v "${PYTHON:-python3}") && packages=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib") + "/nvidia")' 2>/dev/null)
made=build/cuda
rm -rf "$made"
mkdir -p "$made/bin" "$made/include" "$made/lib64"
[ -n "$nvcc" ] && printf '#!/bin/sh\nexec %s "$@"\n' "$nvcc" >"$made/bin/nvcc" && chmod +x "$made/bin/nvcc"

# Later folders do not replace what earlier ones have: the toolkit's own first, Python's packages last.
take() { # take PATTERN TO FOLDER...: links to the files
  pattern=$1 to=$2
  shift 2
  for d in "$@"; do
    [ -d "$d" ] || continue
    for f in "$d"/$pattern; do [ -e "$f" ] && [ ! -e "$to/${f##*/}" ] && ln -s "$f" "$to/${f##*/}"; done
  done
}
# shellcheck disable=SC2086
take '*' "$made/include" ${top:+"$top/include" "$top/targets/x86_64-linux/include"} $packages/cu13/include $packages/*/include
# shellcheck disable=SC2086
take 'cudnn*.h' "$made/include" /usr/include /usr/include/x86_64-linux-gnu /usr/local/include
for l in libcudart libcublasLt libcublas libcudnn libnvrtc; do
  # shellcheck disable=SC2086
  take "$l*.so*" "$made/lib64" ${top:+"$top/lib64" "$top/targets/x86_64-linux/lib"} /usr/lib/x86_64-linux-gnu /usr/local/lib $packages/cu13/lib $packages/*/lib
  [ -e "$made/lib64/$l.so" ] || for f in "$made/lib64/$l".so.*; do [ -e "$f" ] && ln -sf "$(readlink "$f")" "$made/lib64/$l.so"; done
done
whole "$made" && { echo "$PWD/$made"; exit 0; }
for f in bin/nvcc include/cublasLt.h include/cudnn.h lib64/libcublasLt.so lib64/libcudnn.so; do [ -e "$made/$f" ] || echo "cuda: no $f in $home, in ${top:-PATH}, or in ${packages:-Python}" >&2; done
exit 1
