/* SPDX-License-Identifier: Apache-2.0
 *
 * A library that takes whatever it is asked for and remembers it as a line of text: which patterns a program would hand to
 * cuDNN and cuBLASLt shows in its dump. It runs nothing. */
#include "backend/backend.h"
#include "base/mem.h"
#include "kernels/opgraph.h"

typedef struct record {
  dor_library_plan is;
  dor_str text;
} record;

static void drop(void *plan)
{
  record *r = plan;
  dor_str_release(&r->text);
  dor_free(r);
}

static dor_status keep(const dor_library *l, dor_str *text, void **plan, size_t *scratch)
{
  record *r = dor_calloc(1, sizeof *r);
  if (!r || text->failed) {
    dor_str_release(text);
    dor_free(r);
    return DOR_FAIL(NOMEM, "a plan");
  }
  *r = (record){{l}, *text};
  *plan = r;
  *scratch = 0;
  return DOR_OK;
}

static dor_status product(const dor_library *l, const dor_product *p, void **plan, size_t *scratch)
{
  static const char *const epilogue[] = {[DOR_EPILOGUE_NONE] = "", [DOR_EPILOGUE_BIAS] = " +bias", [DOR_EPILOGUE_BIAS_RELU] = " +bias relu",
                                         [DOR_EPILOGUE_SUM_B] = " +column sums"};
  dor_str text = {0};
  dor_str_add(&text, "product ");
  if (p->batch > 1) dor_str_fmt(&text, "%dx", p->batch);
  dor_str_fmt(&text, "[%lld,%lld]%s[%lld,%lld]%s %s%s", (long long)p->m, (long long)p->k, p->ta ? "'" : "", (long long)p->k, (long long)p->n,
              p->tb ? "'" : "", dor_dtype_name(p->type_c), epilogue[p->epilogue]);
  dor_str_add(&text, p->copied_b ? " copied weights" : "");
  if (l->tf32) dor_str_add(&text, " tf32");
  return keep(l, &text, plan, scratch);
}

static dor_status graph(const dor_library *l, const dor_opgraph *g, void **plan, size_t *scratch)
{
  dor_str text = {0};
  dor_og_print(g, &text);
  if (l->tf32) dor_str_add(&text, " tf32");
  return keep(l, &text, plan, scratch);
}

static void run(const dor_call *c) { (void)c; }
static const char *describe(const void *plan) { return ((const record *)plan)->text.s; }

const dor_library dor_library_recorder = {.name = "recorder", .product = product, .graph = graph, .run = run, .drop = drop, .describe = describe};
