/* SPDX-License-Identifier: Apache-2.0
 *
 * A graph in double at a bearable speed: the ops' definitions, but for plain
 * convolutions the same sums in another order on two threads. */
#ifndef DOR_TESTS_GOLDEN_DOUBLE_H
#define DOR_TESTS_GOLDEN_DOUBLE_H

#include "tests/ops/reference.h"

void double_run(numbers x); /* all nodes; convolutions without groups and dilation */

#endif
