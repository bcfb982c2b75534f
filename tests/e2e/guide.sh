#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Follows docs/guide/add-an-op.md and add-a-model.md to the letter, in a copy of the tree.
# In those pages a fence "```c new src/x.c" is a new file, "```c append src/x.def" is added at
# the end of a file, and "```sh run" is a command that must succeed.
. tests/e2e/lib.sh.inc

mkdir "$tmp/tree"
cp -a Makefile VERSION src kernels configs experiments tests tools docs "$tmp/tree" 2>/dev/null || true
mkdir -p "$tmp/tree/build"
cp -a build/release "$tmp/tree/build/release"
cd "$tmp/tree"
ran=0
follow() {
  awk -v page="$1" '
    /^```/ && !fence { fence = 1; kind = $2; file = $3; text = ""; next }
    /^```/ && fence {
      n++
      if (kind == "new" || kind == "append") { out = sprintf(".step%03d.txt", n); printf "%s", text > out; close(out); printf "%s %s %s\n", kind, file, out }
      if (kind == "run") { out = sprintf(".step%03d.sh", n); printf "%s", text > out; close(out); printf "run - %s\n", out }
      fence = 0; next }
    fence { text = text $0 "\n" }' "$1" >.steps
  while read -r kind file text; do
    case $kind in
      new)    [ ! -e "$file" ] || fail "$1: $file exists already"; mkdir -p "$(dirname "$file")"; cp "$text" "$file" ;;
      append) cat "$text" >>"$file" ;;
      run)    sh -eu "$text" >step.log 2>&1 </dev/null || { cat "$text" step.log; fail "$1: a command failed"; } ;;
    esac
    ran=$((ran + 1))
  done <.steps
}
follow docs/guide/add-an-op.md
follow docs/guide/add-a-model.md
[ "$ran" -ge 6 ] || fail "only $ran steps found"
echo "guide: ok ($ran steps)"
