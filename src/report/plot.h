/* SPDX-License-Identifier: Apache-2.0
 *
 * Figures: data and a gnuplot script each, drawn by gnuplot as a child process
 * (private to report). Colours are Okabe and Ito's, safe for colour-blind eyes. */
#ifndef DOR_REPORT_PLOT_H
#define DOR_REPORT_PLOT_H

#include "report/analysis.h"

typedef struct dor_plot {
  int32_t width, height;       /* pixels of the PNG; a hundredth of an inch each in the PDF */
  dor_str dat, body;           /* body: gnuplot commands between `set output` and its end; empty: there is nothing to draw */
} dor_plot;

typedef dor_status dor_plot_maker(const dor_analysis *x, const char *folder, dor_plot *out); /* folder: the run's */
#define FIGURE(name) dor_plot_maker dor_plot_##name;
#include "report/figures.def"
#undef FIGURE

typedef enum dor_plot_id {
#define FIGURE(name) DOR_PLOT_##name,
#include "report/figures.def"
#undef FIGURE
  DOR_PLOT_COUNT
} dor_plot_id;
extern const char *const dor_plot_names[DOR_PLOT_COUNT];

/* One of the figures, into plots/: what dor_write_figures does for all. */
DOR_MUST dor_status dor_write_figure(const dor_analysis *x, const char *folder, dor_plot_id id);

const char *dor_plot_colour(int32_t i);
void dor_plot_text(dor_str *s, const char *text);            /* quoted for gnuplot */
void dor_plot_tic(dor_str *s, const char *text);             /* a tic's label: a format, so per cent signs are doubled */
void dor_plot_title(const dor_analysis *x, dor_str *s, const char *title); /* `set title`, with the stamp */
void dor_plot_number(dor_str *s, double x);                  /* and a blank; NaN as gnuplot reads it */

/* Run `gnuplot -d script...` in `folder`; *why: what it said when it failed, "" when all went well. errors only NOMEM. */
DOR_MUST dor_status dor_gnuplot(dor_arena *a, const char *folder, const char *const script[], int32_t n, const char **why);
/* The PDF with its dates set to a fixed one, so that the same figure has the same bytes (pdf.c). data is changed; NUL follows it. */
DOR_MUST dor_status dor_pdf_undate(char *data, size_t size, dor_str *out);

#endif
