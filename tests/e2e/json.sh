#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every command that prints results prints them as one JSON document with --json, and nothing beside them with --quiet.
. tests/e2e/lib.sh.inc

# gives KEY VALUE command...: stdout is JSON whose KEY (a.b) is VALUE, stderr is silent
gives() {
  key=$1 value=$2; shift 2
  "$dorsum" "$@" --json --quiet >"$tmp/json" 2>"$tmp/err" || { cat "$tmp/err"; fail "exit $?: $*"; }
  [ ! -s "$tmp/err" ] || { cat "$tmp/err"; fail "--quiet says something: $*"; }
  python3 - "$tmp/json" "$key" "$value" <<'PY' || fail "$*"
import json, sys
x = json.load(open(sys.argv[1]))
for k in sys.argv[2].split("."):
    x = x[int(k)] if k.isdigit() else x[k]
assert str(x) == sys.argv[3], f"{sys.argv[2]} is {x!r}, not {sys.argv[3]}"
PY
}

d=$tmp/"a \"b\" ü"
small="subjects=12 frames=4 size=16 missing=0"
gives written False synth -o "$d" $small --dry-run
[ ! -e "$d" ] || fail "a dry run wrote"
gives subjects 12 synth -o "$d" $small
gives targets.1.target pattern synth -o "$d" $small --force
gives sha256 "$(sha256sum "$d/cohort.h5" | cut -d' ' -f1)" synth -o "$d" $small --force
gives usable True check "$d/cohort.h5"
gives balance.1.fold 2 split "$d/cohort.h5" target=pattern folds=2
printf 'id,kind,x\na,A,1\nb,B,2\n' >"$tmp/t.csv"
printf 'name = "t"; ids = "keep"; people = { table = "t.csv"; subject = "id"; };\nlabels = { table = "t.csv"; subject = "id"; targets = ( { name = "kind"; classes = ["A", "B"]; } ); };\nfeatures = { table = "t.csv"; subject = "id"; columns = ["x"]; };\n' >"$tmp/t.cfg"
gives written False import csv "$tmp/t.cfg" -o "$tmp/t.h5" --dry-run
[ ! -e "$tmp/t.h5" ] || fail "a dry run wrote"
gives targets.0.classes.B 1 import csv "$tmp/t.cfg" -o "$tmp/t.h5"

mkdir "$tmp/exp"
cat >"$tmp/exp/experiment.cfg" <<CFG
experiment = "json"; data = "cohort.h5"; target = { column = "pattern"; positive = "EP"; }; split = { folds = 2; };
inputs = { p = { from = "proms"; scale = "zscore"; net = "m"; }; }; nets = { m = { kind = "mlp"; hidden = [4]; }; };
train = { epochs = 2; batch = 4; stop = "none"; }; use = ["p"]; baselines = ["majority"];
CFG
cp "$d/cohort.h5" "$tmp/exp/"
printf 'published = { model = { accuracy = 0.5; }; };\nexpected = ( { arm = "model"; metric = "accuracy"; at_least = 0.0; } );\n' >"$tmp/exp/expect.cfg"
gives arms.0.cells 2 run "$tmp/exp/experiment.cfg" --dry-run
gives trained 1 run "$tmp/exp/experiment.cfg" --fold 2 --out "$tmp/part"
gives complete True run "$tmp/exp/experiment.cfg" --out "$tmp/run"
gives hold True verify "$tmp/run"
gives inputs 1 verify "$tmp/run"
gives unlisted 0 verify "$tmp/run"
"$dorsum" report "$tmp/run" --json --quiet >"$tmp/json" 2>"$tmp/err"
python3 -c 'import json, sys; json.load(open(sys.argv[1]))' "$tmp/json" || fail "report --json is no JSON"
gives runs.0.cells 2 reproduce "$tmp/exp" --dry-run
[ ! -e "$tmp/rep" ] || fail "a dry run wrote"
gives runs.0.rows.1.held True reproduce "$tmp/exp" --out "$tmp/rep"
gives held True reproduce "$tmp/exp" --out "$tmp/rep"
printf 'expected = ( { arm = "model"; metric = "accuracy"; at_least = 1.1; } );\n' >"$tmp/exp/expect.cfg"
expect 4 "$dorsum" reproduce "$tmp/exp" --out "$tmp/rep" --json
says '"held": false'
says "at least 1.1000 is expected"
"$dorsum" doctor --json --quiet | python3 -c 'import json, sys; json.load(sys.stdin)' || fail "doctor --json is no JSON"
"$dorsum" describe mlp features=3 --json --quiet | python3 -c 'import json, sys; json.load(sys.stdin)' || fail "describe --json is no JSON"
"$dorsum" describe higherhrnet --json --quiet | python3 -c '
import json, sys
m = json.load(sys.stdin)[0]
assert m["parameters"] == 28645331 and round(m["conv_macs"] / 1e6) == 46203 and round(m["conv_macs_as_published"] / 1e6) == 47864, m' || fail "describe higherhrnet: not the published counts"
echo "json: ok"
