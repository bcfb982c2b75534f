/* SPDX-License-Identifier: Apache-2.0
 *
 * PyTorch's legacy files, put together by hand: what the reader makes of names,
 * views and checkpoints, and every way that was thought of to lie to it. */
#include "weights/pth.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "tests/test.h"

typedef struct view {
  const char *name, *type, *key;
  int64_t n, offset;           /* of the storage */
  int32_t rank;
  int64_t dim[3], stride[3];
} view;

static void put(dor_str *s, const char *bytes, size_t n) { dor_str_bytes(s, bytes, n); }
#define PUT(s, literal) put(s, literal, sizeof literal - 1)

static void put_text(dor_str *s, const char *text)
{
  char head[5] = {'X', (char)strlen(text), 0, 0, 0};
  put(s, head, 5);
  dor_str_add(s, text);
}

static void put_int(dor_str *s, int64_t v)
{
  PUT(s, "\x8a\x08");
  for (int i = 0; i < 8; i++) put(s, &(char){(char)((uint64_t)v >> (8 * i) & 255)}, 1);
}

static void put_counts(dor_str *s, int32_t n, const int64_t *v)
{
  PUT(s, "(");
  for (int32_t i = 0; i < n; i++) put_int(s, v[i]);
  PUT(s, "t");
}

static void put_view(dor_str *s, const view *v)
{
  put_text(s, v->name);
  PUT(s, "ctorch._utils\n_rebuild_tensor_v2\n((");
  put_text(s, "storage");
  dor_str_fmt(s, "ctorch\n%s\n", v->type);
  put_text(s, v->key);
  put_text(s, "cpu");
  put_int(s, v->n);
  PUT(s, "NtQ");
  put_int(s, v->offset);
  put_counts(s, v->rank, v->dim);
  put_counts(s, v->rank, v->stride);
  PUT(s, "\x89" "ccollections\nOrderedDict\n)RtR");
}

static void begin(dor_str *s)
{
  PUT(s, "\x80\2\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\2M\xe9\3.\x80\2}");
  put_text(s, "little_endian");
  PUT(s, "\x88s.");
}

/* Lists of storages and their bytes: floats 0, 1, 2, ... over all of them. */
static void finish(dor_str *s, int32_t n, const char *const *key, const int64_t *size)
{
  float x = 0;
  PUT(s, "\x80\2](");
  for (int32_t i = 0; i < n; i++) put_text(s, key[i]);
  PUT(s, "e.");
  for (int32_t i = 0; i < n; i++) {
    for (int k = 0; k < 8; k++) put(s, &(char){(char)(size[i] >> (8 * k) & 255)}, 1);
    for (int64_t k = 0; k < size[i]; k++, x++) dor_str_bytes(s, &x, sizeof x);
  }
}

static void file_of(dor_str *s, int32_t n, const view *v, int64_t storage)
{
  begin(s);
  PUT(s, "\x80\2}(");
  for (int32_t i = 0; i < n; i++) put_view(s, &v[i]);
  PUT(s, "u.");
  finish(s, 1, &(const char *){"7"}, &storage);
}

#define F(name_, offset_, ...) {.name = name_, .type = "FloatStorage", .key = "7", .n = 12, .offset = offset_, __VA_ARGS__}
#define FLAT(name_) F(name_, 0, .rank = 1, .dim = {12}, .stride = {1})

static void check_names(const char *a, const char *b, const char *want_a, const char *want_b)
{
  const view v[2] = {FLAT(a), FLAT(b)};
  dor_str s = {0};
  dor_tensors t;
  file_of(&s, 2, v, 12);
  OK(dor_pth_parse(&t, "w.pth", s.s, s.n));
  CHECK(t.n == 2 && !strcmp(t.at[0].name, want_a) && !strcmp(t.at[1].name, want_b), "%s and %s became %s and %s", a, b, t.at[0].name, t.at[1].name);
  dor_tensors_release(&t);
  dor_str_release(&s);
}

TEST(pth_prefixes)
{
  (void)state;
  check_names("conv.weight", "bn.bias", "conv.weight", "bn.bias");
  check_names("module.conv.weight", "module.bn.bias", "conv.weight", "bn.bias");
  check_names("1.conv.weight", "1.bn.bias", "conv.weight", "bn.bias");
  check_names("module.1.conv.weight", "module.1.bn.bias", "conv.weight", "bn.bias");
  check_names("1.weight", "1.bias", "1.weight", "1.bias"); /* a layer of a Sequential, not the wrapper */
  check_names("module.a", "b", "module.a", "b");
  check_names("module.", "module.b", "module.", "module.b");
}

TEST(pth_views)
{
  static const view v[] = {FLAT("flat"),
                           F("transposed", 0, .rank = 2, .dim = {4, 3}, .stride = {1, 4}),
                           F("every_other", 1, .rank = 2, .dim = {2, 3}, .stride = {6, 2}),
                           F("scalar", 11, .rank = 0),
                           F("empty", 12, .rank = 2, .dim = {0, 5}, .stride = {5, 1}),
                           F("repeated", 3, .rank = 2, .dim = {2, 2}, .stride = {0, 1}),
                           F("ones", 5, .rank = 3, .dim = {1, 2, 1}, .stride = {INT64_MAX, 3, INT64_MAX})};
  static const float want[][12] = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, {0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11},
                                   {1, 3, 5, 7, 9, 11}, {11}, {0}, {3, 4, 3, 4}, {5, 8}};
  dor_str s = {0};
  dor_tensors t;
  (void)state;
  file_of(&s, 7, v, 12);
  OK(dor_pth_parse(&t, "w.pth", s.s, s.n));
  for (int i = 0; i < 7; i++) {
    CHECK(!memcmp(t.at[i].data, want[i], t.at[i].bytes), "'%s' has other values", t.at[i].name);
    CHECK(!memcmp(t.at[i].dim, v[i].dim, (size_t)v[i].rank * 8), "'%s' has another shape", t.at[i].name);
  }
  CHECK(t.at[4].bytes == 0 && t.at[3].bytes == 4 && t.at[2].bytes == 24, "sizes");
  dor_tensors_release(&t);
  dor_str_release(&s);
}

static void must_refuse(const dor_str *s, const char *says)
{
  dor_tensors t;
  CHECK(dor_pth_parse(&t, "w.pth", s->s, s->n) == DOR_E_DATA, "taken, wanted '%s'", says);
  CHECK(strstr(dor_errmsg(), says) && !strncmp(dor_errmsg(), "w.pth: ", 7), "wanted '%s' in '%s'", says, dor_errmsg());
}

static const struct { view v; const char *says; } lies[] = {
    {F("a", 1, .rank = 1, .dim = {12}, .stride = {1}), "leaves its storage 7 of 12 elements"},
    {F("a", 0, .rank = 2, .dim = {3, 4}, .stride = {5, 1}), "leaves its storage"},
    {F("a", 13, .rank = 1, .dim = {0}, .stride = {1}), "leaves its storage"},
    {F("a", -1, .rank = 1, .dim = {1}, .stride = {1}), "no counts"},
    {F("a", 11, .rank = 1, .dim = {12}, .stride = {-1}), "no counts"},
    {F("a", 0, .rank = 1, .dim = {-1}, .stride = {1}), "no counts"},
    {F("a", 0, .rank = 2, .dim = {INT64_MAX, 2}, .stride = {1, 1}), "leaves its storage"},
    {F("a", 0, .rank = 2, .dim = {INT64_MAX, INT64_MAX}, .stride = {INT64_MAX, 1}), "leaves its storage"},
    {F("a", 0, .rank = 2, .dim = {1 << 30, 1 << 30}, .stride = {0, 0}), "more than 16 times the file"},
    {F("a", 0, .rank = 3, .dim = {1 << 30, 1 << 30, 1 << 30}, .stride = {0, 0, 0}), "its shape overflows"},
    {F("a", 0, .rank = 1, .dim = {1 << 20}, .stride = {0}), "more than 16 times the file"},
    {{"a", "FloatStorage", "7", 13, 0, 1, {12}, {1}}, "12 elements, a tensor says 13"},
    {{"a", "DoubleStorage", "7", 12, 0, 1, {12}, {1}}, "storage 7: cut off: 96 bytes are wanted, 48 are left"},
    {{"a", "HalfStorage", "7", 12, 0, 1, {12}, {1}}, "24 bytes after the last storage"},
    {{"a", "FloatStorage", "8", 12, 0, 1, {12}, {1}}, "named by no tensor"},
    {{"a", "FloatStorage", "../7", 12, 0, 1, {12}, {1}}, "no number"},
    {{"a", "FloatStorage", "7", -1, 0, 1, {0}, {1}}, "a storage of -1 elements"},
    {{"a", "FloatStorage", "7", INT64_MAX, 0, 1, {1}, {1}}, "a storage of 9223372036854775807 elements"},
    {{"a", "ComplexFloatStorage", "7", 12, 0, 1, {1}, {1}}, "'torch.ComplexFloatStorage' is no part of weights"},
    {{"a", "load", "7", 12, 0, 1, {1}, {1}}, "'torch.load' is no part of weights"},
    {FLAT("a\x1b[2J"), "not printable"},
    {FLAT("a\xc2\x9b"), "not printable"},
    {FLAT("\xed\xa0\x80"), "not printable"},
    {FLAT(""), "is empty"}};

TEST(pth_tensors_that_lie)
{
  (void)state;
  for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
    dor_str s = {0};
    file_of(&s, 1, &lies[i].v, 12);
    must_refuse(&s, lies[i].says);
    dor_str_release(&s);
  }
  const view twice[2] = {FLAT("a"), FLAT("a")};
  view other[2] = {FLAT("a"), FLAT("b")};
  dor_str s = {0};
  file_of(&s, 2, twice, 12);
  must_refuse(&s, "'a' stands twice");
  dor_str_clear(&s);
  other[1].type = "IntStorage";
  file_of(&s, 2, other, 12);
  must_refuse(&s, "storage 7 is 12 x F32 and 12 x I32");
  dor_str_release(&s);
}

#define SCALER "cfp16_utils.loss_scaler\nDynamicLossScaler\n"

/* The object's pickle as bytes; a mark of 0 begins and the list of storages is empty. */
static const struct { const char *bytes; size_t n; const char *says; } pickles[] = {
#define P(literal, says) {literal, sizeof literal - 1, says},
    P("}.", "no pickle")
    P("\x80\4}.", "protocol 4")
    P("\x80\2\x80\2}.", "protocol 2 in its place")
    P("\x80\2N.", "no dictionary of tensors")
    P("\x80\2}.", "only an empty dictionary")
    P("\x80\2}N.", "2 values on the stack")
    P("\x80\2(}.", "1 marks")
    P("\x80\2.", "0 values")
    P("\x80\2ibuiltins\nexit\n.", "opcode 0x69")
    P("\x80\2\x93.", "opcode 0x93")
    P("\x80\2)\x81.", "the stack is empty")
    P("\x80\2))\x81.", "an object of something that is no class")
    P("\x80\2ccollections\nOrderedDict\n)\x81.", "an object of 'collections.OrderedDict' is not made")
    P("\x80\2ctorch\nFloatStorage\n)\x81.", "an object of 'torch.FloatStorage' is not made")
    P("\x80\2" SCALER "N\x85\x81.", "an object of 'fp16_utils.loss_scaler.DynamicLossScaler' is not made")
    P("\x80\2" SCALER ")R.", "'fp16_utils.loss_scaler.DynamicLossScaler' is not called that way")
    P("\x80\2" SCALER ")\x81Nb.", "the state of an object is no dictionary")
    P("\x80\2cfp16_utils.loss_scaler\nExit\n)\x81.", "'fp16_utils.loss_scaler.Exit' is no part of weights")
    P("\x80\2" SCALER ")\x81}X\1\0\0\0aNsb.", "only an empty dictionary")
    P("\x80\2cos\nsystem\n.", "'os.system' is no part of weights (nothing was run)")
    P("\x80\2cos\n", "does not end")
    P("\x80\2cos\0\nsystem\n.", "not printable")
    P("\x80\2]NNs.", "no dictionary to put it in")
    P("\x80\2ccollections\nOrderedDict\nNNs.", "no dictionary to put it in")
    P("\x80\2}NNNe.", "no mark")
    P("\x80\2}(NNNu.", "3 keys and values")
    P("\x80\2}Na.", "no list to put it in")
    P("\x80\2}(a.", "the stack is empty")
    P("\x80\2s.", "the stack is empty")
    P("\x80\2q\0.", "the stack is empty")
    P("\x80\2}q\1.", "memo entry 1, there are 0")
    P("\x80\2}r\xff\xff\xff\xff.", "memo entry 4294967295, there are 0")
    P("\x80\2h\0.", "memo entry 0, there are 0")
    P("\x80\2X\xff\xff\xff\xff.", "a text of 4294967295 bytes")
    P("\x80\2X\xff\xff\0\0.", "65535 bytes are wanted")
    P("\x80\2\x8a\x09\0\0\0\0\0\0\0\0\0.", "an integer of 9 bytes")
    P("\x80\2ccollections\nOrderedDict\n]R.", "no class")
    P("\x80\2ccollections\nOrderedDict\n]\x85R.", "not called that way")
    P("\x80\2ctorch\nFloatStorage\n)R.", "'torch.FloatStorage' is not called that way")
    P("\x80\2N)R.", "no class")
    P("\x80\2)Q.", "no storage")
    P("\x80\2NQ.", "no storage")
    P("\x80\2ctorch._utils\n_rebuild_tensor_v2\n)R.", "a tensor without storage")
    P("\x80\2ctorch._utils\n_rebuild_parameter\nNNN\x87R.", "a parameter that is no tensor")
    P("\x80\2}Nb.", "no dictionary")
    P("\x80\2}X\1\0\0\0aNs.", "no tensors: neither best_state_dict, state_dict nor model, only 'a'")
    P("\x80\2}X\n\0\0\0state_dict}X\1\0\0\0aNss.", "'a' stands among the tensors and is none")
    P("\x80\2}X\n\0\0\0state_dict}NNss.", "the name of a tensor is None")
    P("\x80\2", "cut off: it does not end")
#undef P
};

/* HigherHRNet's half-precision checkpoints keep their loss scaler: it is passed over, and the tensors beside it are read. */
TEST(pth_passes_over_a_loss_scaler)
{
  static const view one = FLAT("a");
  dor_str s = {0};
  dor_tensors t;
  (void)state;
  begin(&s);
  PUT(&s, "\x80\2}(");
  put_text(&s, "optimizer");
  PUT(&s, "}");
  put_text(&s, "loss_scaler");
  PUT(&s, SCALER ")\x81}");
  put_text(&s, "cur_scale");
  PUT(&s, "G\x40\xf0\0\0\0\0\0\0sb");
  put_text(&s, "state_dict");
  PUT(&s, "}(");
  put_view(&s, &one);
  PUT(&s, "uu.");
  finish(&s, 1, (const char *const[]){"7"}, (const int64_t[]){12});
  OK(dor_pth_parse(&t, "w.pth", s.s, s.n));
  CHECK(t.n == 1 && !strcmp(t.at[0].name, "a"), "%d tensors", t.n);
  dor_tensors_release(&t);
  dor_str_release(&s);
}

TEST(pth_pickles_that_lie)
{
  (void)state;
  for (size_t i = 0; i < sizeof pickles / sizeof *pickles; i++) {
    dor_str s = {0};
    begin(&s);
    put(&s, pickles[i].bytes, pickles[i].n);
    if (i + 1 < sizeof pickles / sizeof *pickles) finish(&s, 0, NULL, NULL);
    must_refuse(&s, pickles[i].says);
    dor_str_release(&s);
  }
}

TEST(pth_limits)
{
  dor_str s = {0};
  (void)state;
  begin(&s);
  PUT(&s, "\x80\2");
  for (int i = 0; i < 65; i++) PUT(&s, "(");
  must_refuse(&s, "more than 64 things one in another");
  dor_str_clear(&s);
  begin(&s);
  PUT(&s, "\x80\2");
  for (int i = 0; i < 1000000; i++) PUT(&s, "N");
  must_refuse(&s, "more than 1000000 opcodes");
  dor_str_clear(&s);
  begin(&s);
  PUT(&s, "\x80\2X\xff\xff\xff\3");
  char *zeros = calloc(1, 64 << 20);
  REQUIRE(zeros, "memory");
  dor_str_bytes(&s, zeros, 64 << 20);
  free(zeros);
  must_refuse(&s, "67108863 bytes are wanted");
  dor_str_release(&s);
}

TEST(pth_frames_of_legacy_files)
{
  static const view one = FLAT("a");
  dor_str s = {0};
  (void)state;
  file_of(&s, 1, &one, 12);
  dor_str_add(&s, "x");
  must_refuse(&s, "1 bytes after the last storage");
  s.s[15 + 4] = 2; /* of protocol 1001 */
  must_refuse(&s, "protocol 1001");
  dor_str_clear(&s);
  PUT(&s, "\x80\2\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\2M\xe9\3.\x80\2}");
  put_text(&s, "little_endian");
  PUT(&s, "\x89s.");
  must_refuse(&s, "not little-endian");
  dor_str_clear(&s);
  begin(&s);
  PUT(&s, "\x80\2}(");
  put_view(&s, &one);
  PUT(&s, "u.");
  size_t here = s.n;
  finish(&s, 2, (const char *const[]){"7", "7"}, (const int64_t[]){12, 12});
  must_refuse(&s, "list of storages: 2, the tensors have 1");
  s.n = here;
  finish(&s, 0, NULL, NULL);
  must_refuse(&s, "list of storages: 0, the tensors have 1");
  s.n = here;
  PUT(&s, "\x80\2}.");
  must_refuse(&s, "list of storages: no list");
  dor_str_release(&s);
}
