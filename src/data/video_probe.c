/* SPDX-License-Identifier: Apache-2.0
 *
 * ffprobe's JSON as a dor_video_info. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/str.h"
#include "data/picture.h"
#include "data/video_child.h"

enum { MOST_SAID = 1 << 20 }; /* of JSON; tags may be long */

bool dor_video_name(const char *path)
{
  static const char *const ends[] = {".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi"};
  const char *dot = strrchr(path, '.');
  for (size_t i = 0; dot && i < sizeof ends / sizeof *ends; i++)
    if (!strcasecmp(dot, ends[i])) return true;
  return false;
}

dor_status dor_video_file(const char *path, int *fd)
{
  char shown[256];
  size_t size;
  DOR_TRY(dor_io_open_file(path, fd, &size));
  if (size) return DOR_OK;
  close(*fd);
  return DOR_FAIL(DATA, "%s: an empty file, no video", dor_printable(path, shown, sizeof shown));
}

const char *dor_video_said(const char *said)
{
  static const char name[] = DOR_VIDEO_NAME ": ";
  const char *at = strstr(said, name);
  return at ? at + sizeof name - 1 : said;
}

/* FFREPORT and its like would make ffmpeg write files: a child gets the search paths and no more. */
dor_status dor_video_start(dor_child *c, const char *const argv[], dor_child_plan *plan)
{
  static const char *const passed[] = {"PATH", "LD_LIBRARY_PATH"};
  char text[2][4096];
  const char *env[4] = {"LC_ALL=C"};
  for (size_t i = 0, n = 1; i < 2; i++) {
    const char *value = getenv(passed[i]);
    if (value && (size_t)snprintf(text[i], sizeof text[i], "%s=%s", passed[i], value) < sizeof text[i]) env[n++] = text[i];
  }
  plan->argv = argv, plan->env = env, plan->noise = "Conversion failed!";
  return dor_child_start(c, plan);
}

/* ---- fields ---- */

static const char *text_of(const json_t *o, const char *key)
{
  const char *s = json_string_value(json_object_get(o, key));
  return s ? s : "";
}

/* "30000/1001", "16:9"; NaN when it is no ratio of positive numbers. */
static double ratio(const char *text)
{
  char *end;
  const double above = (double)strtoll(text, &end, 10);
  if (*end != '/' && *end != ':') return NAN;
  const double below = (double)strtoll(end + 1, &end, 10);
  return above > 0 && below > 0 && !*end ? above / below : (double)NAN;
}

/* "00:00:08.200000000", as matroska has it. */
static double clock_time(const char *text)
{
  long hours, minutes;
  int used = 0;
  double s;
  if (sscanf(text, "%ld:%ld:%n", &hours, &minutes, &used) != 2 || !used || dor_parse_real(text + used, &s)) return NAN;
  return 3600.0 * (double)hours + 60.0 * (double)minutes + s;
}

static double duration(const json_t *stream)
{
  double s;
  return dor_parse_real(text_of(stream, "duration"), &s) ? clock_time(text_of(json_object_get(stream, "tags"), "DURATION")) : s;
}

static double turn(const json_t *stream)
{
  size_t i;
  json_t *side;
  double tag;
  json_array_foreach(json_object_get(stream, "side_data_list"), i, side)
    if (json_is_number(json_object_get(side, "rotation"))) return -json_number_value(json_object_get(side, "rotation"));
  return dor_parse_real(text_of(json_object_get(stream, "tags"), "rotate"), &tag) ? 0 : tag;
}

static dor_status put_size(const char *path, const json_t *stream, dor_video_info *out)
{
  const json_int_t w = json_integer_value(json_object_get(stream, "width")), h = json_integer_value(json_object_get(stream, "height"));
  const double sar = ratio(text_of(stream, "sample_aspect_ratio")), wide = round((double)w * (isnan(sar) ? 1 : sar));
  const double deg = fmod(fmod(turn(stream), 360) + 360, 360);
  DOR_NEED(w > 0 && h > 0 && wide >= 1 && wide <= DOR_PICTURE_SIDE && h <= DOR_PICTURE_SIDE && wide * (double)h <= DOR_PICTURE_PIXELS, DATA,
           "%s: frames of %.0f x %lld pixels, at most %d a side and %d in all", path, wide, (long long)h, DOR_PICTURE_SIDE, DOR_PICTURE_PIXELS);
  out->rotation_deg = (int32_t)(90 * lround(deg / 90)) % 360;
  DOR_NEED(fabs(deg - 90 * (double)lround(deg / 90)) < 1, DATA, "%s: to be turned by %g degrees; 0, 90, 180 and 270 are done", path, deg);
  out->coded_w = (int32_t)w, out->coded_h = (int32_t)h;
  const bool lies = out->rotation_deg % 180 != 0;
  out->w = lies ? (int32_t)h : (int32_t)wide, out->h = lies ? (int32_t)wide : (int32_t)h;
  return DOR_OK;
}

/* Matroska has its tags in capitals. */
static bool is_synthetic(const json_t *root)
{
  const json_t *tags = json_object_get(json_object_get(root, "format"), "tags");
  return !strncmp(text_of(tags, "comment"), "SYNTHETIC", 9) || !strncmp(text_of(tags, "COMMENT"), "SYNTHETIC", 9);
}

static dor_status take(const char *path, const json_t *root, dor_video_info *out)
{
  const json_t *s = json_array_get(json_object_get(root, "streams"), 0);
  int64_t frames;
  *out = (dor_video_info){.n_frames = -1};
  DOR_NEED(s, DATA, "%s: no moving picture in it", path);
  DOR_TRY(put_size(path, s, out));
  snprintf(out->codec, sizeof out->codec, "%s", text_of(s, "codec_name"));
  snprintf(out->pixels, sizeof out->pixels, "%s", text_of(s, "pix_fmt"));
  const double base = ratio(text_of(s, "r_frame_rate"));
  out->fps = ratio(text_of(s, "avg_frame_rate"));
  out->variable = fabs(out->fps - base) > 0.005 * base;
  out->duration_s = duration(s);
  if (!dor_parse_int(text_of(s, "nb_frames"), &frames) && frames > 0) out->n_frames = frames;
  const char *order = text_of(s, "field_order");
  out->interlaced = *order && strcmp(order, "progressive") && strcmp(order, "unknown");
  out->synthetic = is_synthetic(root);
  return DOR_OK;
}

/* ---- the program ---- */

static dor_status ask(const char *path, int fd, char *text, size_t *got)
{
  static const char *const argv[] = {"ffprobe", "-v", "error", DOR_VIDEO_INPUT, "-select_streams", "V:0", "-show_streams", "-show_format", "-of", "json", NULL};
  dor_child child;
  char said[DOR_CHILD_SAYS];
  int ends[2];
  DOR_NEED(!pipe2(ends, O_CLOEXEC), IO, "%s: a pipe: %s", path, strerror(errno));
  dor_child_plan plan = {.n_fds = 2, .fd = {{fd, DOR_VIDEO_FILE}, {ends[1], 1}}, .file_bytes = MOST_SAID};
  dor_status s = dor_video_start(&child, argv, &plan);
  close(ends[1]);
  if (!s) s = dor_child_read(ends[0], text, MOST_SAID, DOR_VIDEO_WAIT_S, got);
  close(ends[0]);
  if (s) {
    dor_child_kill(&child);
    return s;
  }
  DOR_NEED(dor_child_end(&child, said), DATA, "%s: not a video that can be read: %s", path, dor_video_said(said));
  return DOR_OK;
}

dor_status dor_video_probe_file(const char *path, int fd, dor_video_info *out)
{
  char shown[256];
  size_t got;
  dor_printable(path, shown, sizeof shown);
  char *text = dor_calloc(1, MOST_SAID);
  DOR_NEED(text, NOMEM, "%s: its headers", shown);
  dor_status s = ask(shown, fd, text, &got);
  json_t *root = s ? NULL : json_loadb(text, got, 0, NULL);
  if (!s) s = root ? take(shown, root, out) : DOR_FAIL(DATA, "%s: ffprobe's answer cannot be read", shown);
  json_decref(root);
  dor_free(text);
  return s;
}

dor_status dor_video_probe(const char *path, dor_video_info *out)
{
  int fd;
  DOR_TRY(dor_video_file(path, &fd));
  dor_status s = dor_video_probe_file(path, fd, out);
  close(fd);
  return s;
}
