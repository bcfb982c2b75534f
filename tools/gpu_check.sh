#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# make gpu-check: builds dorsum for the GPU that is here and asks everything of it, within LIMIT_S (470) seconds, EACH_S (150) a test: each op's own and library kernels in all
# precisions against the definition in double, in poisoned memory, with bits that stay when replayed; training of models against the CPU, twice with the
# same bits; fleets; a whole run; compute-sanitizer where it is. Each test is a process of its own: what fails does not stop the others.
# PROGRAM and TESTS (a list of TEST(name)) put another program in the place of the one that is built: how this script itself is tested.
#   OUT=folder (build/gpu-check)   ONLY=word: tests with this in their names   JOBS=4 tests at a time
# Leaves results.json, table.txt, deviceprop.json (cuDNN's description of the device) and logs there.
set -u
cd "$(dirname "$0")/.." || exit 1
what=gpu-check goals="all build/release/gpu-check"
. tools/gpu_setup.sh.inc
work=build/gpu-check # the program leaves its rows there
rm -rf "$work/rows" "$work/logs" "$work/done"
mkdir -p "$work/rows" "$work/logs"
program=${PROGRAM:-build/release/gpu-check}
export limit="${LIMIT_S:-470}" each="${EACH_S:-150}" began work program
echo "gpu-check: built in $(past) s; $gpu; $versions"

# One test: NAME, the command's words before the program. Its line: name, exit code, seconds, what it said.
cat >"$work/one.sh" <<'ONE'
name=$1 log=$work/logs/$1.log from=$(date +%s)
shift
left=$((limit - from + began))
[ "$left" -gt 1 ] || { echo "$name	-	0	not run: out of time" >>"$work/done"; exit 0; }
[ "$left" -lt "$each" ] || left=$each
test=${name#memcheck_} test=${test#racecheck_}
timeout "$left" "$@" "$program" "=$test" >"$log" 2>&1
code=$?
said=$(grep -m 1 '^    ' "$log" | sed 's/^ *//' | tr '\t' ' ')
[ $code = 0 ] || said="$(grep -m 1 -E 'gpu_check.c:|tests/.*\.c:[0-9]+:|========= (Invalid|Error|Race|ERROR)' "$log" | cut -c1-300 | tr '\t' ' ')"
echo "$name	$code	$(($(date +%s) - from))	$said" >>"$work/done"
ONE
names=$(sed 's/^TEST(\(.*\))$/\1/' "${TESTS:-build/release/gpu/tests.def}" | grep -v '^device_own_kernels$' | grep -e "${ONLY:-.}")
# device_description first: whether there is a device at all
sh "$work/one.sh" device_description
if [ "$(cut -f 2 "$work/done")" != 0 ]; then
  cat "$work/logs/device_description.log" >&2
  echo "gpu-check: the device cannot be opened" >&2
  exit 1
fi
echo "$names" | grep -v '^device_description$' | xargs -P "${JOBS:-4}" -n 1 sh "$work/one.sh"
sanitizer=$(command -v compute-sanitizer || ls "$cuda/bin/compute-sanitizer" /usr/local/cuda*/bin/compute-sanitizer 2>/dev/null | head -n 1)
if [ -n "$sanitizer" ] && [ -z "${ONLY:-}" ]; then
  for tool in memcheck racecheck; do sh "$work/one.sh" "${tool}_device_own_kernels" "$sanitizer" --tool "$tool" --error-exitcode 86; done
else
  echo "gpu-check: no compute-sanitizer, memcheck and racecheck not run"
fi

sort "$work/done" | awk -F '\t' '
  { n++; ok = $2 == "0"; bad += !ok; printf "%-4s %-48s %4s s  %s\n", ok ? "ok" : $2 == "-" ? "none" : "FAIL", $1, $3, $4 }
  END { printf "%d passed, %d failed\n", n - bad, bad; exit bad > 0 }' >"$out/table.txt"
status=$?
quote() { sed 's/\\/\\\\/g; s/"/\\"/g'; }
{
  printf '{"what": "gpu-check", "date": "%s", "commit": "%s", "device": "%s", "versions": "%s", "seconds": %s,\n' "$(date -u +%Y-%m-%dT%H:%MZ)" "$commit" "$gpu" "$versions" "$(past)"
  printf ' "tests": [\n'
  sort "$work/done" | quote | awk -F '\t' '{ printf "%s  {\"name\": \"%s\", \"passed\": %s, \"seconds\": %s, \"says\": \"%s\"}", n++ ? ",\n" : "", $1, $2 == "0" ? "true" : "false", $3, $4 }'
  printf '],\n "kernels": [\n'
  find "$work/rows" -name '*.jsonl' ! -name own_kernels.jsonl -exec cat {} + | sed 's/^/  /; $!s/$/,/'
  printf ' ]}\n'
} >"$out/results.json"
[ "$out" = "$work" ] || cp "$work/deviceprop.json" "$out/" 2>/dev/null
grep -h '"good": false' "$work"/rows/*.jsonl 2>/dev/null | head -n 40
cat "$out/table.txt"
echo "gpu-check: $(past) s; $out/results.json, $out/table.txt"
exit $status
