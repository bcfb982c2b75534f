/* SPDX-License-Identifier: Apache-2.0
 *
 * The safetensors reader: what is written comes back, every known attack on
 * readers of this format is refused, and no cut or flipped header is believed. */
#include "weights/safetensors.h"

#include <string.h>

#include "base/io.h"
#include "base/mem.h"
#include "tests/test.h"

static const float three[3] = {1, -2.5f, 3e-7f};
static const uint8_t bytes[5] = {0, 1, 2, 254, 255};
static const dor_tensor sample[] = {
  {.name = "a.weight", .type = DOR_TENSOR_F32, .rank = 2, .dim = {3, 1}, .data = three, .bytes = 12},
  {.name = "empty", .type = DOR_TENSOR_I64, .rank = 2, .dim = {0, 7}, .data = three, .bytes = 0},
  {.name = "scalar \"q\"", .type = DOR_TENSOR_F32, .rank = 0, .data = three, .bytes = 4},
  {.name = "raw", .type = DOR_TENSOR_U8, .rank = 1, .dim = {5}, .data = bytes, .bytes = 5}};
static const dor_meta stamps[] = {{"stamp", "SYNTHETIC"}, {"quote", "a\"b\\c\n"}};

static void encode(dor_str *s) { OK(dor_tensors_encode(s, 4, sample, 2, stamps)); }

TEST(safetensors_round_trip)
{
  (void)state;
  dor_str s = {0};
  encode(&s);
  dor_tensors t;
  OK(dor_tensors_parse(&t, "memory", s.s, s.n));
  CHECK(t.n == 4 && t.n_meta == 2, "%d tensors, %d keys", t.n, t.n_meta);
  for (int i = 0; i < 4; i++) {
    const dor_tensor *q = dor_tensors_find(&t, sample[i].name);
    REQUIRE(q, "'%s' is lost", sample[i].name);
    CHECK(q->type == sample[i].type && q->rank == sample[i].rank && q->bytes == sample[i].bytes, "'%s' changed", q->name);
    CHECK(!memcmp(q->data, sample[i].data, q->bytes) && !memcmp(q->dim, sample[i].dim, (size_t)q->rank * 8), "'%s' has other values", q->name);
  }
  CHECK(!strcmp(dor_tensors_meta(&t, "quote"), "a\"b\\c\n"), "metadata: %s", dor_tensors_meta(&t, "quote"));
  CHECK(!dor_tensors_find(&t, "b") && !dor_tensors_meta(&t, "b"), "found what is not there");
  CHECK(((size_t)((const char *)dor_tensors_find(&t, "a.weight")->data - s.s)) % 64 == 0, "the body is not aligned");
  dor_tensors_release(&t);
  dor_str_release(&s);
}

TEST(safetensors_every_prefix_is_refused)
{
  (void)state;
  dor_str s = {0};
  encode(&s);
  dor_tensors t;
  for (size_t n = 0; n < s.n; n++) CHECK(dor_tensors_parse(&t, "cut", s.s, n) == DOR_E_DATA, "%zu of %zu bytes were accepted", n, s.n);
  dor_str_release(&s);
}

/* A flipped bit of the header may still be a valid header (another name); then every tensor must lie inside the file. */
TEST(safetensors_no_bit_flip_escapes)
{
  (void)state;
  dor_str s = {0};
  encode(&s);
  for (size_t i = 0; i < s.n * 8; i++) {
    s.s[i / 8] = (char)(s.s[i / 8] ^ 1 << i % 8);
    dor_tensors t;
    if (!dor_tensors_parse(&t, "flip", s.s, s.n)) {
      for (int32_t k = 0; k < t.n; k++) {
        const char *d = t.at[k].data;
        CHECK(d >= s.s && d + t.at[k].bytes <= s.s + s.n, "bit %zu: tensor %d leaves the file", i, k);
      }
      dor_tensors_release(&t);
    }
    s.s[i / 8] = (char)(s.s[i / 8] ^ 1 << i % 8);
  }
  dor_str_release(&s);
}

static const struct { const char *header; size_t body; const char *says; } refused[] = {
  {"[]", 0, "'{'"},
  {" {}", 0, "'{'"},
  {"{\"a\":1}", 0, "wanted dtype"},
  {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8],\"x\":1}}", 8, "nothing else"},
  {"{\"a\":{\"dtype\":\"F31\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "unknown dtype"},
  {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2.0],\"data_offsets\":[0,8]}}", 8, "no count"},
  {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}", 8, "no count"},
  {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}", 4, "9 dimensions"},
  {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,16]}}", 16, "overflows"},
  {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4, "its shape needs 8"},
  {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}", 8, "offsets 8 to 0"},
  {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,9223372036854775807]}}", 8, "the file has 8"},
  {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}", 5, "belong to no tensor"},
  {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[1,5]}}", 5, "a hole of 1"},
  {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[2,6]}}", 6, "overlaps"},
  {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "duplicate"},
  {"{\"\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "not printable"},
  {"{\"a\\u0007\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "not printable"},
  {"{\"a\\u0000\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "header"},
  {"{\"__metadata__\":{\"n\":1}}", 0, "no text"},
  {"{\"__metadata__\":[]}", 0, "no object"},
};

TEST(safetensors_refuses_what_attacks_readers)
{
  (void)state;
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
    char file[1024] = {0};
    size_t n = strlen(refused[i].header);
    file[0] = (char)n;
    memcpy(file + 8, refused[i].header, n);
    dor_tensors t;
    CHECK(dor_tensors_parse(&t, "hostile", file, 8 + n + refused[i].body) == DOR_E_DATA, "accepted: %s", refused[i].header);
    CHECK(strstr(dor_errmsg(), refused[i].says), "wanted '%s' in '%s'", refused[i].says, dor_errmsg());
  }
}

TEST(safetensors_writer_refuses_bad_tensors)
{
  (void)state;
  dor_tensor t[2] = {sample[0], sample[3]};
  dor_str s = {0};
  t[1].name = "a.weight";
  CHECK(dor_tensors_encode(&s, 2, t, 0, NULL) == DOR_E_ARG, "a name twice");
  dor_str_clear(&s);
  t[1].name = "__metadata__";
  CHECK(dor_tensors_encode(&s, 2, t, 0, NULL) == DOR_E_ARG, "the reserved name");
  dor_str_clear(&s);
  t[1] = sample[3], t[1].bytes = 4;
  CHECK(dor_tensors_encode(&s, 2, t, 0, NULL) == DOR_E_ARG, "bytes that do not fit");
  dor_str_release(&s);
}

TEST(safetensors_reads_the_shared_files)
{
  (void)state;
  const char *names[] = {"plain", "refuse_header", "refuse_overlap", "refuse_shape"};
  int seen = 0;
  for (int i = 0; i < 4; i++) {
    char relative[64];
    snprintf(relative, sizeof relative, "../golden/weights/%s.safetensors", names[i]);
    const char *path = test_shared(relative);
    if (!path) continue;
    seen++;
    dor_tensors t;
    dor_status s = dor_tensors_read(&t, path, 1 << 20);
    CHECK(i ? s == DOR_E_DATA : s == DOR_OK, "%s: %s", names[i], dor_errmsg());
    if (s) continue;
    const dor_tensor *w = dor_tensors_find(&t, "conv.weight");
    REQUIRE(w && w->rank == 4, "conv.weight is lost");
    float first;
    memcpy(&first, w->data, sizeof first);
    CHECK(first == -0.7293261289596558f, "conv.weight[0] is %.9g", (double)first);
    dor_tensors_release(&t);
  }
  if (!seen) SKIP("SKIP: 4 shared safetensors files are not here");
}
