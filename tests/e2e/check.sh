#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The test program itself: a name that selects nothing is no success, and every name given selects.
. tests/e2e/lib.sh.inc
check=build/release/check

expect 2 $check no_such_test;                       says "no test has 'no_such_test' in its name"
expect 2 $check lock_second_taker no_such_test;     says "no test has 'no_such_test' in its name"
expect 0 $check lock_second_taker expect_refused;   says "2 test(s) run"
