/* SPDX-License-Identifier: Apache-2.0
 *
 * An experiment and what it runs on: may its precision be had there, how the device is to choose its algorithms, and what of
 * both is part of a cell. */
#ifndef DOR_TRAIN_DEVICE_H
#define DOR_TRAIN_DEVICE_H

#include "backend/backend.h"
#include "train/experiment.h"

/* Before programs are built: hands `cuda` and `deterministic` to the backend. errors CONFIG naming the line: a precision that it has not */
DOR_MUST dor_status dor_device_ready(const dor_experiment *e);

dor_format dor_device_format(const dor_experiment *e); /* what `precision` is on its backend */

/* What of precision and device can change a cell; nothing is added for fp32 on the CPU. */
void dor_device_keys(const dor_experiment *e, dor_str *out);

#endif
