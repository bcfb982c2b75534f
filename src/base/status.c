/* SPDX-License-Identifier: Apache-2.0 */
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char message[1024], trace[512];

static const struct {
  int exit;
  const char *text;
} status[] = {
    [DOR_OK] = {0, "success"},
#define X(code, exit, text) [DOR_E_##code] = {exit, text},
    DOR_STATUS_MAP(X)
#undef X
};

const char *dor_status_text(dor_status s) { return (unsigned)s < DOR_STATUS_COUNT ? status[s].text : "unknown status"; }
int dor_status_exit(dor_status s) { return (unsigned)s < DOR_STATUS_COUNT ? status[s].exit : 1; }
const char *dor_errmsg(void) { return message; }
const char *dor_errtrace(void) { return trace; }

void dor_errmsg_set(const char *m)
{
  snprintf(message, sizeof message, "%s", m);
  trace[0] = 0;
}

static const char *tail(const char *path)
{
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

dor_status dor_fail_at(const char *file, int line, dor_status s, const char *fmt, ...)
{
  char body[sizeof message]; /* the arguments may point into the last message */
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(body, sizeof body, fmt, ap);
  va_end(ap);
  memcpy(message, body, sizeof message);
  snprintf(trace, sizeof trace, "%s:%d", tail(file), line);
  return s;
}

dor_status dor_trace_at(const char *file, int line, dor_status s)
{
  size_t n = strlen(trace);
  snprintf(trace + n, sizeof trace - n, " < %s:%d", tail(file), line);
  return s;
}
