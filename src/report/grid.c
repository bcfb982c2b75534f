/* SPDX-License-Identifier: Apache-2.0
 *
 * One table of texts in three notations. */
#include "report/output.h"

#include "base/io.h"
#include "report/text.h"

dor_status dor_write_text(dor_arena *a, const char *folder, const char *name, dor_str *s)
{
  char *path = dor_path_join(a, folder, name);
  dor_status status = path ? dor_str_status(s) : DOR_FAIL(NOMEM, "%s", name);
  if (!status) status = dor_io_write(path, s->s ? s->s : "", s->n);
  dor_str_release(s);
  return status;
}

void dor_put_marks(const dor_analysis *x, dor_str *s)
{
  dor_csv_put(s, dor_stamp(x->m), false);
  dor_csv_put(s, x->m->result, true);
}

typedef void put_text(dor_str *s, const char *text);

typedef struct notation {
  put_text *put;
  const char *open, *between, *close, *bold, *plain;
} notation;

static const notation markdown = {dor_put_markdown, "| ", " | ", " |\n", "**", "**"}, tex = {dor_put_tex, "", " & ", " \\\\\n", "\\textbf{", "}"},
                      html = {dor_put_html, "<tr><td>", "</td><td>", "</td></tr>\n", "<b>", "</b>"};

static void line(dor_str *s, const char *const *cell, int32_t n, int32_t bold, const notation *as)
{
  dor_str_add(s, as->open);
  for (int32_t i = 0; i < n; i++) {
    if (i) dor_str_add(s, as->between);
    if (i == bold) dor_str_add(s, as->bold);
    as->put(s, cell[i]);
    if (i == bold) dor_str_add(s, as->plain);
  }
  dor_str_add(s, as->close);
}

static void rows(const dor_grid *g, const notation *as, dor_str *s)
{
  for (int32_t r = 0; r < g->n_rows; r++) line(s, g->cell + r * g->n_cols, g->n_cols, g->bold - r * g->n_cols, as);
}

void dor_grid_markdown(const dor_grid *g, const char *caption, dor_str *s)
{
  line(s, g->head, g->n_cols, -1, &markdown);
  dor_str_add(s, "|");
  for (int32_t i = 0; i < g->n_cols; i++) dor_str_add(s, i ? "---:|" : "---|");
  dor_str_add(s, "\n");
  rows(g, &markdown, s);
  dor_str_add(s, "\n");
  dor_put_markdown(s, caption);
  dor_str_add(s, "\n");
}

void dor_grid_tex(const dor_grid *g, const char *label, const char *caption, dor_str *s)
{
  dor_str_add(s, "\\begin{table}\n\\centering\n\\caption{");
  dor_put_tex(s, caption);
  dor_str_fmt(s, "}\n\\label{tab:%s}\n\\begin{tabular}{l", label);
  for (int32_t i = 1; i < g->n_cols; i++) dor_str_add(s, "r");
  dor_str_add(s, "}\n\\toprule\n");
  line(s, g->head, g->n_cols, -1, &tex);
  dor_str_add(s, "\\midrule\n");
  rows(g, &tex, s);
  dor_str_add(s, "\\bottomrule\n\\end{tabular}\n\\end{table}\n");
}

void dor_grid_html(const dor_grid *g, const char *caption, dor_str *s)
{
  static const notation head = {dor_put_html, "<thead><tr><th>", "</th><th>", "</th></tr></thead>\n<tbody>\n", "", ""};
  dor_str_add(s, "<table>\n<caption>");
  dor_put_html(s, caption);
  dor_str_add(s, "</caption>\n");
  line(s, g->head, g->n_cols, -1, &head);
  rows(g, &html, s);
  dor_str_add(s, "</tbody>\n</table>\n");
}
