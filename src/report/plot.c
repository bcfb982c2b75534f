/* SPDX-License-Identifier: Apache-2.0
 *
 * Scripts and data out, pictures drawn by one gnuplot for all (a second try one
 * by one finds the figure that fails). A failure is a warning, never an error. */
#include "report/plot.h"

#include <math.h>
#include <string.h>

#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "report/output.h"

const char *const dor_plot_names[DOR_PLOT_COUNT] = {
#define FIGURE(name) #name,
#include "report/figures.def"
#undef FIGURE
};

static dor_plot_maker *const makers[DOR_PLOT_COUNT] = {
#define FIGURE(name) dor_plot_##name,
#include "report/figures.def"
#undef FIGURE
};

const char *dor_plot_colour(int32_t i)
{
  static const char *const colour[] = {"#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"};
  return colour[i % (int32_t)(sizeof colour / sizeof *colour)];
}

static void quote(dor_str *s, const char *text, char twice)
{
  dor_str_add(s, "'");
  for (const char *c = text; *c; c++) {
    if (*c == '\'' || *c == twice) dor_str_bytes(s, c, 1);
    dor_str_bytes(s, (unsigned char)*c < 32 ? " " : c, 1);
  }
  dor_str_add(s, "'");
}

void dor_plot_text(dor_str *s, const char *text) { quote(s, text, '\''); }
void dor_plot_tic(dor_str *s, const char *text) { quote(s, text, '%'); }

void dor_plot_title(const dor_analysis *x, dor_str *s, const char *title)
{
  dor_str whole = {0};
  dor_str_fmt(&whole, "%s: %s%s%s", x->m->title, title, dor_stamp(x->m)[0] ? "   " : "", dor_stamp(x->m));
  dor_str_add(s, "set title ");
  dor_plot_text(s, whole.s ? whole.s : "");
  dor_str_add(s, "\n");
  s->failed |= whole.failed;
  dor_str_release(&whole);
}

void dor_plot_number(dor_str *s, double x)
{
  if (isnan(x)) dor_str_add(s, "NaN");
  else dor_str_real(s, x);
  dor_str_add(s, " ");
}

/* Whoever passes a figure's data on passes on what they are worth, and what they were made from. */
static void provenance(const dor_analysis *x, dor_str *s)
{
  dor_str_fmt(s, "# %s%sresult %s\n", dor_stamp(x->m), dor_stamp(x->m)[0] ? ", " : "", x->m->result);
}

/* One loop draws every format there is a terminal for: PNG and PDF by cairo, else SVG. */
static void script(const dor_analysis *x, const char *name, const dor_plot *p, dor_str *s)
{
  dor_str_fmt(s, "# gnuplot -d %s.gp draws %s.png and %s.pdf from %s.dat; change it as you like.\n", name, name, name, name);
  provenance(x, s);
  dor_str_add(s, "reset\nformats = strstrt(GPVAL_TERMINALS, 'pngcairo') && strstrt(GPVAL_TERMINALS, 'pdfcairo') ? 'png pdf' : 'svg'\n");
  dor_str_add(s, "do for [format in formats] {\n");
  dor_str_fmt(s, "if (format eq 'png') { set terminal pngcairo noenhanced size %d,%d font 'Sans,12' background rgb 'white' }\n", p->width, p->height);
  dor_str_fmt(s, "if (format eq 'pdf') { set terminal pdfcairo noenhanced size %.2fin,%.2fin font 'Sans,12' background rgb 'white' }\n", p->width / 100.0,
              p->height / 100.0);
  dor_str_fmt(s, "if (format eq 'svg') { set terminal svg noenhanced size %d,%d font 'Sans,12' background rgb 'white' }\n", p->width, p->height);
  dor_str_fmt(s, "set output '%s.'.format\nset border 3 lc rgb '#555555'\nset tics nomirror textcolor rgb '#333333'\n"
                 "set grid lt 1 lc rgb '#e4e4e4' lw 0.8\n", name);
  dor_str_add(s, p->body.s);
  dor_str_add(s, "unset output\n}\n");
}

static dor_status write_inputs(const dor_analysis *x, const char *plots, const char *name, dor_plot *p)
{
  char *gp = dor_arena_fmt(x->a, "%s.gp", name), *dat = dor_arena_fmt(x->a, "%s.dat", name);
  dor_str s = {0};
  DOR_NEED(gp && dat, NOMEM, "%s", name);
  DOR_TRY(dor_str_status(&p->body));
  script(x, name, p, &s);
  DOR_TRY(dor_write_text(x->a, plots, gp, &s));
  provenance(x, &s);
  if (p->dat.s) dor_str_bytes(&s, p->dat.s, p->dat.n);
  s.failed |= p->dat.failed;
  return dor_write_text(x->a, plots, dat, &s);
}

/* gnuplot wrote the picture; written again it is dated alike, synced, and whole. */
static dor_status settle(const dor_analysis *x, const char *plots, const char *name, const char *format)
{
  char *data, *path = dor_arena_fmt(x->a, "%s/%s.%s", plots, name, format);
  size_t size;
  DOR_NEED(path, NOMEM, "%s", name);
  if (!dor_io_exists(path)) return DOR_OK;
  DOR_TRY(dor_io_read(path, (size_t)1 << 28, &data, &size));
  dor_str out = {0};
  dor_status s = DOR_OK;
  if (!strcmp(format, "pdf")) s = dor_pdf_undate(data, size, &out);
  else dor_str_bytes(&out, data, size);
  if (!s) s = dor_str_status(&out);
  if (!s) s = dor_io_write(path, out.s, out.n);
  dor_str_release(&out);
  dor_free(data);
  return s;
}

static dor_status one_by_one(const dor_analysis *x, const char *plots, const char *const gp[], int32_t n)
{
  for (int32_t i = 0; i < n; i++) {
    const char *why;
    DOR_TRY(dor_gnuplot(x->a, plots, gp + i, 1, &why));
    if (why[0]) dor_warn("plots/%s was not drawn: %s", gp[i], why);
  }
  return DOR_OK;
}

static dor_status draw(const dor_analysis *x, const char *plots, const char *const name[], int32_t n)
{
  static const char *const format[] = {"png", "pdf", "svg"};
  const char *gp[DOR_PLOT_COUNT], *why;
  for (int32_t i = 0; i < n; i++) {
    gp[i] = dor_arena_fmt(x->a, "%s.gp", name[i]);
    DOR_NEED(gp[i], NOMEM, "%s", name[i]);
  }
  DOR_TRY(dor_gnuplot(x->a, plots, gp, n, &why));
  if (why[0]) DOR_TRY(one_by_one(x, plots, gp, n));
  for (int32_t i = 0; i < n; i++)
    for (int32_t f = 0; f < 3; f++) DOR_TRY(settle(x, plots, name[i], format[f]));
  return DOR_OK;
}

static dor_status write_some(const dor_analysis *x, const char *folder, int32_t from, int32_t to)
{
  const char *name[DOR_PLOT_COUNT], *plots = dor_path_join(x->a, folder, "plots");
  int32_t n = 0;
  DOR_NEED(plots, NOMEM, "%s", folder);
  DOR_TRY(dor_io_mkdirs(plots));
  for (int32_t i = from; i < to; i++) {
    dor_plot p = {.width = 900, .height = 640};
    dor_status s = makers[i](x, folder, &p);
    if (!s && p.body.n) s = write_inputs(x, plots, dor_plot_names[i], &p), name[n++] = dor_plot_names[i];
    dor_str_release(&p.dat);
    dor_str_release(&p.body);
    DOR_TRY(s);
  }
  return n ? draw(x, plots, name, n) : DOR_OK;
}

dor_status dor_write_figures(const dor_analysis *x, const char *folder) { return write_some(x, folder, 0, DOR_PLOT_COUNT); }

dor_status dor_write_figure(const dor_analysis *x, const char *folder, dor_plot_id id) { return write_some(x, folder, (int32_t)id, (int32_t)id + 1); }
