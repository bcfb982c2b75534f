/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "base/str.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* workers report side by side; a sink sees whole lines */
static dor_log_sink *sink;
static void *sink_to;

void dor_log_install(dor_log_sink *s, void *to)
{
  pthread_mutex_lock(&lock);
  sink = s, sink_to = to;
  pthread_mutex_unlock(&lock);
}

static void say(dor_log_level level, const char *fmt, va_list ap)
{
  char raw[512], line[1024];
  vsnprintf(raw, sizeof raw, fmt, ap);
  dor_printable(raw, line, sizeof line);
  pthread_mutex_lock(&lock);
  if (sink) sink(sink_to, level, line);
  pthread_mutex_unlock(&lock);
}

void dor_note(const char *fmt, ...)
{
  va_list ap;
  va_start(ap, fmt);
  say(DOR_LOG_NOTE, fmt, ap);
  va_end(ap);
}

void dor_warn(const char *fmt, ...)
{
  va_list ap;
  va_start(ap, fmt);
  say(DOR_LOG_WARN, fmt, ap);
  va_end(ap);
}
