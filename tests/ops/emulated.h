/* SPDX-License-Identifier: Apache-2.0
 *
 * Kernels that try kernels/cuemu.h itself (emulated.cu): a sound one, some that are wrong on purpose, all in the place of relu's. */
#ifndef DOR_TESTS_OPS_EMULATED_H
#define DOR_TESTS_OPS_EMULATED_H

#include "kernels/kernel.h"

extern int cuemu_order;             /* of kernels/cuemu.h, which is C++ */
extern const char *cuemu_complaint;

extern const dor_kernel emulated_sound_cuda;
extern const dor_kernel emulated_no_barrier_cuda, emulated_no_second_barrier_cuda, emulated_wrong_index_cuda, emulated_beyond_cuda,
    emulated_deadlock_cuda, emulated_mask_cuda, emulated_block_race_cuda, emulated_bad_launch_cuda;

const char *emulated_words(void); /* what the emulator does wrong, or NULL */

#endif
