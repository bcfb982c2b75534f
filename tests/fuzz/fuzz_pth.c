/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as weights of PyTorch, then as the pickle of a legacy file, then as an
 * archive whose CRCs were put right, so that mutations get past them. What is read
 * must lie in memory byte by byte and come back from a safetensors file.
 * A target of libFuzzer (make fuzz); `make check` feeds it mutations. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "weights/pth.h"
#include "weights/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int ok, const char *what)
{
  if (ok) return;
  fprintf(stderr, "pth: %s: %s\n", what, dor_errmsg());
  abort();
}

static void reads_back(const dor_tensors *t)
{
  dor_str s = {0};
  dor_tensors again;
  must(!dor_tensors_encode(&s, t->n, t->at, 0, NULL), "cannot be written");
  must(!dor_tensors_parse(&again, "x", s.s, s.n), "reads back as nothing");
  must(again.n == t->n, "other tensors come back");
  for (int32_t i = 0; i < t->n; i++) {
    const dor_tensor *q = dor_tensors_find(&again, t->at[i].name);
    must(q && q->bytes == t->at[i].bytes && !memcmp(q->data, t->at[i].data, q->bytes), "another tensor comes back");
  }
  dor_tensors_release(&again);
  dor_str_release(&s);
}

static void read_one(const void *data, size_t size)
{
  dor_tensors t;
  dor_status s = dor_pth_parse(&t, "file", data, size);
  if (!s) reads_back(&t);
  must(!s || s == DOR_E_DATA, "another status than of bad data");
  must(!s || !strncmp(dor_errmsg(), "file: ", 6), "no file in the message");
  dor_tensors_release(&t);
}

/* The first pickles of a legacy file, before the object's. */
static const char head[] = "\x80\2\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\2M\xe9\3.\x80\2}X\x0d\0\0\0little_endian\x88s.";

static uint32_t number(const uint8_t *p, int n)
{
  uint32_t v = 0;
  while (n--) v = v << 8 | p[n];
  return v;
}

/* Wherever the directory names an entry that lies in the file: the CRC it should have. */
static void mend(uint8_t *b, size_t size)
{
  for (size_t i = 0; i + 46 <= size; i++) {
    if (memcmp(b + i, "PK\1\2", 4)) continue;
    size_t n = number(b + i + 24, 4), at = number(b + i + 42, 4);
    if (at + 30 > size) continue;
    at += 30 + number(b + at + 26, 2) + number(b + at + 28, 2);
    if (at > size || n > size - at) continue;
    uint32_t crc = (uint32_t)crc32_z(0, b + at, n);
    for (int k = 0; k < 4; k++) b[i + 16 + (size_t)k] = (uint8_t)(crc >> (8 * k));
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  uint8_t *copy = malloc(sizeof head + size);
  must(copy != NULL, "memory");
  read_one(data, size);
  memcpy(copy, head, sizeof head - 1);
  if (size) memcpy(copy + sizeof head - 1, data, size);
  read_one(copy, sizeof head - 1 + size);
  if (size) memcpy(copy, data, size);
  mend(copy, size);
  if (size > 1 && copy[0] == 'P') read_one(copy, size);
  free(copy);
  return 0;
}
