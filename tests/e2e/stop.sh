#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Stop requests as a user makes them: one signal leaves a checkpoint, a second ends at once, a second process is
# refused, and what goes on afterwards ends with the bytes of an undisturbed run.
. tests/e2e/lib.sh.inc

cat >"$tmp/e.cfg" <<'CFG'
experiment = "stop"; data = "synth:subjects=16,seed=1,d=1.0,frames=8,size=32"; target = { column = "pattern"; positive = "EP"; }; split = { folds = 2; };
inputs = { s = { from = "silhouettes"; net = "c"; }; }; nets = { c = { kind = "silhouette_cnn"; channels = [8, 8]; }; };
train = { epochs = 600; batch = 16; stop = "none"; checkpoint_s = 0.2; }; use = ["s"];
CFG
expect 0 "$dorsum" run "$tmp/e.cfg" --out "$tmp/whole" --jobs 1 --quiet

begin() { # start a run in $tmp/cut and wait until it trains
  rm -f "$tmp/log"
  "$dorsum" run "$tmp/e.cfg" --out "$tmp/cut" --jobs 1 >"$tmp/log" 2>&1 &
  pid=$!
  n=0
  until grep -qs " epoch " "$tmp/log" || [ $n = 400 ]; do sleep 0.05; n=$((n + 1)); done
}
ends() { # ends CODE: the run ends with it
  set +e; wait "$pid"; got=$?; set -e
  [ "$got" = "$1" ] || { cat "$tmp/log"; fail "exit $got, wanted $1"; }
}

# both arrive before the program is let go on, so the second is sure to come before the checkpoint of the first
begin
kill -STOP "$pid"
expect 6 "$dorsum" run "$tmp/e.cfg" --out "$tmp/cut"
says "in use by process $pid"
expect 6 "$dorsum" run "$tmp/e.cfg" --out "$tmp/cut" --json
kill -INT "$pid"; kill -TERM "$pid"; kill -CONT "$pid"
ends 75
grep -q "stopped on request" "$tmp/log" && fail "the second signal waited for the checkpoint"
[ ! -e "$tmp/cut/DONE" ] || fail "it is done"

begin
kill -INT "$pid"
ends 75
grep -q '"running": 0,' "$tmp/cut/private/progress.json" || fail "progress.json knows nothing of the end"
grep -q "next: the same command" "$tmp/log" || { cat "$tmp/log"; fail "no hint how to go on"; }
[ -e "$tmp/cut/cells/model/seed_1/fold_1/resume.ckpt" ] || [ -e "$tmp/cut/cells/model/seed_1/fold_2/resume.ckpt" ] || fail "no checkpoint"

begin
kill -HUP "$pid" # the terminal is closed
ends 75
expect 0 "$dorsum" run "$tmp/e.cfg" --out "$tmp/cut"
expect 0 "$dorsum" verify "$tmp/cut"
diff "$tmp/whole/SHA256SUMS" "$tmp/cut/SHA256SUMS" || fail "the stopped run has other bytes"
echo "stop: ok"
