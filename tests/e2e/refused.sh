#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What does not exist yet is refused by name, with file and line; bad input ends with the promised exit code.
. tests/e2e/lib.sh.inc

for f in back_to_move posture tug risk; do
  expect 2 "$dorsum" run "tests/fixtures/configs/$f.cfg" --out "$tmp/$f"
  says "$f.cfg:[0-9]"
  [ ! -e "$tmp/$f" ] || fail "$f left a folder behind"
done
expect 2 "$dorsum" import csv tests/fixtures/configs/cohort.cfg -o "$tmp/x.h5"
says "cohort.cfg:[0-9]"
expect 2 "$dorsum" run experiments/backtracker/experiment.cfg train.epohcs=3 --out "$tmp/typo"
says "epochs"
expect 2 "$dorsum" nonsense
printf 'not hdf5' >"$tmp/bad.h5"
expect 3 "$dorsum" check "$tmp/bad.h5"
says "bad.h5"
expect 2 "$dorsum" run "$tmp/none.cfg"
printf 'a = 1\n@include "b.cfg"\n' >"$tmp/inc.cfg"
expect 2 "$dorsum" run "$tmp/inc.cfg"
says "inc.cfg:2"
echo "refused: ok"
