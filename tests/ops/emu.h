/* SPDX-License-Identifier: Apache-2.0
 *
 * A device in this machine's memory: own CUDA kernels by kernels/cuemu.h, library kernels by the op's CPU kernel with rounding to
 * the storage type where the library asked would take the shape. Nothing runs before somebody waits for it, so that whoever does not
 * wait long enough, or fills memory that is still to be read, gets wrong numbers. */
#ifndef DOR_TESTS_OPS_EMU_H
#define DOR_TESTS_OPS_EMU_H

#include "backend/backend.h"

const dor_backend *test_backend_emu(void);
extern const dor_kernel *test_emu_own; /* runs in place of every own kernel; NULL: each its own */
extern int64_t test_emu_replays; /* graphs replayed by now */
extern size_t test_emu_bytes;    /* that are taken of it */
extern size_t test_emu_room;     /* bytes of memory that it says are free */
extern int64_t test_emu_lost;    /* waits until the device is lost; -1: never */

#endif
