/* SPDX-License-Identifier: Apache-2.0
 *
 * In place of oneDNN where there is none (make ONEDNN=0): its kernels decline every shape, so that our own serve, and those that
 * are made of them decline with them. */
#include <string.h>

#include "kernels/kernel.h"
#include "kernels/onednn_version.h"

void dor_onednn_version(char text[32]) { memcpy(text, "none", 5); }

static dor_status decline(const dor_prep *p, void **plan, size_t *scratch)
{
  (void)p, (void)plan, (void)scratch;
  return DOR_FAIL(UNSUPPORTED, "this dorsum was built without oneDNN");
}

extern const dor_kernel conv2d_onednn, conv2d_dx_onednn, conv2d_dw_onednn, linear_dw_onednn;
const dor_kernel conv2d_onednn = {.name = "conv2d_onednn", .prepare = decline};
const dor_kernel conv2d_dx_onednn = {.name = "conv2d_dx_onednn", .prepare = decline};
const dor_kernel conv2d_dw_onednn = {.name = "conv2d_dw_onednn", .prepare = decline};
const dor_kernel linear_dw_onednn = {.name = "linear_dw_onednn", .prepare = decline};
