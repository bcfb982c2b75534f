#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# From nothing to an angle: experiments/synthetic_pose on small pictures. Film, training, joints of other people's videos, flexion against the truth.
. tests/e2e/lib.sh.inc
command -v ffmpeg >/dev/null || { echo "SKIP: synthetic_pose: no ffmpeg"; exit 0; }

expect 0 experiments/synthetic_pose/run.sh --quick "$tmp/q"
says "^SYNTHETIC"; says "RMSE"; says "trained on [0-9]* pictures of dorsum synth"; says "Pictures of 64 x 64 pixels"; says "train$"
says "frames of 2 people, "
for f in train/annotations.json test/cohort.h5 run/report.html run/metrics.csv found.h5; do
  [ -s "$tmp/q/$f" ] || fail "no $f"
done
grep -q 'SYNTHETIC QUICK' "$tmp/q/run/report.md" || fail "the report bears no stamp"
expect 4 "$dorsum" pose-eval "$tmp/q/test/cohort.h5" "$tmp/q/found.h5" truth=flexion --expect "RMSE<0.01"; says "expected less than 0.01"
echo "synthetic_pose: ok"
