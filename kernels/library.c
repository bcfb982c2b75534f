/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls of library kernels go to the library that made their plan. */
#include "kernels/library.h"

#include "kernels/opgraph.h"

dor_status dor_library_product(const dor_prep *p, const dor_product *d, void **plan, size_t *scratch)
{
  DOR_NEED(p->library && p->library->product, UNSUPPORTED, "there is no library for matrix products");
  DOR_NEED(!p->fleet, UNSUPPORTED, "the library picks algorithms by the number of products");
  return p->library->product(p->library, d, plan, scratch);
}

dor_status dor_library_graph(const dor_prep *p, const dor_opgraph *g, void **plan, size_t *scratch)
{
  DOR_NEED(p->library && p->library->graph, UNSUPPORTED, "there is no library for operation graphs");
  DOR_NEED(!p->fleet, UNSUPPORTED, "a fleet goes by own kernels: one launch for all its models");
  DOR_NEED(!g->cannot, UNSUPPORTED, "an operation graph of %s", g->cannot);
  return p->library->graph(p->library, g, plan, scratch);
}

dor_status dor_library_attach(dor_call *c)
{
  const dor_library *l = dor_library_of(c->plan);
  return l->attach ? l->attach(c) : DOR_OK;
}

void dor_library_run(const dor_call *c) { dor_library_of(c->plan)->run(c); }

void dor_library_detach(dor_call *c)
{
  const dor_library *l = dor_library_of(c->plan);
  if (l->detach) l->detach(c);
}

void dor_library_drop(void *plan) { dor_library_of(plan)->drop(plan); }

const char *dor_library_describe(const void *plan)
{
  const dor_library *l = dor_library_of(plan);
  return l->describe ? l->describe(plan) : l->name;
}
