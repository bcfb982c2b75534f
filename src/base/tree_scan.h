/* SPDX-License-Identifier: Apache-2.0
 *
 * What libconfig would misread or explain badly, found before it sees the text. */
#ifndef DOR_BASE_TREE_SCAN_H
#define DOR_BASE_TREE_SCAN_H

#include "base/status.h"

/* errors CONFIG "file:line: what, and the likely cause", then the line and a caret below it */
DOR_MUST dor_status dor_tree_scan(const char *file, const char *text);

#endif
