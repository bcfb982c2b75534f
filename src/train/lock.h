/* SPDX-License-Identifier: Apache-2.0
 *
 * A lock on a run folder: an open-file-description lock that the kernel drops
 * when the process dies, on a file that says who holds it (host, boot id, pid,
 * start time), for file systems where such locks are not shared between hosts. */
#ifndef DOR_TRAIN_LOCK_H
#define DOR_TRAIN_LOCK_H

#include <stdbool.h>

#include "base/status.h"

typedef struct dor_lock { int fd; } dor_lock; /* fd < 0: not held */

/* Never waits. errors BUSY naming the holder: it lives here, or it is on another host (`breaks` takes such a one over); IO */
DOR_MUST dor_status dor_lock_take(dor_lock *l, const char *path, bool breaks);
/* Waits for at most `wait_s` seconds for a lock that is held only for moments. */
DOR_MUST dor_status dor_lock_wait(dor_lock *l, const char *path, double wait_s);
void dor_lock_release(dor_lock *l);

#endif
