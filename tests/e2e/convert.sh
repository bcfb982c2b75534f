#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Weights: described and converted as a user would, refused by name, and nothing half-written.
. tests/e2e/lib.sh.inc
golden=tests/golden/weights

expect 0 "$dorsum" describe "$golden/legacy.pth";          says "half  *F16  *\[5,7\]"; says "unknown origin"
expect 0 "$dorsum" describe "$golden/plain.safetensors";   says "safetensors, 5 tensors"
expect 0 "$dorsum" convert "$golden/training_checkpoint_legacy.pth.tar" -o "$tmp/w.safetensors"; says "best_state_dict, 7 tensors"
expect 2 "$dorsum" convert "$golden/zip.pth" -o "$tmp/w.safetensors"; says "\-\-force"
expect 0 "$dorsum" convert "$golden/zip.pth" -o "$tmp/w.safetensors" --force; says "1 from F16, 1 from BF16, 1 from F64 to F32"
expect 0 "$dorsum" convert "$tmp/w.safetensors" -o "$tmp/again.safetensors" --quiet
[ ! -s "$tmp/out" ] || fail "--quiet says something"
cmp "$tmp/w.safetensors" "$tmp/again.safetensors" || fail "converting twice changes bytes"
expect 2 "$dorsum" convert "$golden/zip.pth" -o "$tmp/w.pth"; says "must say so"
expect 2 "$dorsum" convert "$golden/zip.pth";               says "-o PATH"
for f in refuse_code.pth refuse_whole_module.pth refuse_header.safetensors refuse_overlap.safetensors refuse_shape.safetensors; do
  expect 3 "$dorsum" convert "$golden/$f" -o "$tmp/no.safetensors"; says "$f: "
done
head -c 3000 "$golden/zip.pth" >"$tmp/cut.pth"
expect 3 "$dorsum" convert "$tmp/cut.pth" -o "$tmp/no.safetensors"; says "cut off"
: >"$tmp/empty.pth"
expect 3 "$dorsum" convert "$tmp/empty.pth" -o "$tmp/no.safetensors"; says "an empty file"
expect 3 "$dorsum" describe "$tmp/empty.pth"; says "an empty file"
printf '<html>quota exceeded</html>' >"$tmp/w32.pth"
expect 3 "$dorsum" describe "$tmp/w32.pth"; says "w32.pth: a web page, not weights"
expect 2 "$dorsum" describe "$tmp/none.pth"; says "none.pth"
expect 2 "$dorsum" describe higherhrnet width=8 --size 100,100; says "higherhrnet cannot take --size 100,100: .*multiples of 32"
header='{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
{ printf '\066\0\0\0\0\0\0\0%s' "$header"; printf '\0\0\300\177'; } >"$tmp/nan.safetensors"
expect 10 "$dorsum" convert "$tmp/nan.safetensors" -o "$tmp/no.safetensors"; says "tensor 'w': element \[0\] is not finite"
[ ! -e "$tmp/no.safetensors" ] || fail "something was written"

# the weights of a run keep their record, and SYNTHETIC with it
cat >"$tmp/run.cfg" <<'CFG'
experiment = "small";
data   = "synth:subjects=8,frames=4,size=16,seed=1";
target = { column = "pattern"; positive = "EP"; };
split  = { folds = 2; };
inputs = { proms = { from = "proms"; columns = ["odi"]; impute = "median"; scale = "zscore"; net = "m"; }; };
nets   = { m = { kind = "mlp"; hidden = [4]; }; };
train  = { epochs = 2; };
arms   = { a = { use = ["proms"]; }; b = { use = ["proms"]; }; };
CFG
expect 0 "$dorsum" run "$tmp/run.cfg" --out "$tmp/run"
expect 0 "$dorsum" convert "$tmp/run/cells/a/seed_1/fold_1" -o "$tmp/cell.safetensors"; says "4 subjects of synthetic cohort.*SYNTHETIC"
expect 0 "$dorsum" describe "$tmp/cell.safetensors";        says "stamp = SYNTHETIC"
expect 2 "$dorsum" convert "$tmp/run" -o "$tmp/all";        says "\-\-arm: a, b"
expect 2 "$dorsum" convert "$tmp/run" --arm c -o "$tmp/all"; says "no arm 'c'"
expect 0 "$dorsum" convert "$tmp/run" --arm b -o "$tmp/all"
[ "$(ls "$tmp/all")" = "seed_1.fold_1.safetensors
seed_1.fold_2.safetensors" ] || fail "other files: $(ls "$tmp/all")"
expect 0 "$dorsum" convert "$tmp/run" --arm b --fold 2 -o "$tmp/two.safetensors"
cmp "$tmp/two.safetensors" "$tmp/all/seed_1.fold_2.safetensors" || fail "another file for one fold"

# nets that begin with weights of another run; never with weights that have seen these people
sed 's/seed=1"/seed=2"/; s/kind = "mlp";/kind = "mlp"; weights = "cell.safetensors";/' "$tmp/run.cfg" >"$tmp/on.cfg"
expect 0 "$dorsum" run "$tmp/on.cfg" --out "$tmp/on" --arm a; says "its first weights are trained on 4 subjects of synthetic cohort"
says "2 of 2 tensors begin as in its weight file; 0 are not in it"
grep -q '"weights_a_m_sha256": "[0-9a-f]*"' "$tmp/on/inputs.json" || fail "inputs.json does not say which weights"
expect 3 "$dorsum" run "$tmp/on.cfg" data=synth:subjects=8,frames=4,size=16,seed=1 --out "$tmp/leak"; says "on.cfg:[0-9]*: .*this very data set"
expect 2 "$dorsum" run "$tmp/on.cfg" nets.m.weights=none.pth --out "$tmp/none"; says "no such file"
expect 3 "$dorsum" run "$tmp/on.cfg" nets.m.weights="$golden/refuse_code.pth" --out "$tmp/none"; says "refuse_code.pth: data.pkl"
expect 2 "$dorsum" convert "$tmp" -o "$tmp/x.safetensors";  says "neither a weight file nor"
echo "convert: ok"
