/* SPDX-License-Identifier: Apache-2.0
 *
 * The doors to the system: memory, files and time go through these tables, so
 * that a test can put its own calls there. In builds with -DDOR_FAULTS they
 * start out as counting calls that fail as DORSUM_FAULT says (fault.c);
 * otherwise they are libc's and fault.c is empty. */
#ifndef DOR_BASE_CALLS_H
#define DOR_BASE_CALLS_H

#include <stddef.h>
#include <sys/types.h>

#include "base/status.h"

typedef struct dor_mem_calls {
  void *(*calloc)(size_t n, size_t size);
  void *(*realloc)(void *p, size_t size);
} dor_mem_calls;

typedef struct dor_io_calls {
  int (*open)(const char *path, int flags, mode_t mode);
  ssize_t (*read)(int fd, void *to, size_t n);
  ssize_t (*write)(int fd, const void *from, size_t n);
  int (*fsync)(int fd);
  int (*close)(int fd);
  int (*rename)(const char *from, const char *to);
  int (*unlink)(const char *path);
  int (*mkdir)(const char *path, mode_t mode);
} dor_io_calls;

typedef struct dor_time_calls {
  double (*now_s)(void);
} dor_time_calls;

extern dor_mem_calls dor_mem;
extern dor_io_calls dor_io;
extern dor_time_calls dor_time;

#ifdef DOR_FAULTS
/* "io.write@137=ENOSPC,once;mem@41": from the n-th call on, or that one only; errno EIO unless told.
 * NULL: no faults, counters start again. errors ARG: no such plan */
DOR_MUST dor_status dor_fault_plan(const char *plan);
int dor_fault_due(const char *site); /* counts a call; its errno, or 0 */

void *dor_fault_calloc(size_t n, size_t size);
void *dor_fault_realloc(void *p, size_t size);
extern const dor_io_calls dor_fault_io;
#endif

#endif
