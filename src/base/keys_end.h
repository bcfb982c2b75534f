/* SPDX-License-Identifier: Apache-2.0
 *
 * Ends what keys_fields.h or keys_rows.h began. No include guard. */
#undef KEY_INT
#undef KEY_REAL
#undef KEY_BOOL
#undef KEY_TEXT
#undef KEY_ENUM
#undef KEY_INTS
#undef KEY_REALS
#undef KEY_TEXTS
#undef KEYS_OF
#undef KEYS_SIZE
#undef KEYS_FIT
#undef KEYS_NUMBER
#undef KEYS_TYPE
