#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# dorsum pose on pictures: rows, results and overlays; no person, bad pictures, bad weights.
. tests/e2e/lib.sh.inc

"$dorsum" describe higherhrnet width=8 --quiet >"$tmp/describe" || fail "describe"
python3 tests/e2e/pose_inputs.py "$tmp" some.safetensors none.safetensors nan.safetensors shape.safetensors unstamped.safetensors quick.safetensors \
  <"$tmp/describe" || fail "inputs"
"$dorsum" describe higherhrnet width=8 joints=4 --quiet >"$tmp/describe" || fail "describe"
python3 tests/e2e/pose_inputs.py "$tmp" spine.safetensors <"$tmp/describe" || fail "inputs"
small="size=64 threads=1 people=3"
mkdir "$tmp/in" && cp "$tmp/a.png" "$tmp/b.png" "$tmp/c.png" "$tmp/in"

# shellcheck disable=SC2086
run() { "$dorsum" pose "$@" $small; }
expect 0 run "$tmp/some.safetensors" "$tmp/in" -o "$tmp/people.csv" --overlay "$tmp/drawn"
says "SYNTHETIC"; says "in 3 pictures"; says "the network.s memory: .* MiB planned"
head -n 1 "$tmp/people.csv" | grep -q '^file,frame,time_s,person,score,nose_x,nose_y,nose_score,left_eye_x' || fail "head of people.csv"
[ "$(grep -c ',SYNTHETIC$' "$tmp/people.csv")" -gt 2 ] || fail "rows of people.csv"
for n in a b c; do [ -s "$tmp/drawn/$n.png" ] || fail "no overlay of $n"; done
cp "$tmp/people.csv" "$tmp/first.csv"
expect 2 run "$tmp/some.safetensors" "$tmp/in" -o "$tmp/people.csv"; says "there already"
expect 0 run "$tmp/some.safetensors" "$tmp/in" -o "$tmp/people.csv" --force batch=3
cmp -s "$tmp/people.csv" "$tmp/first.csv" || fail "a batch of three finds other people"

# COCO's results, and their evaluation: image ids in the order given
expect 0 run "$tmp/some.safetensors" "$tmp/a.png" "$tmp/b.png" -o "$tmp/found.json" --json scales=0.5,1 flip=false; says '"pictures": 2'
python3 - "$tmp/found.json" <<'PY' || fail "found.json"
import json, sys
r = json.load(open(sys.argv[1]))
assert r and {d["image_id"] for d in r} <= {1, 2} and all(len(d["keypoints"]) == 51 and d["stamp"] == "SYNTHETIC" for d in r)
PY

# names tell files apart, and ids count where numbers would be one; a file is looked at once
mkdir -p "$tmp/two/p1" "$tmp/two/p2"; cp "$tmp/a.png" "$tmp/two/p1/1.png"; cp "$tmp/b.png" "$tmp/two/p2/1.png"
expect 0 run "$tmp/some.safetensors" "$tmp/two/p1" "$tmp/two/p2" -o "$tmp/two.csv" --overlay "$tmp/ov"
grep -q '^p1/1.png,' "$tmp/two.csv" && grep -q '^p2/1.png,' "$tmp/two.csv" || fail "two pictures of one name"
[ -s "$tmp/ov/p1/1.png" ] && [ -s "$tmp/ov/p2/1.png" ] && [ "$(find "$tmp/ov" -type f | wc -l)" = 2 ] || fail "overlays of two pictures of one name"
expect 0 run "$tmp/some.safetensors" "$tmp/two/p1" "$tmp/two/p2" -o "$tmp/two.json"
python3 -c 'import json,sys; r=json.load(open(sys.argv[1])); assert {(d["image_id"], d["file"]) for d in r} == {(1, "p1/1.png"), (2, "p2/1.png")}' "$tmp/two.json" ||
  fail "ids of two pictures of one name"
expect 2 run "$tmp/some.safetensors" "$tmp/in" "$tmp/in/../in/b.png" -o "$tmp/x.csv"; says "one file, given twice"

# an overlay takes the place of no other, of nothing that is there, and never of what is looked at
mkdir "$tmp/pair"; cp "$tmp/a.png" "$tmp/pair/a.png"; cp "$tmp/a.png" "$tmp/pair/a.jpg"
expect 2 run "$tmp/some.safetensors" "$tmp/pair" -o "$tmp/x.csv" --overlay "$tmp/pairs"; says "both overlays would be .*pairs/a.png"
expect 2 run "$tmp/some.safetensors" "$tmp/in" -o "$tmp/x.csv" --overlay "$tmp/drawn"; says "drawn/a.png is there already"
expect 0 run "$tmp/some.safetensors" "$tmp/in" -o "$tmp/again.csv" --overlay "$tmp/drawn" --force
expect 2 run "$tmp/some.safetensors" "$tmp/in" -o "$tmp/x.csv" --overlay "$tmp/in" --force; says "a.png is itself looked at"
cmp -s "$tmp/a.png" "$tmp/in/a.png" || fail "a picture was replaced by its overlay"

# places that take no file are found before the work
expect 2 run "$tmp/some.safetensors" "$tmp/a.png" -o "$tmp/nowhere/x.csv"; says "no such folder"
expect 5 run "$tmp/some.safetensors" "$tmp/a.png" -o /proc/x.csv; says "takes no files"
expect 5 run "$tmp/some.safetensors" "$tmp/a.png" -o "$tmp/x.csv" --overlay /proc/drawn
expect 2 run "$tmp/some.safetensors" "$tmp/a.png" -o "$tmp/people.csv" flipp=true; says "did you mean 'flip'"

# the whole stamp, in rows, results and overlays; and that of pictures and annotations, whatever the weights are
expect 0 run "$tmp/quick.safetensors" "$tmp/a.png" -o "$tmp/quick.csv" --overlay "$tmp/quick"; says "^SYNTHETIC QUICK: "
grep -q ',SYNTHETIC QUICK$' "$tmp/quick.csv" && grep -q 'SYNTHETIC QUICK: joints by dorsum pose' "$tmp/quick/a.png" || fail "a stamp got lost"
expect 0 run "$tmp/unstamped.safetensors" "$tmp/quick/a.png" -o "$tmp/drawn.json"
[ "$(grep -c '"stamp": "SYNTHETIC"' "$tmp/drawn.json")" = "$(grep -c image_id "$tmp/drawn.json")" ] || fail "a tagged picture gives rows without its stamp"
cat >"$tmp/truth.json" <<'JSON'
{"info": {"synthetic": true}, "categories": [{"id": 1, "name": "person", "keypoints": ["a"]}], "annotations": [],
 "images": [{"id": 5, "file_name": "a.png", "width": 80, "height": 60}]}
JSON
expect 0 run "$tmp/unstamped.safetensors" "$tmp/a.png" -o "$tmp/five.json" annotations="$tmp/truth.json" --json; says '"stamp": "SYNTHETIC"'
grep -q '"image_id": 5,.*"stamp": "SYNTHETIC"}' "$tmp/five.json" || fail "synthetic annotations give rows without their stamp"
expect 3 run "$tmp/unstamped.safetensors" "$tmp/a.png" "$tmp/quick/a.png" -o "$tmp/x.json" annotations="$tmp/truth.json"; says "both would be image 5"

# weights of joints that are neither COCO's nor recorded: they are named
expect 3 run "$tmp/spine.safetensors" "$tmp/a.png" -o "$tmp/x.csv"; says "4 joints.*names=NAME"
expect 0 run "$tmp/spine.safetensors" "$tmp/a.png" -o "$tmp/spine.csv" names=C7,T12,L1,S1
head -n 1 "$tmp/spine.csv" | grep -q ',C7_x,C7_y,C7_score,T12_x' || fail "head of spine.csv"
expect 2 run "$tmp/spine.safetensors" "$tmp/a.png" -o "$tmp/x.csv" names=C7,T12,L1; says "4 joints"

# nobody there: an answer, not an error
expect 0 run "$tmp/none.safetensors" "$tmp/a.png" -o "$tmp/nobody.csv"; says "0 people in 1 pictures, 1 of them without anybody"
[ "$(wc -l <"$tmp/nobody.csv")" = 1 ] || fail "rows without anybody"
expect 0 run "$tmp/none.safetensors" "$tmp/a.png" -o "$tmp/nobody.json"
[ "$(cat "$tmp/nobody.json")" = "[]" ] || fail "results without anybody"

# pictures that cannot be used: named, and nothing is written
: >"$tmp/empty.jpg"
for bad in cut.png empty.jpg strip.png; do
  expect 3 run "$tmp/some.safetensors" "$tmp/a.png" "$tmp/$bad" -o "$tmp/bad.csv" --overlay "$tmp/left/over"; says "$bad: "
  [ ! -e "$tmp/bad.csv" ] && [ ! -e "$tmp/left" ] || fail "$bad left something behind"
done
expect 0 run "$tmp/some.safetensors" "$tmp/cut.png" "$tmp/a.png" -o "$tmp/rest.csv" skip=true
says "left out: .*cut.png"; says "left out: 1 pictures"; grep -q '^a.png,' "$tmp/rest.csv" || fail "the other picture is not there"
mkdir "$tmp/bare"
expect 2 run "$tmp/some.safetensors" "$tmp/bare" -o "$tmp/x.csv"; says "no pictures in this folder"
expect 2 run "$tmp/some.safetensors" "$tmp/none.jpg" -o "$tmp/x.csv"; says "no such file"
expect 2 run "$tmp/some.safetensors" "$tmp/a.png" -o "$tmp/x.txt"; says "FILE.csv"
expect 2 run "$tmp/some.safetensors" "$tmp/a.png" -o "$tmp/x.csv" flipp=true; says "did you mean 'flip'"
expect 2 run "$tmp/some.safetensors" "$tmp/a.png" -o "$tmp/x.csv" scales=0.5,2; says "1 among them"

# weights that cannot be used
expect 10 run "$tmp/nan.safetensors" "$tmp/a.png" -o "$tmp/x.csv"; says "nan.safetensors"; says "conv2.weight"
expect 3 run "$tmp/shape.safetensors" "$tmp/a.png" -o "$tmp/x.csv"; says "conv2.weight"
expect 3 run "$tmp/a.png" "$tmp/a.png" -o "$tmp/x.csv"; says "a.png"
expect 2 run "$tmp/some.safetensors" "$tmp/a.png" -o "$tmp/x.csv" keypoints=crowdpose14; says "17 joints"
[ ! -e "$tmp/x.csv" ] || fail "a refused run wrote a file"
echo "pose: ok"
