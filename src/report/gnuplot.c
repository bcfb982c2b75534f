/* SPDX-License-Identifier: Apache-2.0
 *
 * gnuplot as a child process. */
#include "base/child.h"
#include "report/plot.h"

dor_status dor_gnuplot(dor_arena *a, const char *folder, const char *const script[], int32_t n, const char **why)
{
  const char **argv = dor_arena_alloc(a, ((size_t)n + 3) * sizeof *argv);
  char said[DOR_CHILD_SAYS];
  dor_child child;
  *why = "";
  DOR_NEED(argv, NOMEM, "gnuplot");
  argv[0] = "gnuplot", argv[1] = "-d";
  for (int32_t i = 0; i < n; i++) argv[i + 2] = script[i];
  const dor_child_plan plan = {.argv = argv, .folder = folder};
  const bool started = !dor_child_start(&child, &plan);
  if (started && dor_child_end(&child, said)) return DOR_OK;
  *why = dor_arena_str(a, started ? said : dor_errmsg()); /* it is told what went wrong; plots never fail a run */
  DOR_NEED(*why, NOMEM, "gnuplot");
  return DOR_OK;
}
