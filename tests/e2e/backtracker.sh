#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# BackTracker's config, every arm and fold, on a synthetic cohort of 16: runs, is reused,
# verifies, and its report can be made again byte for byte. mine.cfg adds a student's arm.
. tests/e2e/lib.sh.inc

small="data=synth:subjects=16,seed=1,d=1.0 train.epochs=3 seeds=1"
expect 0 "$dorsum" run experiments/backtracker/experiment.cfg $small --out "$tmp/run"
says "SYNTHETIC"
for f in config.cfg config.json run.json splits.json leakage.json flow.csv predictions.csv subjects.csv metrics.csv metrics.json \
         errors.csv tables/main.csv tables/main.md tables/main.tex report.md report.html SHA256SUMS DONE; do
  [ -s "$tmp/run/$f" ] || fail "no $f"
done
for arm in backward forward both proms video_proms joint; do
  grep -q ",$arm," "$tmp/run/predictions.csv" || fail "no predictions of arm $arm"
done
expect 0 "$dorsum" verify "$tmp/run"
cp -a "$tmp/run" "$tmp/again"
rm -rf "$tmp/again/tables" "$tmp/again/plots" "$tmp/again/cells" "$tmp/again/report.md" "$tmp/again/report.html" "$tmp/again/metrics.csv"
cp -a "$tmp/run/cells" "$tmp/again/cells"
expect 0 "$dorsum" report "$tmp/again"
for f in metrics.csv metrics.json report.md report.html tables/main.csv tables/main.tex SHA256SUMS; do
  cmp "$tmp/run/$f" "$tmp/again/$f" || fail "$f differs when it is made again"
done
expect 0 "$dorsum" run experiments/backtracker/experiment.cfg $small --out "$tmp/run"
expect 2 "$dorsum" run experiments/backtracker/experiment.cfg $small train.lr=0.5 --out "$tmp/run"
says "lr"
expect 0 "$dorsum" run experiments/backtracker/mine.cfg $small train.epochs=1 inputs.backward.frames=8 inputs.forward.frames=8 --out "$tmp/mine"
grep -q "^accuracy,deep," "$tmp/mine/tables/ablation.csv" || fail "mine.cfg: its arm is not compared"
echo "backtracker: ok"
