/* SPDX-License-Identifier: Apache-2.0
 *
 * KEY_* rows as rows of a dor_key table for the struct KEYS_OF; included before a
 * .def file, base/keys_end.h after it. A field of the wrong size does not compile. */
#define KEYS_SIZE(name) sizeof(((KEYS_OF *)0)->name)
#define KEYS_FIT(name, ok) KEYS_SIZE(name) + 0 * sizeof(char[(ok) ? 1 : -1])
#define KEYS_NUMBER(name) KEYS_FIT(name, KEYS_SIZE(name) == 4 || KEYS_SIZE(name) == 8)
#define KEYS_TYPE(name, type) KEYS_FIT(name, KEYS_SIZE(name) == sizeof(type))
#define KEY_INT(name_, def_, min_, max_, unit_, help_) \
  {.name = #name_, .type = DOR_KEY_INT, .offset = offsetof(KEYS_OF, name_), .size = KEYS_NUMBER(name_), \
   .int_def = def_, .int_min = min_, .int_max = max_, .unit = unit_, .help = help_},
#define KEY_REAL(name_, def_, min_, max_, unit_, help_) \
  {.name = #name_, .type = DOR_KEY_REAL, .offset = offsetof(KEYS_OF, name_), .size = KEYS_NUMBER(name_), \
   .def = def_, .min = min_, .max = max_, .unit = unit_, .help = help_},
#define KEY_BOOL(name_, def_, help_) \
  {.name = #name_, .type = DOR_KEY_BOOL, .offset = offsetof(KEYS_OF, name_), .size = KEYS_TYPE(name_, bool), \
   .int_def = def_, .unit = "", .help = help_},
#define KEY_TEXT(name_, def_, help_) \
  {.name = #name_, .type = DOR_KEY_TEXT, .offset = offsetof(KEYS_OF, name_), .size = KEYS_TYPE(name_, char *), \
   .text = def_, .unit = "", .help = help_},
#define KEY_ENUM(name_, choices_, help_) \
  {.name = #name_, .type = DOR_KEY_ENUM, .offset = offsetof(KEYS_OF, name_), .size = KEYS_TYPE(name_, int), \
   .text = choices_, .unit = "", .help = help_},
#define KEY_INTS(name_, def_, min_, max_, unit_, help_) \
  {.name = #name_, .type = DOR_KEY_INTS, .offset = offsetof(KEYS_OF, name_), .size = KEYS_TYPE(name_, dor_ints), \
   .text = def_, .int_min = min_, .int_max = max_, .unit = unit_, .help = help_},
#define KEY_REALS(name_, def_, min_, max_, unit_, help_) \
  {.name = #name_, .type = DOR_KEY_REALS, .offset = offsetof(KEYS_OF, name_), .size = KEYS_TYPE(name_, dor_reals), \
   .text = def_, .min = min_, .max = max_, .unit = unit_, .help = help_},
#define KEY_TEXTS(name_, def_, help_) \
  {.name = #name_, .type = DOR_KEY_TEXTS, .offset = offsetof(KEYS_OF, name_), .size = KEYS_TYPE(name_, dor_texts), \
   .text = def_, .unit = "", .help = help_},
