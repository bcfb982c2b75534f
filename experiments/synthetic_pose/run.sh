#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# One command from nothing to an angle: films synthetic people, trains a small HigherHRNet on frames of some, finds the joints of others in
# their videos, and holds the hip-neck-ankle angle of every frame against the truth. Exit code 4 when its RMSE is over 2 degrees.
#   experiments/synthetic_pose/run.sh [DIR]            DIR (build/synthetic_pose) is made anew; a training that was stopped goes on
#   experiments/synthetic_pose/run.sh --quick [DIR]    the same chain in seconds, stamped QUICK: its angles are rough
set -eu
cd "$(dirname "$0")/../.."
here=experiments/synthetic_pose
dorsum=build/dorsum
[ -x "$dorsum" ] || dorsum=$(command -v dorsum) || { echo "dorsum is not built: make all" >&2; exit 1; }
if [ "${1:-}" = --quick ]; then
  shift
  config=quick side=64 threads=1 learn="subjects=16 fps=5 every=4" watch="subjects=2 fps=15 every=15" bound=30 dir=build/synthetic_pose_quick
else
  config=experiment side=192 threads=2 learn="subjects=800 fps=5 every=5" watch="subjects=12 fps=25 every=20" bound=2 dir=build/synthetic_pose
fi
dir=${1:-$dir}
mkdir -p "$dir"
joints=nose,right_shoulder,right_hip,right_knee,right_ankle,neck,t12,s1

began=$(date +%s%3N)
seconds() { now=$(($(date +%s%3N) - $1)); printf '%d.%d' $((now / 1000)) $((now % 1000 / 100)); }
# stage WHAT COMMAND...: runs it and notes its time
: >"$dir/seconds.txt"
stage() {
  what=$1; shift
  echo "== $what"
  start=$(date +%s%3N)
  "$@" || return $?
  printf '%8s  %s\n' "$(seconds "$start")" "$what" >>"$dir/seconds.txt"
}
# film NAME SEED SETTINGS: seeds differ, so nobody is trained on and looked at
film() {
  name=$1 seed=$2; shift 2
  "$dorsum" synth --video -o "$dir/$name" --force --quiet seed="$seed" side=$side size=16 joints=$joints "$@"
}
train() {
  "$dorsum" run "$here/$config.cfg" --out "$dir/run" pose.train="$dir/train/annotations.json" pose.train_pictures="$dir/train/frames" \
    pose.validation="$dir/test/annotations.json" pose.validation_pictures="$dir/test/frames"
}

# shellcheck disable=SC2086
stage "film people to train on ($learn)" film train 1 $learn
# shellcheck disable=SC2086
stage "film others ($watch)" film test 4 $watch
stage "train" train
stage "find joints in the others' videos" "$dorsum" pose "$dir/run/cells/w8/seed_1/fold_1/best.safetensors" "$dir/test/cohort.cfg" \
  -o "$dir/found.h5" --force size=$side flip=false threads=$threads
stage "angles against the truth" "$dorsum" pose-eval "$dir/test/cohort.h5" "$dir/found.h5" truth=flexion --expect "RMSE<$bound"
printf '\nSYNTHETIC. Pictures of %d x %d pixels; seconds of each stage:\n' $side $side
cat "$dir/seconds.txt"
printf '%8s  all\n' "$(seconds "$began")"
