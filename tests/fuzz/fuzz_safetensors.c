/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as a safetensors file: refused with the file's name, or read so that
 * every byte of every tensor lies in the file, and written again as the same.
 * A target of libFuzzer (make fuzz); `make check` feeds it mutations. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weights/record.h"
#include "weights/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int ok, const char *what)
{
  if (ok) return;
  fprintf(stderr, "safetensors: %s: %s\n", what, dor_errmsg());
  abort();
}

static void check(const dor_tensors *t, const uint8_t *data, size_t size)
{
  dor_str s = {0}, line = {0};
  dor_tensors again;
  dor_weights_record r;
  size_t bytes = 0;
  for (int32_t i = 0; i < t->n; i++) {
    const uint8_t *at = t->at[i].data;
    must(at >= data + 8 && t->at[i].bytes <= (size_t)(data + size - at), "a tensor leaves the file");
    bytes += t->at[i].bytes;
  }
  must(bytes <= size, "a byte has two owners");
  dor_weights_record_of(t, &r);
  dor_weights_record_line(&r, &line);
  must(!dor_tensors_encode(&s, t->n, t->at, t->n_meta, t->meta), "cannot be written");
  must(!dor_tensors_parse(&again, "x", s.s, s.n), "reads back as nothing");
  must(again.n == t->n && again.n_meta == t->n_meta, "other tensors come back");
  dor_tensors_release(&again);
  dor_str_release(&s), dor_str_release(&line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  dor_tensors t;
  dor_status s = dor_tensors_parse(&t, "file", data, size);
  if (!s) check(&t, data, size);
  must(!s || s == DOR_E_DATA, "another status than of bad data");
  must(!s || !strncmp(dor_errmsg(), "file: ", 6), "no file in the message");
  dor_tensors_release(&t);
  return 0;
}
