/* SPDX-License-Identifier: Apache-2.0
 *
 * Which oneDNN serves, for records and `dorsum doctor`; nobody else needs to know whether there is one. */
#ifndef DOR_KERNELS_ONEDNN_VERSION_H
#define DOR_KERNELS_ONEDNN_VERSION_H

void dor_onednn_version(char text[32]); /* "3.1.1"; "none" */

#endif
