/* SPDX-License-Identifier: Apache-2.0
 *
 * Which dorsum this is. DOR_NUMERICS is raised by hand with every change that
 * alters results: it is the "code version" of the hashes of cells. */
#ifndef DOR_BASE_VERSION_H
#define DOR_BASE_VERSION_H

#define DOR_VERSION "0.1.0"
#define DOR_NUMERICS "1"

const char *dor_git(void); /* commit it was built from, "-dirty" when files were changed; "" outside a clone */

#endif
