#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# dorsum pose-eval beside pycocotools on made-up people, where Python has it or pip can install it; exit codes.
. tests/e2e/lib.sh.inc

python=python3
$python -c 'import pycocotools' 2>/dev/null || {
  python3 -m venv "$tmp/venv" >/dev/null 2>&1 && timeout 120 "$tmp/venv/bin/pip" install -q --disable-pip-version-check numpy >/dev/null 2>&1 &&
    timeout 120 "$tmp/venv/bin/pip" install -q --disable-pip-version-check --no-deps pycocotools >/dev/null 2>&1 && python=$tmp/venv/bin/python
}
if $python -c 'import pycocotools.cocoeval' 2>/dev/null; then
  for seed in 0 1 2 3 4 5; do
    $python tests/e2e/coco_oracle.py "$tmp" $seed >"$tmp/want" || fail "pycocotools"
    "$dorsum" pose-eval "$tmp/gt.json" "$tmp/dt.json" --json replicates=0 pck=0 >"$tmp/got.json" || fail "pose-eval"
    python3 - "$tmp/got.json" "$tmp/want" <<'PY' || fail "seed $seed: not what pycocotools says"
import json, sys
got = [f["value"] for f in json.load(open(sys.argv[1]))["figures"]]
want = [float(v) for v in open(sys.argv[2])]
assert len(got) == len(want) == 10 and all(abs(g - w) < 1e-12 if g is not None else w != w for g, w in zip(got, want)), (got, want)
PY
  done
else
  echo "SKIP: no pycocotools and pip cannot install it: 6 comparisons skipped"
  python3 tests/e2e/coco_oracle.py "$tmp" 0 >/dev/null 2>&1 || true # writes the files before it misses pycocotools
fi
[ -s "$tmp/dt.json" ] || fail "no files"
expect 4 "$dorsum" pose-eval "$tmp/gt.json" "$tmp/dt.json" --expect AP=.99 replicates=0; says "expected 0.99"
expect 0 "$dorsum" pose-eval "$tmp/gt.json" "$tmp/dt.json" --expect "AP<.99,AR>.01" replicates=0
expect 4 "$dorsum" pose-eval "$tmp/gt.json" "$tmp/dt.json" --expect "AP>.99" replicates=0; says "expected more than 0.99"
expect 2 "$dorsum" pose-eval "$tmp/gt.json" "$tmp/dt.json" --expect AP-X=.5 replicates=0; says "no figure 'AP-X'"
expect 2 "$dorsum" pose-eval "$tmp/gt.json" "$tmp/none.json"; says "no such file"
expect 3 "$dorsum" pose-eval "$tmp/dt.json" "$tmp/gt.json"; says "dt.json"
expect 0 "$dorsum" pose-eval "$tmp/gt.json" "$tmp/dt.json" replicates=50; says "SYNTHETIC"; says "PCK@0.2"; says "(0\."
echo "pose-eval: ok"
