/* SPDX-License-Identifier: Apache-2.0
 *
 * Where text goes: stdout, stderr, the log sink, and the line of progress that is
 * redrawn on a terminal. */
#ifndef DOR_CLI_OUTPUT_H
#define DOR_CLI_OUTPUT_H

#include <stdbool.h>

#include "base/status.h"

void dor_output_begin(void);           /* installs the log sink */
void dor_output_quiet(bool quiet);
void dor_output_error(const char *message);
bool dor_output_end(void);             /* true: stdout could not take all of it */

/* A line that is redrawn in place; "" takes it away. Nothing where stderr is no terminal. Any thread. */
void dor_output_redraw(const char *line);
bool dor_output_redraws(void);
void dor_output_line(const char *line); /* a line of its own on stderr, unless quiet. Any thread */

#endif
