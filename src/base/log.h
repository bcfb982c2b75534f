/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages for people. The library never prints: it hands lines to a sink that
 * cli/ installs (none: they are dropped). Never ids, names or paths of data. */
#ifndef DOR_BASE_LOG_H
#define DOR_BASE_LOG_H

#include "base/status.h"

typedef enum dor_log_level { DOR_LOG_NOTE, DOR_LOG_WARN } dor_log_level;
typedef void dor_log_sink(void *to, dor_log_level level, const char *line);

void dor_log_install(dor_log_sink *sink, void *to);
void dor_note(const char *fmt, ...) DOR_PRINTF(1, 2);
void dor_warn(const char *fmt, ...) DOR_PRINTF(1, 2);

#endif
