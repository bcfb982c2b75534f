/* SPDX-License-Identifier: Apache-2.0
 *
 * Every kind of PNG and JPEG is either read right or refused by name: bit depths,
 * alpha, palettes, interlacing, colour spaces, and the eight ways up of EXIF. */
#include "tests/test.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <png.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/rng.h"
#include "data/exif.h"
#include "data/picture.h"

enum { H = 16, W = 24, BLOCK = 8 };

static const char *file(const char *name)
{
  static char path[700];
  snprintf(path, sizeof path, "%s/%s", test_folder("kinds"), name);
  return path;
}

/* ---- PNG, by the low-level writer: any depth and colour type ---- */

static const png_color palette[3] = {{255, 0, 0}, {0, 255, 0}, {10, 20, 30}};
static const png_byte palette_alpha[1] = {0}; /* the first colour is transparent */

static void put_png(const char *name, int depth, int type, bool interlaced, const uint8_t *row, int h, int w)
{
  FILE *f = fopen(file(name), "wb");
  png_structp p = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
  png_infop info = png_create_info_struct(p);
  REQUIRE(f && p && info && !setjmp(png_jmpbuf(p)), "%s cannot be written", name);
  png_init_io(p, f);
  png_set_IHDR(p, info, (unsigned)w, (unsigned)h, depth, type, interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  if (type == PNG_COLOR_TYPE_PALETTE) {
    png_set_PLTE(p, info, palette, 3);
    png_set_tRNS(p, info, palette_alpha, 1, NULL);
  }
  png_write_info(p, info);
  int passes = png_set_interlace_handling(p);
  for (int pass = 0; pass < passes; pass++)
    for (int y = 0; y < h; y++) png_write_row(p, row);
  png_write_end(p, info);
  png_destroy_write_struct(&p, &info);
  fclose(f);
}

/* The first pixels of the last row must be these. */
static void reads(const char *name, int32_t channels, int n, const uint8_t *want)
{
  dor_picture im;
  OK(dor_picture_read(file(name), channels, &im));
  const uint8_t *row = im.pixels + (size_t)(im.h - 1) * (size_t)im.w * (size_t)im.c;
  for (int i = 0; i < n; i++) CHECK(row[i] == want[i], "%s, %d channels, value %d: %d, not %d", name, channels, i, row[i], want[i]);
  CHECK(im.c == channels, "%s: %d channels", name, im.c);
  dor_free(im.pixels);
}

TEST(picture_png_kinds)
{
  static const uint8_t deep[] = {0x80, 0x00, 0xff, 0xff, 0x12, 0x34}, shallow[] = {0x60}, alpha[] = {200, 255, 200, 0, 7, 255};
  static const uint8_t red[] = {255, 0, 0, 0, 255, 0, 0, 0, 255}, rgba[] = {9, 8, 7, 255, 9, 8, 7, 0}, index[] = {2, 0, 1};
  static const uint8_t deep_red[] = {255, 255, 0, 0, 0x40, 0x40};
  put_png("deep.png", 16, PNG_COLOR_TYPE_GRAY, false, deep, 2, 3);
  reads("deep.png", 1, 3, (uint8_t[]){128, 255, 18});
  put_png("deep_rgb.png", 16, PNG_COLOR_TYPE_RGB, false, deep_red, 1, 1);
  reads("deep_rgb.png", 3, 3, (uint8_t[]){255, 0, 64});
  put_png("bits.png", 1, PNG_COLOR_TYPE_GRAY, false, shallow, 1, 3);
  reads("bits.png", 1, 3, (uint8_t[]){0, 255, 255});
  put_png("alpha.png", 8, PNG_COLOR_TYPE_GRAY_ALPHA, false, alpha, 2, 3);
  reads("alpha.png", 1, 3, (uint8_t[]){200, 0, 7});
  reads("alpha.png", 3, 6, (uint8_t[]){200, 200, 200, 0, 0, 0});
  put_png("rgb.png", 8, PNG_COLOR_TYPE_RGB, true, red, 4, 3);
  reads("rgb.png", 3, 9, red);
  reads("rgb.png", 1, 3, (uint8_t[]){76, 150, 29});
  put_png("rgba.png", 8, PNG_COLOR_TYPE_RGB_ALPHA, false, rgba, 2, 2);
  reads("rgba.png", 3, 6, (uint8_t[]){9, 8, 7, 0, 0, 0});
  put_png("palette.png", 8, PNG_COLOR_TYPE_PALETTE, false, index, 2, 3);
  reads("palette.png", 3, 9, (uint8_t[]){10, 20, 30, 0, 0, 0, 0, 255, 0});
  reads("palette.png", 1, 3, (uint8_t[]){18, 0, 150});
}

/* ---- JPEG ---- */

typedef struct kind {
  J_COLOR_SPACE in, stored;
  int components;
  const uint8_t *app1; /* with its length; NULL: none */
  size_t n;
  bool progressive;
} kind;

/* Flat blocks of 8 x 8, each of its own brightness: what JPEG keeps exactly, or nearly. */
static void put_jpeg(const char *name, kind k)
{
  struct jpeg_compress_struct c;
  struct jpeg_error_mgr e;
  unsigned char *bytes = NULL, row[W * 4];
  unsigned long n = 0;
  c.err = jpeg_std_error(&e);
  jpeg_create_compress(&c);
  jpeg_mem_dest(&c, &bytes, &n);
  c.image_width = W, c.image_height = H, c.input_components = k.components, c.in_color_space = k.in;
  jpeg_set_defaults(&c);
  jpeg_set_colorspace(&c, k.stored);
  jpeg_set_quality(&c, 100, TRUE);
  for (int i = 0; i < c.num_components; i++) c.comp_info[i].h_samp_factor = c.comp_info[i].v_samp_factor = 1;
  if (k.progressive) jpeg_simple_progression(&c);
  jpeg_start_compress(&c, TRUE);
  if (k.app1) jpeg_write_marker(&c, JPEG_APP0 + 1, k.app1, (unsigned)k.n);
  for (int y = 0; y < H; y++) {
    for (int x = 0; x < W * k.components; x++) row[x] = (unsigned char)(40 + 30 * (x / k.components / BLOCK + 3 * (y / BLOCK)));
    JSAMPROW rows = row;
    jpeg_write_scanlines(&c, &rows, 1);
  }
  jpeg_finish_compress(&c);
  jpeg_destroy_compress(&c);
  OK(dor_io_write(file(name), bytes, n));
  free(bytes);
}

TEST(picture_jpeg_kinds)
{
  dor_picture im;
  for (int progressive = 0; progressive < 2; progressive++) {
    put_jpeg("rgb.jpg", (kind){JCS_RGB, JCS_RGB, 3, NULL, 0, progressive});
    put_jpeg("ycc.jpg", (kind){JCS_RGB, JCS_YCbCr, 3, NULL, 0, progressive});
    put_jpeg("grey.jpg", (kind){JCS_GRAYSCALE, JCS_GRAYSCALE, 1, NULL, 0, progressive});
    for (int32_t channels = 1; channels <= 3; channels += 2) {
      static const uint8_t want[] = {130, 130, 130};
      reads("rgb.jpg", channels, channels, want);
      reads("ycc.jpg", channels, channels, want);
      reads("grey.jpg", channels, channels, want);
    }
    put_jpeg("cmyk.jpg", (kind){JCS_CMYK, JCS_CMYK, 4, NULL, 0, progressive});
    CHECK(dor_picture_read(file("cmyk.jpg"), 3, &im) == DOR_E_DATA && strstr(dor_errmsg(), "cmyk.jpg: a JPEG of 4 colours (CMYK)"), "%s", dor_errmsg());
  }
}

/* ---- EXIF ---- */

enum { EXIF = 6 + 8 + 2 + 2 * 12 + 4 };

static void put(uint8_t *to, bool big, int n, uint32_t v)
{
  for (int i = 0; i < n; i++) to[big ? n - 1 - i : i] = (uint8_t)(v >> 8 * i);
}

/* A directory of two entries, the camera's name and the orientation. */
static void make_exif(uint8_t p[EXIF], bool big, uint32_t orientation)
{
  memset(p, 0, EXIF);
  memcpy(p, big ? "Exif\0\0MM\0*" : "Exif\0\0II*\0", 10);
  put(p + 10, big, 4, 8);
  put(p + 14, big, 2, 2);
  put(p + 16, big, 2, 0x110), put(p + 18, big, 2, 2), put(p + 20, big, 4, 4), memcpy(p + 24, "cam", 4);
  put(p + 28, big, 2, 0x112), put(p + 30, big, 2, 3), put(p + 32, big, 4, 1), put(p + 36, big, 2, orientation);
}

/* Where the stored row 0 and column 0 are seen, in the words of the standard; of orientations 1 to 8. */
static const char *const sides[] = {"TL", "TR", "BR", "BL", "LT", "RT", "RB", "LB"};

static void seen_at(const char *side, int r, int c, int *y, int *x)
{
  const int at[2] = {r, c}, last[2] = {H - 1, W - 1};
  for (int i = 0; i < 2; i++) {
    if (side[i] == 'T') *y = at[i];
    if (side[i] == 'B') *y = last[i] - at[i];
    if (side[i] == 'L') *x = at[i];
    if (side[i] == 'R') *x = last[i] - at[i];
  }
}

static void check_turned(int orientation, const dor_picture *stored, const dor_picture *seen)
{
  int wrong = 0;
  bool turned = orientation >= 5;
  REQUIRE(seen->h == (turned ? W : H) && seen->w == (turned ? H : W) && stored->h == H && stored->w == W, "orientation %d: %d x %d", orientation, seen->h,
          seen->w);
  for (int r = 0; r < H; r++)
    for (int c = 0; c < W; c++) {
      int y = 0, x = 0;
      seen_at(sides[orientation - 1], r, c, &y, &x);
      wrong += memcmp(stored->pixels + (r * W + c) * 3, seen->pixels + (y * seen->w + x) * 3, 3) != 0;
    }
  CHECK(!wrong, "orientation %d: %d pixels are elsewhere", orientation, wrong);
}

TEST(picture_exif_turns)
{
  for (int i = 0; i < 16; i++) {
    uint8_t exif[EXIF];
    dor_picture stored, seen;
    int orientation = i % 8 + 1;
    make_exif(exif, i >= 8, (uint32_t)orientation);
    put_jpeg("turned.jpg", (kind){JCS_RGB, JCS_YCbCr, 3, exif, sizeof exif, i % 2});
    OK(dor_picture_read_stored(file("turned.jpg"), 3, &stored));
    OK(dor_picture_read(file("turned.jpg"), 3, &seen));
    check_turned(orientation, &stored, &seen);
    dor_free(stored.pixels);
    dor_free(seen.pixels);
  }
}

static void refused(const uint8_t *exif, size_t n, const char *says)
{
  int o = 1;
  CHECK(dor_exif_orientation("a.jpg", exif, n, &o) == DOR_E_DATA && strstr(dor_errmsg(), says), "'%s' does not say '%s'", dor_errmsg(), says);
}

TEST(picture_exif_is_strict)
{
  uint8_t exif[EXIF];
  int o;
  make_exif(exif, true, 0);
  OK(dor_exif_orientation("a.jpg", exif, EXIF, &o));
  CHECK(o == 1, "0 is upright, got %d", o);
  OK(dor_exif_orientation("a.jpg", (const uint8_t *)"http://ns.adobe.com/xap/1.0/", 29, &o));
  CHECK(o == 1, "XMP is no EXIF");
  make_exif(exif, true, 9);
  refused(exif, EXIF, "a.jpg: EXIF: orientation 9");
  make_exif(exif, false, 6);
  put(exif + 30, false, 2, 4);
  refused(exif, EXIF, "no single short number");
  make_exif(exif, false, 6);
  put(exif + 10, false, 4, 4000000000u);
  refused(exif, EXIF, "its directory lies outside it");
  make_exif(exif, false, 6);
  put(exif + 14, false, 2, 60000);
  refused(exif, EXIF, "a directory of 60000 entries does not fit");
  refused((const uint8_t *)"Exif\0\0GIF89a....", 16, "no TIFF header");
  put_jpeg("bad.jpg", (kind){JCS_RGB, JCS_YCbCr, 3, (const uint8_t *)"Exif\0\0GIF89a....", 16, false});
  dor_picture im;
  CHECK(dor_picture_read(file("bad.jpg"), 3, &im) == DOR_E_DATA && strstr(dor_errmsg(), "bad.jpg: EXIF"), "%s", dor_errmsg());
}

/* Cut anywhere and changed anywhere, in memory of exactly its size: the sanitizers see a byte too far. */
TEST(picture_exif_damage_reads_nothing_outside)
{
  dor_rng rng = dor_rng_stream(5, 0, 0);
  uint8_t exif[EXIF];
  int o;
  for (int i = 0; i < 4000; i++) {
    size_t n = i < EXIF ? (size_t)i : EXIF;
    make_exif(exif, i % 2, 6);
    for (uint32_t k = i < EXIF ? 0 : 1 + dor_rng_below(&rng, 6); k; k--) exif[6 + dor_rng_below(&rng, EXIF - 6)] = (uint8_t)dor_rng_u32(&rng);
    uint8_t *exact = malloc(n + !n);
    REQUIRE(exact, "no memory");
    memcpy(exact, exif, n);
    dor_status s = dor_exif_orientation("a.jpg", exact, n, &o);
    CHECK((s == DOR_OK && o >= 1 && o <= 8) || s == DOR_E_DATA, "status %d, orientation %d", s, o);
    free(exact);
  }
}
