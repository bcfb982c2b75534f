#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# dorsum pose on videos: frames with their times, one person followed, overlays, the stamp of the video, videos that cannot be used.
. tests/e2e/lib.sh.inc
command -v ffmpeg >/dev/null || { echo "pose_video: skipped, no ffmpeg"; exit 0; }

"$dorsum" describe higherhrnet width=8 --quiet >"$tmp/describe" || fail "describe"
python3 tests/e2e/pose_inputs.py "$tmp" unstamped.safetensors none.safetensors <"$tmp/describe" || fail "inputs"
film() { ffmpeg -v error -nostdin -f lavfi -i "$@" || fail "ffmpeg"; }
mkdir "$tmp/in"
film testsrc=size=96x64:rate=25:duration=0.4 -pix_fmt yuv420p "$tmp/in/a.mp4"
film testsrc=size=96x64:rate=10:duration=0.5 -pix_fmt yuv420p -metadata comment="SYNTHETIC: made up" "$tmp/in/made.mkv"
film testsrc=size=96x64:rate=25:duration=0.4 -vf select='not(eq(n\,3))' -fps_mode vfr -pix_fmt yuv420p "$tmp/gap.mp4"
film testsrc=size=96x64:rate=5:duration=2 -pix_fmt yuv420p "$tmp/slow.mp4"
# shellcheck disable=SC2086
run() { "$dorsum" pose "$@" size=64 threads=1 people=3; }
w="$tmp/unstamped.safetensors"

# a folder of videos, and a picture beside it: every frame with its time, ids that count on
expect 0 run "$w" "$tmp/in" "$tmp/c.png" -o "$tmp/all.csv" --overlay "$tmp/drawn" batch=4
says "in 16 frames"; says "left$"; says "a frame: network"
[ "$(ls "$tmp/drawn")" = "a_pose.mp4
c.png
made_pose.mp4" ] || fail "overlays: $(ls "$tmp/drawn")"
expect 0 run "$w" "$tmp/in" "$tmp/c.png" -o "$tmp/all.json"
python3 - "$tmp" <<'PY' || fail "rows of videos"
import csv, json, subprocess, sys
t = sys.argv[1]
rows = list(csv.DictReader(open(t + "/all.csv")))
at = {}
for r in rows:
    at.setdefault(r["file"], {})[r["frame"]] = r["time_s"]
    assert r["stamp"] == ("SYNTHETIC" if r["file"] == "made.mkv" else "") and r["filled"] == "", r
assert sorted(at) == ["a.mp4", "c.png", "made.mkv"] and len(at["a.mp4"]) == 10 and len(at["made.mkv"]) == 5, at
for name, fps in ("a.mp4", 25), ("made.mkv", 10):
    for f, s in at[name].items():
        assert abs(float(s) - int(f) / fps) < 2e-3, (name, f, s)
assert at["c.png"] == {"": ""}, at["c.png"]
first = {"a.mp4": 1, "made.mkv": 11}
found = json.load(open(t + "/all.json"))
assert len(found) == len(rows) and {d["image_id"] for d in found if "frame" not in d} == {16}
for d in found:
    if "frame" in d:
        assert d["image_id"] == first[d["file"]] + d["frame"] and abs(d["time_s"] - float(at[d["file"]][str(d["frame"])])) < 1e-9, d
for name, n, stamp in ("a", 10, False), ("made", 5, True):
    p = json.loads(subprocess.check_output(["ffprobe", "-v", "error", "-count_frames", "-show_entries", "stream=nb_read_frames,width,height:format_tags",
                                            "-of", "json", t + "/drawn/" + name + "_pose.mp4"]))
    s = p["streams"][0]
    assert (s["width"], s["height"], int(s["nb_read_frames"])) == (96, 64, n), p
    assert ("SYNTHETIC" in json.dumps(p)) == stamp, p
# the skeletons are there: frames differ from the video's
raw = lambda f: subprocess.check_output(["ffmpeg", "-v", "error", "-nostdin", "-i", f, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"])
a, b = raw(t + "/in/a.mp4"), raw(t + "/drawn/a_pose.mp4")
assert len(a) == len(b) and sum(abs(x - y) > 60 for x, y in zip(a, b)) > 1000, "nothing is drawn"
PY
expect 2 run "$w" "$tmp/in" -o "$tmp/x.csv" --overlay "$tmp/drawn"; says "there already"
cp "$tmp/in/a.mp4" "$tmp/a.mov"
expect 2 run "$w" "$tmp/in/a.mp4" "$tmp/a.mov" -o "$tmp/x.csv" --overlay "$tmp/twice"; says "both overlays would be"

# one person: a row a frame, also of a video whose frames are uneven in time; the cut-off is said
expect 0 run "$w" "$tmp/gap.mp4" -o "$tmp/one.csv" --overlay "$tmp/drawn" single=true cutoff_hz=5 least_score=0.2; says "cut-off 5 Hz at 25 frames a second"
says "the largest of"; says "sightings in 9 frames"
python3 - "$tmp/one.csv" <<'PY' || fail "one person"
import csv, sys
rows = list(csv.DictReader(open(sys.argv[1])))
assert [int(r["frame"]) for r in rows] == list(range(9)) and all(r["person"] == "1" for r in rows), rows
want = [i / 25 for i in range(10) if i != 3]
assert all(abs(float(r["time_s"]) - t) < 2e-3 for r, t in zip(rows, want)), [r["time_s"] for r in rows]
for r in rows:
    for name in r["filled"].split():
        assert r[name + "_x"] and float(r[name + "_score"]) == 0, (name, r)
PY
expect 0 run "$w" "$tmp/gap.mp4" -o "$tmp/one.json" single=true person=central cutoff_hz=0; says "most central"; says "not smoothed"
python3 -c 'import json,sys; r=json.load(open(sys.argv[1])); assert r and len({d["image_id"] for d in r}) == len(r) and all(isinstance(d["filled"], list) for d in r)' "$tmp/one.json" || fail "one.json"
expect 2 run "$w" "$tmp/gap.mp4" -o "$tmp/x.csv" single=true cutoff_hz=13; says "gap.mp4: cutoff_hz = 13"
expect 2 run "$w" "$tmp/gap.mp4" -o "$tmp/x.csv" cutoff_hz=5; says "needs single=true"
expect 0 run "$w" "$tmp/slow.mp4" -o "$tmp/slow.csv" single=true; says "cut-off 2 Hz at 5 frames a second, which carry no 6 Hz"
expect 2 run "$w" "$tmp/in/a.mp4" "$tmp/slow.mp4" -o "$tmp/x.csv" single=true cutoff_hz=6; says "slow.mp4: cutoff_hz = 6"
grep -q "frames 10" "$tmp/out" && fail "a cut-off that a video cannot carry is found out after the work"
expect 2 run "$w" "$tmp/a.png" -o "$tmp/x.csv" single=true; says "this is a picture"

# a cohort on film: a dataset of clips whose people, trials and frames are those of the truth beside it
"$dorsum" synth --video -o "$tmp/filmed" subjects=2 seed=3 side=64 fps=8 every=100 size=16 --quiet || fail "synth"
expect 0 run "$w" "$tmp/filmed/cohort.cfg" -o "$tmp/clips.h5" name=w8 least_score=0.2 cutoff_hz=3
says "of S001_forward.mp4\|S001_forward.mp4: the largest"; says "next: dorsum check"
expect 0 "$dorsum" check "$tmp/clips.h5"; says "SYNTHETIC"; says "2 subjects, 4 trials"; says "frames of keypoints"; says "pattern"
expect 0 "$dorsum" pose-eval "$tmp/filmed/cohort.h5" "$tmp/clips.h5" truth=flexion_shoulders; says "'w8' against 'flexion_shoulders'"
expect 0 "$dorsum" split "$tmp/clips.h5" -o "$tmp/splits.json" target=pattern folds=2
expect 2 run "$w" "$tmp/filmed/videos" -o "$tmp/x.h5"; says "who is in which video"
expect 2 run "$w" "$tmp/filmed/cohort.cfg" "$tmp/gap.mp4" -o "$tmp/x.h5"; says "gap.mp4: for clips"
expect 0 run "$w" "$tmp/filmed/manifest.csv" -o "$tmp/named.h5" cutoff_hz=0
[ -s "$tmp/filmed/manifest.csv.private.key" ] || fail "no pseudonyms"
rm "$tmp/filmed/videos/S002_forward.mp4"
expect 2 run "$w" "$tmp/filmed/cohort.cfg" -o "$tmp/x.h5"; says "S002_forward.mp4: no such file"

# videos that cannot be used: named, and nothing is written
: >"$tmp/empty.mp4"
cp "$tmp/a.png" "$tmp/painted.mp4"
expect 3 run "$tmp/none.safetensors" "$tmp/gap.mp4" -o "$tmp/x.csv" --overlay "$tmp/undrawn"; says "gap.mp4: nobody is seen in any of its 9 frames"
[ ! -e "$tmp/undrawn" ] || fail "an overlay of nobody"
for bad in empty.mp4 painted.mp4; do
  expect 3 run "$w" "$tmp/gap.mp4" "$tmp/$bad" -o "$tmp/x.csv"; says "$bad: "
done
head -c 2500 "$tmp/in/a.mp4" >"$tmp/cut.mp4"
expect 3 run "$w" "$tmp/gap.mp4" "$tmp/cut.mp4" -o "$tmp/x.csv" --overlay "$tmp/undrawn"; says "cut.mp4: "
[ ! -e "$tmp/undrawn" ] || fail "the overlay of a video before a damaged one"
expect 2 run "$w" "$tmp/gap.mp4" -o "$tmp/x.csv" annotations="$tmp/all.json"; says "this is a video"
[ ! -e "$tmp/x.csv" ] && [ ! -e "$tmp/x.h5" ] || fail "a refused run wrote a file"
expect 0 run "$w" "$tmp/empty.mp4" "$tmp/gap.mp4" "$tmp/cut.mp4" -o "$tmp/rest.csv" skip=true; says "left out: .*empty.mp4"; says "left out: 2 pictures and videos"
grep -q '^gap.mp4,8,' "$tmp/rest.csv" || fail "the other video is not there"
expect 0 run "$tmp/none.safetensors" "$tmp/gap.mp4" -o "$tmp/zero.csv" skip=true; says "0 people in 0 frames, 0 of them"; says "left out: 1"

# stopped on request: 75, said, and nothing is left
film testsrc=size=96x64:rate=25:duration=20 -pix_fmt yuv420p "$tmp/long.mp4"
"$dorsum" pose "$w" "$tmp/gap.mp4" "$tmp/long.mp4" -o "$tmp/cut.csv" --overlay "$tmp/undrawn" size=64 threads=1 people=3 flip=false >"$tmp/out" 2>&1 &
pid=$!
n=0
until grep -q "^frames 1[0-9][0-9]" "$tmp/out" || [ $n = 600 ]; do sleep 0.05; n=$((n + 1)); done
kill -TERM "$pid"
set +e; wait "$pid"; got=$?; set -e
[ "$got" = 75 ] || { cat "$tmp/out"; fail "exit $got of a run that was stopped"; }
says "stopped after"; says "nothing was written"
[ ! -e "$tmp/cut.csv" ] && [ ! -e "$tmp/undrawn" ] || fail "a run that was stopped left something"

# every frame of real videos, with its time
for v in "sports2d_demo 230 30" "mmpose_demo 5 5"; do
  # shellcheck disable=SC2086
  set -- $v
  [ -e "../shared/data/videos/$1.mp4" ] || { echo "skipped: 1 real video, no ../shared/data/videos/$1.mp4"; continue; }
  expect 0 run "$w" "../shared/data/videos/$1.mp4" -o "$tmp/$1.csv" flip=false; says "in $2 frames"
  python3 -c '
import csv, sys
n, fps = int(sys.argv[2]), float(sys.argv[3])
at = {int(r["frame"]): float(r["time_s"]) for r in csv.DictReader(open(sys.argv[1]))}
assert sorted(at) == list(range(n)), (len(at), n)
assert all(abs(t - f / fps) < 1e-6 for f, t in at.items()), at' "$tmp/$1.csv" "$2" "$3" || fail "times of $1"
done
echo "pose_video: ok"
