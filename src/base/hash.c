/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"

#include "base/calls.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>

_Static_assert(sizeof(crypto_hash_sha256_state) <= sizeof(dor_hash), "dor_hash holds libsodium's state");
_Static_assert(2 * crypto_hash_sha256_BYTES + 1 == DOR_HASH_HEX, "a SHA-256 is 64 hex digits");

static crypto_hash_sha256_state *state(dor_hash *h) { return (crypto_hash_sha256_state *)(void *)h->state; }

uint64_t dor_hash_name(const char *name)
{
  uint64_t h = 0xcbf29ce484222325u;
  for (; *name; name++) h = (h ^ (unsigned char)*name) * 0x100000001b3u;
  return h;
}

void dor_hash_init(dor_hash *h) { crypto_hash_sha256_init(state(h)); }
void dor_hash_add(dor_hash *h, const void *data, size_t n) { crypto_hash_sha256_update(state(h), data, n); }

static void add_counted(dor_hash *h, const char *text)
{
  uint64_t n = strlen(text);
  unsigned char size[8];
  for (int i = 0; i < 8; i++) size[i] = (unsigned char)(n >> (8 * i));
  dor_hash_add(h, size, sizeof size);
  dor_hash_add(h, text, (size_t)n);
}

void dor_hash_text(dor_hash *h, const char *label, const char *value)
{
  add_counted(h, label);
  add_counted(h, value);
}

void dor_hash_final(dor_hash *h, char hex[DOR_HASH_HEX])
{
  unsigned char digest[crypto_hash_sha256_BYTES];
  crypto_hash_sha256_final(state(h), digest);
  sodium_bin2hex(hex, DOR_HASH_HEX, digest, sizeof digest);
}

void dor_hash_bytes(const void *data, size_t n, char hex[DOR_HASH_HEX])
{
  dor_hash h;
  dor_hash_init(&h);
  dor_hash_add(&h, data, n);
  dor_hash_final(&h, hex);
}

dor_status dor_hash_file(const char *path, char hex[DOR_HASH_HEX])
{
  int fd = dor_io.open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC, 0);
  if (fd < 0) return errno == ENOENT || errno == ENOTDIR ? DOR_FAIL(NOTFOUND, "%s: no such file", path) : DOR_FAIL(IO, "%s: %s", path, strerror(errno));
  struct stat st;
  if (fstat(fd, &st) || !S_ISREG(st.st_mode)) return dor_io.close(fd), DOR_FAIL(DATA, "%s: not a regular file", path); /* /dev/zero never ends */
  unsigned char part[65536];
  dor_hash h;
  dor_hash_init(&h);
  ssize_t n;
  while ((n = dor_io.read(fd, part, sizeof part)) > 0 || (n < 0 && errno == EINTR))
    if (n > 0) dor_hash_add(&h, part, (size_t)n);
  int error = errno;
  dor_io.close(fd);
  DOR_NEED(n == 0, IO, "%s: %s", path, strerror(error));
  dor_hash_final(&h, hex);
  return DOR_OK;
}

void dor_hash_keyed(const unsigned char key[32], const void *data, size_t n, char hex[DOR_HASH_HEX])
{
  unsigned char tag[crypto_auth_hmacsha256_BYTES];
  crypto_auth_hmacsha256_state s;
  crypto_auth_hmacsha256_init(&s, key, 32);
  crypto_auth_hmacsha256_update(&s, data, n);
  crypto_auth_hmacsha256_final(&s, tag);
  sodium_bin2hex(hex, DOR_HASH_HEX, tag, sizeof tag);
}

void dor_hash_random_key(unsigned char key[32]) { randombytes_buf(key, 32); }
