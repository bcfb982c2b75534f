/* SPDX-License-Identifier: Apache-2.0
 *
 * What tests of videos share: ffmpeg as a tool to make odd files with. */
#ifndef DOR_TESTS_UNIT_FILM_H
#define DOR_TESTS_UNIT_FILM_H

#include <stdbool.h>

const char *film_in(const char *folder, const char *name); /* one of the last 16 such paths */
bool film_runs(const char *const argv[]);                  /* a program, quietly; false: it is not there or it failed */
bool film_have_ffmpeg(void);
/* Put a quarter turn into the track header of an mp4, as telephones do: the stored picture is to be turned clockwise. */
void film_turn_header(const char *from, const char *to);
void film_cut(const char *from, const char *to, double share); /* a copy of its first bytes, as a broken transfer leaves */

#endif
