#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The command line: exit codes, help, what goes to which stream, and what stays untouched.
. tests/e2e/lib.sh.inc

expect 0 "$dorsum" --version;          says "dorsum [0-9]"
expect 0 "$dorsum" --help;             says "Examples:"
expect 0 "$dorsum" help;               says "Commands:"
expect 2 "$dorsum";                    says "a command is wanted"
expect 2 "$dorsum" syth;               says "did you mean 'synth'"
expect 2 "$dorsum" --jobs 3;           says "before a command"
for c in $("$dorsum" help | sed -n 's/^  \([a-z]*\)  *[a-z].*/\1/p' | grep -v dorsum); do
  expect 0 "$dorsum" "$c" --help
  [ "$(sed -n 3p "$tmp/out")" = "Examples:" ] || fail "help of $c does not lead with examples"
  expect 0 "$dorsum" "$c" -h
  expect 0 "$dorsum" help "$c"
  expect 2 "$dorsum" "$c" --no-such-option
done
for t in run config exit-codes models ops; do expect 0 "$dorsum" help "$t"; done
expect 2 "$dorsum" help confg;         says "did you mean 'config'"
expect 2 "$dorsum" synth;              says "-o PATH"
expect 2 "$dorsum" synth -o "$tmp/d" subjcts=3; says "did you mean 'subjects'"
expect 2 "$dorsum" synth -o "$tmp/d" subjects=0; says "must lie in"
expect 2 "$dorsum" synth -o "$tmp/d" subjects=4 here.h5; says "usage: dorsum synth"
expect 2 "$dorsum" doctor x=1;         says "takes no key=value"
[ ! -e "$tmp/d" ] || fail "something was written"

expect 0 "$dorsum" synth -o "$tmp/d" subjects=8 frames=4 size=16 --dry-run; says "would write"
[ ! -e "$tmp/d" ] || fail "a dry run wrote"
expect 0 "$dorsum" synth -o "$tmp/d" subjects=8 frames=4 size=16
says "SYNTHETIC"
says "next: dorsum check"
cp "$tmp/d/cohort.h5" "$tmp/first.h5"
expect 2 "$dorsum" synth -o "$tmp/d" subjects=8 frames=4 size=16; says "--force"
expect 0 "$dorsum" synth -o "$tmp/d" subjects=8 frames=4 size=16 --force --quiet
[ ! -s "$tmp/out" ] || fail "--quiet says something"
cmp "$tmp/first.h5" "$tmp/d/cohort.h5" || fail "the same cohort has other bytes"

expect 0 "$dorsum" check "$tmp/d/cohort.h5"
"$dorsum" check "$tmp/d/cohort.h5" --json --quiet | python3 -c 'import json,sys; json.load(sys.stdin)' 2>/dev/null || fail "check --json is no JSON"
expect 0 "$dorsum" split "$tmp/d/cohort.h5" target=pattern folds=2 -o "$tmp/s.json"
expect 0 "$dorsum" split "$tmp/d/cohort.h5" target=pattern file="$tmp/s.json"
expect 2 "$dorsum" split "$tmp/d/cohort.h5" folds=2; says "target=NAME"
expect 2 "$dorsum" split "$tmp/d/cohort.h5" target=pattern unit=clip; says "split.unit"
for c in check split report verify "import csv -o x.h5"; do expect 2 "$dorsum" $c "$tmp/none"; says "no such file"; done
expect 0 "$dorsum" doctor;             says "onednn"
expect 5 sh -c "'$dorsum' help config >/dev/full"
"$dorsum" help config 2>"$tmp/err" | head -n 1 >/dev/null
[ ! -s "$tmp/err" ] || fail "a closed pipe is no error"
[ -z "$(NO_COLOR=1 "$dorsum" nonsense 2>&1 | tr -cd '\033')" ] || fail "colour in spite of NO_COLOR"
echo "cli: ok"

# devices
expect 2 "$dorsum" bench op=relu --device tpu;    says "no device 'tpu'; there are auto, cpu, cuda, cuda:N"
expect 2 "$dorsum" bench op=relu --device cuda:x; says "no device 'cuda:x'"
expect 2 "$dorsum" bench op=relu --device null;   says "no device 'null'"
expect 0 "$dorsum" bench op=relu --device cpu seconds=.001
expect 0 "$dorsum" doctor --device cpu
[ -e /dev/nvidiactl ] || { expect 1 "$dorsum" bench op=relu --device cuda; says "built without CUDA\|no CUDA d"; }
[ -e /dev/nvidiactl ] || { expect 0 "$dorsum" bench op=relu --device auto seconds=.001; }
expect 0 "$dorsum" describe mlp --device null;    says "linear_cublas product"
expect 0 "$dorsum" describe mlp --device null precision=bf16; says "parameters, bf16"; says "cast.*bf16"
expect 0 "$dorsum" describe mlp --device null precision=tf32; says "linear_cublas product .* tf32"
expect 0 "$dorsum" describe mlp precision=tf32;   says "parameters, fp32"
expect 0 "$dorsum" describe mlp precision=bf16;   says "parameters, bf16"; says "in_float linear_cpu"
expect 2 "$dorsum" describe mlp precision=fp16;   says "precision fp16 is not to be had on cpu"
