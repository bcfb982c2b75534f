#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The house rules that a machine can check: SPDX line, trailing blanks, banned functions, function and file length,
# headers that stand alone (as C, and as C++ where a .cu will include them). Prints what it finds; fails if any.
cd "$(dirname "$0")/.." || exit 1
CC=${CC:-gcc} CXX=${CXX:-g++}
out=$(mktemp) || exit 1
trap 'rm -f "$out"' EXIT
code=$(find src kernels tests -name '*.[ch]' -o -name '*.cu' -o -name '*.cuh' | sort)
scripts=$(find tools .ci -type f \( -name '*.sh' -o -name run -o -name '*.py' \) | sort)
configs=$(find configs datasets experiments -maxdepth 2 -name '*.cfg' | sort)

# one pass over every text
# shellcheck disable=SC2086
awk -v code="$code" '
  function say(what) { printf "%s:%d: %s\n", FILENAME, FNR, what }
  FNR == 1 { spdx = 0; start = 0; isc = FILENAME ~ /\.(c|h|cu|cuh)$/; quiet = FILENAME ~ /^(src|kernels)\// && FILENAME !~ /^src\/(cli\/|base\/(log|fault)\.c)/ }
  FNR <= 3 && /SPDX-License-Identifier: Apache-2\.0/ { spdx = 1 }
  FNR == 3 && !spdx { say("no SPDX line at the top") }
  /[ \t]$/ { say("blank at the end of the line") }
  /\t/ && isc { say("tab") }
  isc && length($0) > 160 { say("line of " length($0) " columns") }
  isc && /(^|[^a-zA-Z0-9_.>])(strcpy|strcat|sprintf|vsprintf|gets|atoi|atol|atof|strtok|system)[ ]*\(/ && !/^ *(\/?\*|\/\/)/ { say("banned function") }
  quiet && /(^|[^a-zA-Z0-9_.>])(exit|_exit|abort|printf|puts|putchar|perror)[ ]*\(/ && !/^ *(\/?\*|\/\/)/ { say("only cli/ prints or exits") }
  quiet && /(stderr|stdout)/ && !/^ *(\/?\*|\/\/)/ { say("only cli/ prints or exits") }
  isc && /(TODO|FIXME|(^|[^X])XXX([^X]|$))/ { say("NEEDSWORK: is the only marker") }
  isc && /^#if 0/ { say("dead code") }
  isc && /^{/ { start = FNR }
  isc && /^}/ && start { if (FNR - start - 1 > 60) say("function of " FNR - start - 1 " lines, at most 60"); start = 0 }
  isc && FNR == 601 { say("file of more than 600 lines") }
' $code $scripts $configs >"$out"

# headers alone, a compile for all of them: each is wrapped in a file of its own only when the whole fails
STRICT="-std=c11 -D_GNU_SOURCE -Wall -Wextra -Wpedantic -Werror -fsyntax-only -Isrc -I. $(pkg-config --cflags hdf5 2>/dev/null)"
headers=$(find src kernels -name '*.h' ! -name 'keys_*.h' ! -name '*_body.h' ! -name vector.h ! -name winograd_steps.h ! -name cuemu.h | sort) # these are parts of other files
alone() { # alone HEADER: does it compile with nothing before it?
  printf '#include "%s"\n' "${1#src/}" | $CC $STRICT -x c - >/dev/null 2>&1 || echo "$1: does not compile alone"
}
export CC STRICT
for h in $headers; do alone "$h"; done >>"$out" &
cuda="kernels/kernel.h src/graph/graph.h src/tensor/shape.h src/base/rng.h src/ops/attrs.h kernels/cuemu.h" # a .cu includes these
command -v $CXX >/dev/null || { echo "lint: no C++ compiler, $(echo $cuda | wc -w) headers not tried as C++17"; cuda=; }
for h in $cuda; do
  printf '#include "%s"\n' "${h#src/}" | $CXX -std=c++17 -Wall -Wextra -Werror -fsyntax-only -Isrc -I. -x c++ - >/dev/null 2>&1 || echo "$h: does not compile as C++17"
done >>"$out"
wait

if [ -s "$out" ]; then
  sort -u "$out"
  echo "lint: $(sort -u "$out" | wc -l) findings"
  exit 1
fi
echo "lint: ok"
