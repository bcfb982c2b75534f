/* SPDX-License-Identifier: Apache-2.0
 *
 * report.md and report.html: the first screen, then tables, figures and how
 * they were made. The HTML holds its pictures and refers to nothing outside. */
#include <string.h>

#include "base/io.h"
#include "base/mem.h"
#include "report/output.h"
#include "report/plot.h"
#include "report/text.h"

static const char *const figure_says[DOR_PLOT_COUNT] = {
    [DOR_PLOT_arms] = "Accuracy and AUC of every arm with their intervals. Dashed: always the commonest class, and chance.",
    [DOR_PLOT_roc] = "ROC curves of the out-of-fold probabilities; the band is pointwise, by bootstrap.",
    [DOR_PLOT_confusion] = "Confusion matrices, all folds together: rows are the truth, columns the decision, the shade is the share of the row.",
    [DOR_PLOT_folds] = "Accuracy in each fold. Their spread describes the folds; it is no interval.",
    [DOR_PLOT_learning] = "Learning curves of all cells."};

enum { TABLES = 4 };

static dor_status grids(const dor_analysis *x, dor_grid g[TABLES], const char *caption[TABLES])
{
  DOR_TRY(dor_grid_main(x, &g[0]));
  DOR_TRY(dor_grid_classes(x, &g[1]));
  DOR_TRY(dor_grid_ablation(x, &g[2]));
  DOR_TRY(dor_grid_folds(x, &g[3]));
  DOR_TRY(dor_caption(x, &caption[0]));
  caption[0] = dor_arena_fmt(x->a, "%s%s", caption[0], dor_conventions(x));
  const char *stamp = dor_stamp(x->m), *dot = stamp[0] ? ". " : "";
  caption[1] = dor_arena_fmt(x->a, "%s%sEach class against the rest.", stamp, dot);
  caption[2] = dor_arena_fmt(x->a, "%s%sAgainst %s.%s", stamp, dot, x->arm[x->reference].arm->title, dor_test_decides(x));
  caption[3] = dor_arena_fmt(x->a, "%s%sBy fold: a description, no interval.%s", stamp, dot, dor_conventions(x));
  DOR_NEED(caption[0] && caption[1] && caption[2] && caption[3], NOMEM, "captions");
  return DOR_OK;
}

static const char *const section[TABLES] = {"All metrics", "Classes", "Ablation", "Folds"};

/* plots/NAME.png, else .svg; NULL when it was not drawn. */
static char *picture(const dor_analysis *x, const char *folder, const char *name)
{
  static const char *const format[] = {"png", "svg"};
  for (int f = 0; f < 2; f++) {
    char *path = dor_arena_fmt(x->a, "%s/plots/%s.%s", folder, name, format[f]);
    if (path && dor_io_exists(path)) return path;
  }
  return NULL;
}

static const char *file_of(const char *path) { return strrchr(path, '/') + 1; }

void dor_put_figures_markdown(const dor_analysis *x, const char *folder, dor_str *s)
{
  dor_str_add(s, "\n## Figures\n");
  for (int i = 0; i < DOR_PLOT_COUNT; i++) {
    const char *path = picture(x, folder, dor_plot_names[i]);
    if (path) dor_str_fmt(s, "\n![%s](plots/%s)\n\n%s\n", dor_plot_names[i], file_of(path), figure_says[i]);
  }
}

static dor_status markdown(const dor_analysis *x, const char *folder, const char *screen, dor_str *s)
{
  dor_grid g[TABLES];
  const char *caption[TABLES];
  DOR_TRY(grids(x, g, caption));
  dor_str_add(s, "# ");
  dor_put_markdown(s, x->m->title);
  dor_str_fmt(s, "\n\n```\n%s```\n", screen);
  for (int i = 0; i < TABLES; i++) {
    if (!g[i].n_rows) continue;
    dor_str_fmt(s, "\n## %s\n\n", section[i]);
    dor_grid_markdown(&g[i], caption[i], s);
  }
  dor_put_figures_markdown(x, folder, s);
  return DOR_OK;
}

static void base64(const unsigned char *in, size_t n, dor_str *s)
{
  static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t i = 0; i < n; i += 3) {
    size_t left = n - i;
    unsigned v = (unsigned)in[i] << 16 | (left > 1 ? (unsigned)in[i + 1] << 8 : 0) | (left > 2 ? in[i + 2] : 0u);
    char four[4] = {digit[v >> 18], digit[v >> 12 & 63], left > 1 ? digit[v >> 6 & 63] : '=', left > 2 ? digit[v & 63] : '='};
    dor_str_bytes(s, four, 4);
  }
}

static dor_status embed(const char *path, const char *name, const char *says, dor_str *s)
{
  char *data;
  size_t size;
  DOR_TRY(dor_io_read(path, (size_t)1 << 28, &data, &size));
  const char *type = strcmp(path + strlen(path) - 4, ".svg") ? "image/png" : "image/svg+xml";
  dor_str_fmt(s, "<figure><img alt=\"%s\" src=\"data:%s;base64,", name, type);
  base64((const unsigned char *)data, size, s);
  dor_str_add(s, "\"><figcaption>");
  dor_put_html(s, says);
  dor_str_add(s, "</figcaption></figure>\n");
  dor_free(data);
  return DOR_OK;
}

static const char style[] =
    "body{font:16px/1.5 system-ui,sans-serif;color:#222;background:#fff;max-width:64rem;margin:2rem auto;padding:0 1rem}"
    "pre{font:13px/1.45 ui-monospace,'DejaVu Sans Mono',monospace;background:#f6f7f9;border:1px solid #dde1e6;border-radius:6px;padding:1rem;overflow-x:auto}"
    "h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2.5rem}"
    ".wide{overflow-x:auto}table{border-collapse:collapse;font-size:.85rem;margin:1rem 0}"
    "caption{caption-side:bottom;text-align:left;color:#555;padding-top:.5rem}"
    "th{text-align:right;border-top:2px solid #222;border-bottom:1px solid #222;vertical-align:bottom}td{text-align:right;border-bottom:1px solid #e3e6ea}"
    "th,td{padding:.25rem .6rem;white-space:nowrap}th:first-child,td:first-child{text-align:left}tbody tr:last-child td{border-bottom:2px solid #222}"
    "figure{margin:1.5rem 0}figure img{max-width:100%;height:auto}figcaption{color:#555;font-size:.9rem}"
    ".stamp{display:inline-block;background:#D55E00;color:#fff;font-weight:600;padding:.1rem .6rem;border-radius:4px}"
    "@media print{pre{font-size:8.5px}}";

static void html_head(const dor_analysis *x, const char *screen, dor_str *s)
{
  dor_str_add(s, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\n<title>");
  dor_put_html(s, x->m->title);
  dor_str_fmt(s, "</title>\n<style>%s</style></head>\n<body>\n<h1>", style);
  dor_put_html(s, x->m->title);
  dor_str_add(s, "</h1>\n");
  if (dor_stamp(x->m)[0]) dor_str_fmt(s, "<p class=\"stamp\">%s</p>\n", dor_stamp(x->m));
  dor_str_add(s, "<pre>");
  dor_put_html(s, screen);
  dor_str_add(s, "</pre>\n");
}

dor_status dor_put_figures_html(const dor_analysis *x, const char *folder, dor_str *s)
{
  dor_str_add(s, "<h2>Figures</h2>\n");
  for (int i = 0; i < DOR_PLOT_COUNT; i++) {
    const char *path = picture(x, folder, dor_plot_names[i]);
    if (path) DOR_TRY(embed(path, dor_plot_names[i], figure_says[i], s));
  }
  return DOR_OK;
}

static dor_status html(const dor_analysis *x, const char *folder, const char *screen, dor_str *s)
{
  dor_grid g[TABLES];
  const char *caption[TABLES];
  DOR_TRY(grids(x, g, caption));
  html_head(x, screen, s);
  DOR_TRY(dor_put_figures_html(x, folder, s));
  for (int i = 0; i < TABLES; i++) {
    if (!g[i].n_rows) continue;
    dor_str_fmt(s, "<h2>%s</h2>\n<div class=\"wide\">", section[i]);
    dor_grid_html(&g[i], caption[i], s);
    dor_str_add(s, "</div>\n");
  }
  dor_str_add(s, "</body></html>\n");
  return DOR_OK;
}

dor_status dor_write_pages(const dor_analysis *x, const char *folder, const char *screen)
{
  dor_str s = {0};
  dor_status status = markdown(x, folder, screen, &s);
  if (!status) status = dor_write_text(x->a, folder, "report.md", &s);
  if (!status) status = html(x, folder, screen, &s);
  if (!status) return dor_write_text(x->a, folder, "report.html", &s);
  dor_str_release(&s);
  return status;
}
