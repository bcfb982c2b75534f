/* SPDX-License-Identifier: Apache-2.0
 *
 * The synthetic cohort on film: what a study would have on its disk (videos, a
 * manifest, the raters' labels, questionnaires), what a pose network is trained on
 * (pictures and COCO annotations), and the truth beside it. */
#ifndef DOR_DATA_SYNTH_FILM_H
#define DOR_DATA_SYNTH_FILM_H

#include "data/synth.h"

typedef struct dor_synth_film_cfg {
#include "base/keys_fields.h"
#include "data/synth_film.def"
#include "base/keys_end.h"
} dor_synth_film_cfg;
extern const dor_key dor_synth_film_keys[];

#define DOR_SYNTH_TAG "SYNTHETIC: drawn from a model, no patients" /* in each mp4 and picture */

/* dor_synth_make for film: a trial has a frame every 1 / fps seconds from time 0; key points are in pixels of the videos (0 is the
 * middle of the first); there is also /angles/flexion_shoulders, with the middle of the shoulders for the neck. */
DOR_MUST dor_status dor_synth_make_film(dor_dataset *d, const dor_synth_cfg *c, const dor_synth_film_cfg *f);

/* Before it: may films be put into dir? errors USAGE: videos/ or frames/ holds something, and not `force`, or something that no such cohort has */
DOR_MUST dor_status dor_synth_film_room(const char *dir, bool force);

typedef bool dor_synth_watch(void *to, int32_t done, int32_t of); /* videos; false: stop */

/* Film `d` (of dor_synth_make_film with the same settings) into the folder dir: videos/ID_MOVEMENT.mp4, frames/, annotations.json,
 * manifest.csv, labels.csv, proms.csv, cohort.cfg. Image ids are seed x 10^6 + 1, 2, ...: a network trained on one seed's pictures can be
 * validated on another's. All of it is made beside (.tmp.*) and put in place at the end, where files of an earlier cohort give way; whoever is
 * stopped or fails leaves nothing. errors CONFIG: no such key point; UNSUPPORTED: no ffmpeg; IO, NOMEM, STOPPED */
DOR_MUST dor_status dor_synth_film(const dor_dataset *d, const dor_synth_cfg *c, const dor_synth_film_cfg *f, const char *dir, dor_synth_watch *watch,
                                   void *to);

#endif
