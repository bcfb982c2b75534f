/* SPDX-License-Identifier: Apache-2.0
 *
 * Hashes. SHA-256 and the keyed hash are libsodium's; FNV-1a-64 is for names. */
#ifndef DOR_BASE_HASH_H
#define DOR_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum { DOR_HASH_HEX = 65 };

uint64_t dor_hash_name(const char *name);                       /* FNV-1a-64 */
void dor_hash_bytes(const void *data, size_t n, char hex[DOR_HASH_HEX]); /* SHA-256, lower-case hex */
DOR_MUST dor_status dor_hash_file(const char *path, char hex[DOR_HASH_HEX]);

typedef struct dor_hash { _Alignas(16) unsigned char state[128]; } dor_hash; /* SHA-256 in pieces */
void dor_hash_init(dor_hash *h);
void dor_hash_add(dor_hash *h, const void *data, size_t n);
void dor_hash_text(dor_hash *h, const char *label, const char *value); /* length-prefixed, so pairs cannot run together */
void dor_hash_final(dor_hash *h, char hex[DOR_HASH_HEX]);

/* HMAC-SHA-256 of an id under a private key: pseudonyms. */
void dor_hash_keyed(const unsigned char key[32], const void *data, size_t n, char hex[DOR_HASH_HEX]);
void dor_hash_random_key(unsigned char key[32]);

#endif
