#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# make gpu-check without a GPU: it says so; and with a program in the place of the real one, every failure is in table and JSON, and ends it with 1.
. tests/e2e/lib.sh.inc

if [ ! -e /dev/nvidiactl ]; then
  expect 1 env OUT="$tmp/none" tools/gpu_check.sh
  says "no CUDA driver"
  expect 1 env OUT="$tmp/none" PART=fleet tools/gpu_bench.sh
  says "no CUDA driver"
fi
cat >"$tmp/program" <<'P'
#!/bin/sh
case $1 in
  =sound | =device_description) echo "    all is well" ;;
  =broken) echo 'tests/ops/device.c:1: a "sum" is off'; exit 1 ;;
  =hangs) exec sleep 60 ;;
esac
P
chmod +x "$tmp/program"
printf 'TEST(%s)\n' device_description sound broken hangs never >"$tmp/tests.def"
expect 1 env OUT="$tmp/found" PROGRAM="$tmp/program" TESTS="$tmp/tests.def" EACH_S=6 tools/gpu_check.sh
says "3 passed, 2 failed"
says "ok   sound .*all is well"
says 'FAIL broken .*a "sum" is off'
says "FAIL hangs"
expect 0 python3 -m json.tool "$tmp/found/results.json"
says '"says": "tests/ops/device.c:1: a \\"sum\\" is off"'
expect 0 env OUT="$tmp/found" PROGRAM="$tmp/program" TESTS="$tmp/tests.def" ONLY=sound tools/gpu_check.sh
says "2 passed, 0 failed"
echo "gpu_check: ok"
