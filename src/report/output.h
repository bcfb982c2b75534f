/* SPDX-License-Identifier: Apache-2.0
 *
 * What a report consists of: each function writes some files of the run folder
 * from the analysis (private to report). */
#ifndef DOR_REPORT_OUTPUT_H
#define DOR_REPORT_OUTPUT_H

#include "report/analysis.h"

/* A table of texts, written as Markdown, LaTeX and HTML. */
typedef struct dor_grid {
  int32_t n_cols, n_rows;
  const char **head;           /* [n_cols] */
  const char **cell;           /* [n_rows, n_cols] */
  int32_t bold;                /* index into cell of the one to set off; -1: none */
} dor_grid;

void dor_grid_markdown(const dor_grid *g, const char *caption, dor_str *s);
void dor_grid_tex(const dor_grid *g, const char *label, const char *caption, dor_str *s); /* booktabs */
void dor_grid_html(const dor_grid *g, const char *caption, dor_str *s);

DOR_MUST dor_status dor_grid_main(const dor_analysis *x, dor_grid *out);
DOR_MUST dor_status dor_grid_classes(const dor_analysis *x, dor_grid *out); /* no rows when there are two classes */
DOR_MUST dor_status dor_grid_folds(const dor_analysis *x, dor_grid *out);
DOR_MUST dor_status dor_grid_ablation(const dor_analysis *x, dor_grid *out);

DOR_MUST dor_status dor_write_metrics(const dor_analysis *x, const char *folder);  /* metrics.csv, metrics.json */
DOR_MUST dor_status dor_write_errors(const dor_analysis *x, const char *folder);   /* errors.csv */
DOR_MUST dor_status dor_write_tables(const dor_analysis *x, const char *folder);   /* tables/ */
void dor_put_marks(const dor_analysis *x, dor_str *s);                             /* the last two columns of a CSV: stamp,run */
DOR_MUST dor_status dor_write_figures(const dor_analysis *x, const char *folder);  /* plots/ */
DOR_MUST dor_status dor_write_screen(const dor_analysis *x, dor_str *s);           /* the first screen */
/* Those of the figures that were drawn, into report.md and report.html. */
void dor_put_figures_markdown(const dor_analysis *x, const char *folder, dor_str *s);
DOR_MUST dor_status dor_put_figures_html(const dor_analysis *x, const char *folder, dor_str *s);
DOR_MUST dor_status dor_write_pages(const dor_analysis *x, const char *folder, const char *screen); /* report.md, report.html */

/* Write text to folder/name and release it, whether or not it could be. */
DOR_MUST dor_status dor_write_text(dor_arena *a, const char *folder, const char *name, dor_str *s);

#endif
