#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Ids, sites and classes that a spreadsheet would take for formulas, from a table to the report; and what is refused before it costs time.
. tests/e2e/lib.sh.inc

cd "$tmp"
i=0
echo "id,site,class,x" >people.csv
while [ $i -lt 24 ]; do
  if [ $((i % 2)) = 0 ]; then echo "-$i,+north,+,$i" >>people.csv; else echo "=$i,@south,-,$((i + 40))" >>people.csv; fi
  i=$((i + 1))
done
cat >import.cfg <<'CFG'
ids = "keep";
people = { table = "people.csv"; subject = "id"; site = "site"; };
labels = { table = "people.csv"; subject = "id"; targets = ( { name = "class"; classes = ["+", "-"]; } ); };
features = { table = "people.csv"; subject = "id"; columns = ["x"]; };
CFG
cat >experiment.cfg <<'CFG'
experiment = "names"; data = "people.h5"; target = { column = "class"; positive = "-"; };
split = { scheme = "losite"; }; bootstrap = 100;
inputs = { x = { from = "tables"; scale = "zscore"; net = "mlp"; }; };
nets = { mlp = { kind = "mlp"; hidden = [4]; }; };
train = { epochs = 2; batch = 8; stop = "none"; };
arms = { net = { use = ["x"]; }; };
baselines = ["majority"];
CFG
cat >expect.cfg <<'CFG'
expected = ( { arm = "nte"; metric = "accuracy"; at_least = 0; } );
CFG
expect 0 "$dorsum" import csv import.cfg -o people.h5
expect 0 "$dorsum" run experiment.cfg --out run
grep -q "^'-0,,'+north," run/predictions.csv || fail "the guard against formulas is missing"
expect 0 "$dorsum" report run
expect 0 "$dorsum" verify run
expect 2 "$dorsum" run experiment.cfg --out run --fold 9; says "no such cell"
"$dorsum" run experiment.cfg --out run --json --quiet >json 2>/dev/null
grep -q '"cells": 2' json || fail "a finished run does not know its cells"
expect 2 "$dorsum" reproduce ./ --dry-run;  says "expect.cfg:1: the experiment has no arm 'nte'; did you mean 'net'"
expect 2 "$dorsum" report run/predictions.csv positive=- labl=class;  says "did you mean 'label'"
expect 2 "$dorsum" report run/predictions.csv positive=- threshold=.7; says "a column is wanted"
expect 2 "$dorsum" split people.h5 scheme=kfold test=last:3; says "kfold does not use 'test'"
expect 2 "$dorsum" import idx people.csv -o x.h5 --size 14,14; says "does not use 'size'"
echo "names: ok"
