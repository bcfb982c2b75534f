#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What a careless or hostile user does: devices and pipes for files, files for folders, a full disk, a folder that
# vanishes, odd names. Each ends soon, with the promised exit code and a message that names it.
. tests/e2e/lib.sh.inc

cat >"$tmp/t.cfg" <<'CFG'
name = "t"; ids = "keep"; people = { table = "t.csv"; subject = "id"; };
labels = { table = "t.csv"; subject = "id"; targets = ( { name = "kind"; classes = ["A", "B"]; } ); };
features = { table = "t.csv"; subject = "id"; columns = ["x"]; };
CFG
cat >"$tmp/e.cfg" <<'CFG'
experiment = "hostile"; data = "d.h5"; target = { column = "kind"; positive = "B"; }; split = { folds = 2; };
inputs = { x = { from = "tables"; scale = "zscore"; net = "m"; }; }; nets = { m = { kind = "mlp"; hidden = [4]; }; };
train = { epochs = 3; batch = 4; stop = "none"; }; use = ["x"];
CFG
table() { printf "$1" >"$tmp/t.csv"; }
import() { expect "$1" "$dorsum" import csv "$tmp/t.cfg" -o "$tmp/d.h5" --force; }

table 'id,kind,x\na,A,"1,5"\nb,B,2\n';           import 3; says "t.csv:2: column 'x': not a number; the decimal sign is a point"
table 'id;kind;x\na;A;1,5\n';                    import 3; says "t.csv:2: 2 fields where the header has 1; fields must be separated by commas"
table 'id,kind,x\nM\374ller,A,1\nb,B,2\n';       import 3; says "t.csv:2: not UTF-8"
table 'id,kind,x\na,A,1\na,B,2\n';               import 3; says "t.csv:3: kind"
table 'id,kind,x\n';                             import 3; says "t.csv: no rows"
[ ! -e "$tmp/d.h5" ] || fail "a refused import wrote"
table 'id,kind,x\na,A,1\nb,A,2\n';               import 0
expect 3 "$dorsum" check "$tmp/d.h5";            says "fewer than two of its classes have anyone"
expect 3 "$dorsum" run "$tmp/e.cfg" --out "$tmp/one"; says "kind"
table 'id,kind,x\na\033[31m,A,1\nb,B,2\nc,A,3\nd,B,4\ne,A,1\nf,B,4\n'; import 0

mkfifo "$tmp/fifo"
for bad in /dev/zero "$tmp/fifo" "$tmp"; do
  expect 3 timeout -k 1 20 "$dorsum" run "$tmp/e.cfg" data="$bad" --out "$tmp/x"; says "not a regular file"
  expect 2 timeout -k 1 20 "$dorsum" run "$bad" --out "$tmp/x"; says "not a regular file"
  expect 3 timeout -k 1 20 "$dorsum" check "$bad"; says "not a regular file"
done
[ ! -e "$tmp/x" ] || fail "a refused run left a folder"
expect 2 "$dorsum" run "$tmp/e.cfg" --out "";                says "is no folder"
expect 2 "$dorsum" run "$tmp/e.cfg" --out "$tmp/e.cfg";      says "is no folder"
expect 5 "$dorsum" run "$tmp/e.cfg" --out /proc/x;           says "/proc/x"
expect 5 "$dorsum" split "$tmp/d.h5" folds=2 -o /proc/x.json; says "/proc/x.json"
mkdir "$tmp/other"; echo hi >"$tmp/other/f"
expect 2 "$dorsum" run "$tmp/e.cfg" --out "$tmp/other";      says "not empty, and no run of this config"
for wrong in --jobs=0 --fold=0 --fold=9 --seed=x --seed=99999999999 --arm=none --device=tpu seeds=-1 seeds=99999999999 split.folds=7 \
             train.lr=nan train.lr=1e999 train.batch=0 data=synth:subjects=0 target.positive=C; do
  expect 2 "$dorsum" run "$tmp/e.cfg" "$wrong" --out "$tmp/x"
  [ ! -e "$tmp/x" ] || fail "$wrong left a folder"
done
expect 7 "$dorsum" run "$tmp/e.cfg" data=synth:subjects=100000,size=1024 --out "$tmp/x"; says "a quarter of this machine's memory"
esc=$(printf 'x\033[31m.h5')
expect 2 "$dorsum" check "$esc"; says 'x\\x1b\[31m.h5'

expect 0 "$dorsum" run "$tmp/e.cfg" --out "$tmp/whole" --jobs 64
(cd "$tmp" && LC_ALL=de_DE.UTF-8 "$dorsum" run e.cfg --out here --quiet >/dev/null) || fail "relative paths, or a German locale"
cmp "$tmp/whole/SHA256SUMS" "$tmp/here/SHA256SUMS" || fail "another folder, another run"
# a limit on file sizes is a disk that is full
expect 5 sh -c "ulimit -f 1; '$dorsum' run '$tmp/e.cfg' --out '$tmp/full'"; says "File too large"
expect 0 "$dorsum" run "$tmp/e.cfg" --out "$tmp/full"
cmp "$tmp/whole/SHA256SUMS" "$tmp/full/SHA256SUMS" || fail "the run after a full disk differs"
# the folder vanishes
"$dorsum" run "$tmp/e.cfg" train.epochs=100000 train.checkpoint_s=0.1 --out "$tmp/gone" >"$tmp/log" 2>&1 &
pid=$!
n=0
until grep -qs " epoch " "$tmp/log" || [ $n = 400 ]; do sleep 0.05; n=$((n + 1)); done
rm -rf "$tmp/gone" || rm -rf "$tmp/gone"
set +e; wait "$pid"; got=$?; set -e
[ "$got" = 5 ] || { tail -n 3 "$tmp/log"; fail "exit $got where the folder is gone"; }
echo "hostile: ok"
