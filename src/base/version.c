/* SPDX-License-Identifier: Apache-2.0 */
#include "base/version.h"

#ifndef DOR_GIT /* by the Makefile, for this file alone */
#define DOR_GIT ""
#endif

const char *dor_git(void) { return DOR_GIT; }
