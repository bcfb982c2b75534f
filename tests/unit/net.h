/* SPDX-License-Identifier: Apache-2.0
 *
 * A small convolutional net with loss and gradients, random in its shape: what
 * the program tests build, and the memory it runs in. */
#ifndef DOR_TESTS_UNIT_NET_H
#define DOR_TESTS_UNIT_NET_H

#include "backend/backend.h"

typedef struct test_net {
  dor_params params;
  dor_graph graph;
  dor_blocks blocks;
} test_net;

/* seed chooses depth, widths, kinds of layer; accumulate as dor_graph_grad_params. Batch 6, 12x12x3, 4 classes. */
void test_net_build(test_net *n, uint64_t seed, bool accumulate);
void test_net_free(test_net *n); /* blocks and table; the graph if no program has it */

dor_instance *test_net_instance(const test_net *n, const dor_program *p); /* inputs filled */
void test_net_start(test_net *n);                                         /* parameters and states as new, gradients zero */

#endif
