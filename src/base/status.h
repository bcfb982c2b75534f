/* SPDX-License-Identifier: Apache-2.0
 *
 * Status codes and the error message that travels with them.
 *
 * Every function that can fail returns dor_status; DOR_OK is 0. The first
 * failure writes one message (thread-local, fixed size, no allocation); each
 * DOR_TRY on the way up appends the place it passed. Only cli/ prints or exits:
 * dor_status_exit() is the exit code a status ends the program with. */
#ifndef DOR_BASE_STATUS_H
#define DOR_BASE_STATUS_H

#include <stddef.h>

/* X(code, exit code, text): the exit codes are those of `dorsum help exit-codes`. */
#define DOR_STATUS_MAP(X)                               \
  X(ARG, 1, "invalid argument")                         \
  X(SHAPE, 1, "shapes do not agree")                    \
  X(RANGE, 1, "value out of range")                     \
  X(NOTFOUND, 2, "no such name")                        \
  X(UNSUPPORTED, 1, "not supported here")               \
  X(USAGE, 2, "usage")                                  \
  X(CONFIG, 2, "configuration")                         \
  X(DATA, 3, "data")                                    \
  X(LEAK, 3, "refused, it would leak")                  \
  X(PRIVACY, 3, "refused, it would name a person")      \
  X(MISMATCH, 4, "check failed")                        \
  X(IO, 5, "input/output")                              \
  X(BUSY, 6, "in use by another process")               \
  X(NOMEM, 7, "out of memory")                          \
  X(DEVMEM, 8, "out of device memory")                  \
  X(DEVICE, 9, "device")                                \
  X(NUMERIC, 10, "non-finite value")                    \
  X(DEADLINE, 11, "deadline missed")                    \
  X(STOPPED, 75, "stopped on request")

typedef enum dor_status {
  DOR_OK,
#define X(code, exit, text) DOR_E_##code,
  DOR_STATUS_MAP(X)
#undef X
  DOR_STATUS_COUNT
} dor_status;

#define DOR_MUST __attribute__((warn_unused_result))
#define DOR_PRINTF(f, a) __attribute__((format(printf, f, a)))

const char *dor_status_text(dor_status s);
int dor_status_exit(dor_status s);

/* What failed, without and with the trace of places; borrowed, valid until the next failure on this thread. */
const char *dor_errmsg(void);
const char *dor_errtrace(void);

/* Carry a failure from a worker to the thread that reports it. */
void dor_errmsg_set(const char *message);

dor_status dor_fail_at(const char *file, int line, dor_status s, const char *fmt, ...) DOR_PRINTF(4, 5);
dor_status dor_trace_at(const char *file, int line, dor_status s);

#define DOR_FAIL(code, ...) dor_fail_at(__FILE__, __LINE__, DOR_E_##code, __VA_ARGS__)
#define DOR_TRY(expr)                                   \
  do {                                                  \
    dor_status s_ = (expr);                             \
    if (s_) return dor_trace_at(__FILE__, __LINE__, s_); \
  } while (0)
#define DOR_NEED(cond, code, ...)                       \
  do {                                                  \
    if (!(cond)) return DOR_FAIL(code, __VA_ARGS__);    \
  } while (0)

#endif
