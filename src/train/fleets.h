/* SPDX-License-Identifier: Apache-2.0
 *
 * Which cells train together, and how many: those of arms whose networks are small and whose programs are the same. They may
 * differ in people, seed, inputs of one width, learning rate and its course, epochs and stopping. What a cell's result is
 * never depends on it. */
#ifndef DOR_TRAIN_FLEETS_H
#define DOR_TRAIN_FLEETS_H

#include "train/cell.h"

/* Of a compiled arm: sets `likeness`. errors NOMEM */
DOR_MUST dor_status dor_fleets_likeness(dor_study_arm *sa);

/* Cells of a compiled arm at once: what is worth it, or `most` of the config if that is not 0, in half of `room` bytes. 1 where the arm
 * is no fleet. */
int32_t dor_fleets_seats(const dor_study_arm *sa, int64_t most, size_t room);

/* The next cell that is not taken, and up to seats - 1 more that may train with it; they are marked. Returns their number. */
int32_t dor_fleets_take(const dor_study *s, int32_t n, dor_cell *cell, bool *taken, const int32_t seats[], dor_cell *out[]);

#endif
