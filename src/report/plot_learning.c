/* SPDX-License-Identifier: Apache-2.0
 *
 * Learning curves: one line per cell from cells/ARM/.../train.csv, a panel per arm. */
#include <math.h>
#include <string.h>

#include "base/csv.h"
#include "base/io.h"
#include "report/plot.h"

enum { DEPTH = 4 };

typedef struct curves {
  dor_str *dat;
  int32_t n;         /* blocks written */
  bool val, ap;      /* some cell has a validation loss; an AP of the validation pictures */
} curves;

static dor_status cell(dor_arena *a, const char *path, const char *name, curves *c)
{
  dor_csv t;
  DOR_TRY(dor_csv_read(a, path, &t));
  int32_t epoch = dor_csv_find(&t, "epoch"), loss = dor_csv_find(&t, "loss"), val = dor_csv_find(&t, "val"), ap = dor_csv_find(&t, "ap");
  DOR_NEED(epoch >= 0 && loss >= 0, DATA, "%s: no columns epoch and loss", path);
  dor_str_fmt(c->dat, "# %s: epoch, loss, %s\n", name, ap < 0 ? "loss on the inner split" : "AP on the validation pictures");
  for (int32_t i = 0; i < t.n_rows; i++) {
    const char *last = i + 1 < t.n_rows ? dor_csv_at(&t, i + 1, epoch) : "";
    if (!strcmp(last, dor_csv_at(&t, i, epoch))) continue; /* of several rows in an epoch the last */
    const char *v = val >= 0 ? dor_csv_at(&t, i, val) : ap >= 0 ? dor_csv_at(&t, i, ap) : "";
    c->val |= val >= 0 && v[0], c->ap |= val < 0 && v[0];
    dor_str_fmt(c->dat, "%s %s %s\n", dor_csv_at(&t, i, epoch), dor_csv_at(&t, i, loss), v[0] ? v : "NaN");
  }
  dor_str_add(c->dat, "\n\n");
  c->n++;
  return DOR_OK;
}

/* Folders in the order of their names, so the figure does not depend on the disk. */
static dor_status walk(dor_arena *a, const char *folder, const char *name, int depth, curves *c)
{
  const char *const *entry;
  size_t n;
  char *train = dor_path_join(a, folder, "train.csv");
  DOR_NEED(train, NOMEM, "%s", folder);
  if (dor_io_exists(train)) return cell(a, train, name, c);
  if (!depth || !dor_io_is_dir(folder)) return DOR_OK;
  DOR_TRY(dor_io_list(a, folder, &entry, &n));
  for (size_t i = 0; i < n; i++) {
    char *below = dor_path_join(a, folder, entry[i]), *longer = dor_arena_fmt(a, "%s/%s", name, entry[i]);
    DOR_NEED(below && longer, NOMEM, "%s", folder);
    if (dor_io_is_dir(below)) DOR_TRY(walk(a, below, longer, depth - 1, c));
  }
  return DOR_OK;
}

static void panel(const dor_analysis *x, int32_t arm, int32_t first, int32_t last, const curves *c, dor_str *s)
{
  if (c->ap) dor_str_add(s, "set y2tics\nset y2label 'AP'\nset y2range [0:1]\n");
  dor_str_add(s, "set title ");
  dor_plot_text(s, x->arm[arm].arm->title);
  dor_str_fmt(s, "\nplot for [i = %d:%d] 'learning.dat' index i using 1:2 with lines lw 1.2 lc rgb '#600072B2' title i == %d ? 'training' : ''",
              first, last, first);
  if (c->ap)
    dor_str_fmt(s, ", \\\n  for [i = %d:%d] 'learning.dat' index i using 1:3 axes x1y2 with linespoints pt 7 ps 0.5 lc rgb '#60D55E00' "
                   "title i == %d ? 'AP, validation' : ''", first, last, first);
  if (c->val)
    dor_str_fmt(s, ", \\\n  for [i = %d:%d] 'learning.dat' index i using 1:3 with lines lw 1.2 lc rgb '#60D55E00' title i == %d ? 'inner split' : ''",
                first, last, first);
  dor_str_add(s, "\n");
}

static void open_panels(const dor_analysis *x, int32_t n, dor_plot *out)
{
  int32_t across = n < 3 ? n : 3, down = (n + across - 1) / across;
  out->width = across == 1 ? 700 : across * 420, out->height = down * 340 + 60;
  dor_str heading = {0};
  dor_str_fmt(&heading, "%s: learning curves, a line per fold and seed%s%s", x->m->title, dor_stamp(x->m)[0] ? "   " : "", dor_stamp(x->m));
  dor_str_fmt(&out->body, "set multiplot layout %d,%d title ", down, across);
  dor_plot_text(&out->body, heading.s ? heading.s : "");
  dor_str_add(&out->body, "\nset xlabel 'epoch'\nset ylabel 'loss'\nset key top right\nset yrange [0:*]\n");
  out->body.failed |= heading.failed;
  dor_str_release(&heading);
}

dor_status dor_plot_learning(const dor_analysis *x, const char *folder, dor_plot *out)
{
  curves c = {.dat = &out->dat};
  int32_t panels = 0, *first = dor_arena_alloc(x->a, ((size_t)x->n_arms + 1) * sizeof *first);
  curves *of = dor_arena_alloc(x->a, ((size_t)x->n_arms + 1) * sizeof *of);
  DOR_NEED(first && of, NOMEM, "%d arms", x->n_arms);
  for (int32_t i = 0; i < x->n_arms; i++) {
    const char *name = x->arm[i].arm->name;
    char *cells = dor_arena_fmt(x->a, "%s/cells/%s", folder, name);
    DOR_NEED(cells, NOMEM, "%s", folder);
    first[i] = c.n, c.val = c.ap = false;
    DOR_TRY(walk(x->a, cells, name, DEPTH, &c));
    of[i] = c, panels += c.n > first[i];
  }
  if (!panels) return DOR_OK;
  open_panels(x, panels, out);
  first[x->n_arms] = c.n;
  for (int32_t i = 0; i < x->n_arms; i++)
    if (first[i + 1] > first[i]) panel(x, i, first[i], first[i + 1] - 1, &of[i], &out->body);
  dor_str_add(&out->body, "unset multiplot\n");
  return DOR_OK;
}
