#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Are the tests worth their name? Each line of tests/mutants.txt breaks one line of the code in a copy of the tree; the
# tests that it names must fail then. Prints one line a mutant; fails if one survives, or no longer applies.
#   tools/mutants.sh [WORD]     only mutants whose line contains WORD
cd "$(dirname "$0")/.." || exit 1
copy=$(mktemp -d "${TMPDIR:-/tmp}/dorsum-mutants-XXXXXX") || exit 1
trap 'rm -rf "$copy"' EXIT
trap 'exit 1' INT TERM
git ls-files -z | xargs -0 cp --parents -t "$copy" || exit 1
build() { make -s -C "$copy" build/release/check >"$copy/log" 2>&1; }
export CCACHE_NOHASHDIR=1 # the copy lies elsewhere each time
export CC="${CC:-$(command -v ccache >/dev/null && echo ccache gcc || echo gcc)}"
build || { cat "$copy/log"; echo "mutants: the tree does not build"; exit 1; }
caught=0 bad=0
while read -r file tests expression; do
  case "$file" in '#'* | '') continue ;; esac
  case "$file $tests $expression" in *"$1"*) ;; *) continue ;; esac
  cp "$copy/$file" "$copy/kept"
  sed -i "$expression" "$copy/$file"
  if cmp -s "$copy/kept" "$copy/$file"; then verdict="does not apply"
  elif ! build; then verdict="does not compile"
  elif { (cd "$copy" && exec timeout 300 build/release/check "$tests" >log 2>&1) } 2>/dev/null; then verdict="SURVIVED"
  elif grep -q '^no test has ' "$copy/log"; then verdict="no such test"
  else verdict=caught; fi
  cp "$copy/kept" "$copy/$file"
  [ "$verdict" = caught ] && caught=$((caught + 1)) || bad=$((bad + 1))
  printf '%-16s %-26s %-22s %s\n' "$verdict" "$file" "$tests" "$expression"
done <tests/mutants.txt
echo "mutants: $caught caught, $bad not"
[ "$bad" = 0 ]
