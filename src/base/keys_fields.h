/* SPDX-License-Identifier: Apache-2.0
 *
 * KEY_* rows as fields of a struct; included before a .def file, base/keys_end.h
 * after it (see base/schema.h). No include guard: that is the point. */
#define KEY_INT(name, ...)   int64_t name;
#define KEY_REAL(name, ...)  double name;
#define KEY_BOOL(name, ...)  bool name;
#define KEY_TEXT(name, ...)  const char *name;
#define KEY_ENUM(name, ...)  int name; /* index of the choice */
#define KEY_INTS(name, ...)  dor_ints name;
#define KEY_REALS(name, ...) dor_reals name;
#define KEY_TEXTS(name, ...) dor_texts name;
