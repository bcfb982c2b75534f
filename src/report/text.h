/* SPDX-License-Identifier: Apache-2.0
 *
 * How numbers and names look on a page (private to report). NaN is "NA". */
#ifndef DOR_REPORT_TEXT_H
#define DOR_REPORT_TEXT_H

#include "report/analysis.h"

void dor_put_percent(dor_str *s, double share, int64_t n);              /* 87.8; two decimals from n = 1000 on */
void dor_put_share(dor_str *s, const dor_result *r, bool with_k);       /* 87.8 (79.4-93.0) 79/90 */
void dor_put_index(dor_str *s, double x);                               /* .93, -.12, 1.00 */
void dor_put_index_ci(dor_str *s, const dor_result *r);                 /* .93 (.87-.97) */
void dor_put_metric(dor_str *s, const dor_result *r);                   /* the one of the two that suits the metric; NULL: "-" */
void dor_put_p(dor_str *s, double p);                                   /* < .0001, .0009, .048, .23 */
void dor_put_difference(dor_str *s, const dor_contrast *c);             /* -4.4 (-13.2 to 4.2) */

void dor_put_json(dor_str *s, const char *text);                        /* quoted */
void dor_put_json_real(dor_str *s, double x);                           /* NaN: null */
void dor_put_html(dor_str *s, const char *text);
void dor_put_tex(dor_str *s, const char *text);
void dor_put_markdown(dor_str *s, const char *text);                    /* inside a pipe table */

bool dor_is_share(const char *metric);                                  /* printed in percent: proportions of units */

/* Sentences about the method: unit, n per class, split, intervals, threshold, pooling, seeds, tests. In the analysis' arena. */
DOR_MUST dor_status dor_caption(const dor_analysis *x, const char **out);

/* " The exact test decides, not the interval." where it does; else "". */
const char *dor_test_decides(const dor_analysis *x);
/* What "(set)" beside an MCC means, after a blank; "" where none is. */
const char *dor_conventions(const dor_analysis *x);

/* Columns on a screen: bytes that start a UTF-8 character. */
int32_t dor_columns(const char *text, size_t n);
/* `text` broken at blanks (and inside a word that is longer than a line) into lines of at most `width` columns; later lines begin with
 * `indent` blanks. */
void dor_put_wrapped(dor_str *s, const char *text, int32_t width, int32_t indent);
void dor_put_cut(dor_str *s, const char *text, int32_t width); /* at most `width` columns; "Nocicept." says that something is left out */

#endif
