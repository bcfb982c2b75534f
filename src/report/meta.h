/* SPDX-License-Identifier: Apache-2.0
 *
 * What a run folder says about itself, and its sums (private to report). */
#ifndef DOR_REPORT_META_H
#define DOR_REPORT_META_H

#include <jansson.h>

#include "report/report.h"

/* config.json, run.json, flow.csv, leakage.json and predictions.csv of a run folder. errors DATA naming file and key */
DOR_MUST dor_status dor_report_read(dor_arena *a, const char *folder, dor_report_meta *m, dor_predictions *p);

/* A JSON file of a run folder, the caller's to release; *out stays as it is when there is none and none is needed. errors DATA file:line */
DOR_MUST dor_status dor_report_json(dor_arena *a, const char *folder, const char *name, bool needed, json_t **out);

/* 12 hex digits over the predictions' bytes and the config's text. */
DOR_MUST dor_status dor_result_code(dor_arena *a, const char *predictions, const char *config, const char **out);

/* SHA256SUMS over all files but private/, cost.csv, log.txt, DONE and itself, as sha256sum -c reads it. */
DOR_MUST dor_status dor_sums_write(dor_arena *a, const char *folder);

/* Hold the files that private/paths.json names against inputs.json; counts what holds and what is not here. errors MISMATCH */
DOR_MUST dor_status dor_inputs_verify(dor_arena *a, const char *folder, dor_verified *v);

#endif
