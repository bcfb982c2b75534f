/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames into ffmpeg. A raw pipe would lose their times, so they go over as a
 * Matroska stream of uncompressed pictures, one cluster each, in microseconds
 * (RFC 9559: the ids below are its). */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/str.h"
#include "data/picture.h"
#include "data/video_child.h"

struct dor_film {
  char path[256];               /* printable */
  dor_io_staged file;
  dor_child child;
  int to;                       /* our end of the socket */
  size_t frame_bytes;
  int64_t n;
  double last_s;
};

/* ---- Matroska ---- */

enum { HEAD_BYTES = 512 };

typedef struct bytes { uint8_t b[HEAD_BYTES]; size_t n; } bytes;

static void put(bytes *o, uint64_t value, size_t n)
{
  for (size_t i = n; i--;) o->b[o->n++] = (uint8_t)(value >> (8 * i));
}

static void put_id(bytes *o, uint32_t id) { put(o, id, id > 0xffffff ? 4 : id > 0xffff ? 3 : id > 0xff ? 2 : 1); }
static void put_size(bytes *o, uint64_t size) { put(o, 1ull << 56 | size, 8); }

static void put_uint(bytes *o, uint32_t id, uint64_t value)
{
  put_id(o, id), put_size(o, 8), put(o, value, 8);
}

static void put_bytes(bytes *o, uint32_t id, const char *data, size_t n)
{
  put_id(o, id), put_size(o, n);
  memcpy(o->b + o->n, data, n);
  o->n += n;
}

static void put_group(bytes *o, uint32_t id, const bytes *inside) { put_bytes(o, id, (const char *)inside->b, inside->n); }

static void head(bytes *o, int32_t h, int32_t w, double fps)
{
  bytes ebml = {.n = 0}, info = {.n = 0}, video = {.n = 0}, track = {.n = 0}, tracks = {.n = 0};
  put_bytes(&ebml, 0x4282, "matroska", 8), put_uint(&ebml, 0x4287, 4), put_uint(&ebml, 0x4285, 2);
  put_uint(&info, 0x2AD7B1, 1000);                        /* nanoseconds of a tick */
  put_uint(&video, 0xB0, (uint64_t)w), put_uint(&video, 0xBA, (uint64_t)h), put_bytes(&video, 0x2EB524, "RGB\x18", 4);
  put_uint(&track, 0xD7, 1), put_uint(&track, 0x73C5, 1), put_uint(&track, 0x83, 1), put_uint(&track, 0x23E383, (uint64_t)llround(1e9 / fps));
  put_bytes(&track, 0x86, "V_UNCOMPRESSED", 14);
  put_group(&track, 0xE0, &video);
  put_group(&tracks, 0xAE, &track);
  put_group(o, 0x1A45DFA3, &ebml);
  put_id(o, 0x18538067), put(o, 0x01ffffffffffffffull, 8); /* a segment of unknown size */
  put_group(o, 0x1549A966, &info);
  put_group(o, 0x1654AE6B, &tracks);
}

/* What stands before a frame's pixels. */
static void cluster(bytes *o, size_t frame_bytes, uint64_t time_us)
{
  const uint64_t block = 4 + frame_bytes;
  put_id(o, 0x1F43B675), put_size(o, 17 + 9 + block);
  put_uint(o, 0xE7, time_us);
  put_id(o, 0xA3), put_size(o, block);
  put(o, 0x81000080, 4);                                  /* track 1, 0 ticks into the cluster, a key frame */
}

/* ---- the program ---- */

static dor_status start(dor_film *f, int from, const char *tag)
{
  char comment[256];
  snprintf(comment, sizeof comment, "comment=%s", tag ? tag : "");
  const char *const argv[] = {
    "ffmpeg", "-v", "error", "-nostdin", "-xerror", "-y", "-probesize", "4096", "-analyzeduration", "0", "-f", "matroska", "-i", "pipe:0", "-map", "0:v",
    "-fps_mode", "passthrough", "-enc_time_base", "1:90000", "-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2,format=yuv420p", "-c:v", "libx264", "-preset",
    "veryfast", "-crf", "18", "-threads", "1", "-map_metadata", "-1", "-metadata", comment, "-fflags", "+bitexact", "-flags:v", "+bitexact",
    "-video_track_timescale", "90000", "-movflags", "+faststart", "-f", "mp4", DOR_VIDEO_NAME, NULL};
  dor_child_plan plan = {.n_fds = 2, .fd = {{f->file.fd, DOR_VIDEO_FILE}, {from, 0}}};
  return dor_video_start(&f->child, argv, &plan);
}

static dor_status connect_child(dor_film *f, const char *tag)
{
  int ends[2];
  DOR_NEED(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), IO, "%s: a socket: %s", f->path, strerror(errno));
  f->to = ends[0];
  (void)shutdown(ends[0], SHUT_RD);
  dor_status s = start(f, ends[1], tag);
  close(ends[1]);
  return s;
}

/* Writing failed, or the child ended badly: its own words say why. */
static dor_status explain(dor_film *f, dor_status s)
{
  char said[DOR_CHILD_SAYS];
  if (s == DOR_E_DEADLINE) return s;
  close(f->to), f->to = -1;
  (void)dor_child_end(&f->child, said);
  return DOR_FAIL(IO, "%s: cannot be written: %s", f->path, *said ? dor_video_said(said) : "ffmpeg ended early");
}

dor_status dor_film_open(const char *path, int32_t h, int32_t w, double fps, const char *tag, dor_film **out)
{
  bytes o = {.n = 0};
  *out = NULL;
  DOR_NEED(h > 0 && w > 0 && h <= DOR_PICTURE_SIDE && w <= DOR_PICTURE_SIDE && fps > 1e-3 && fps < 1e4, ARG, "a film of %d x %d pixels, %g frames a second",
           h, w, fps);
  dor_film *f = dor_calloc(1, sizeof *f);
  DOR_NEED(f, NOMEM, "a film");
  f->to = -1, f->frame_bytes = (size_t)h * (size_t)w * 3;
  dor_printable(path, f->path, sizeof f->path);
  dor_status s = dor_io_stage(&f->file, path, 0666);
  if (s) {
    dor_free(f);
    return s;
  }
  s = connect_child(f, tag);
  head(&o, h, w, fps);
  if (!s) s = dor_child_write(f->to, o.b, o.n, DOR_VIDEO_WAIT_S);
  if (s && f->child.pid) s = explain(f, s);
  if (s) dor_film_drop(f);
  else *out = f;
  return s;
}

dor_status dor_film_put(dor_film *f, const uint8_t *rgb, double time_s)
{
  bytes o = {.n = 0};
  DOR_NEED(f->child.pid, ARG, "%s: it failed already", f->path);
  DOR_NEED(time_s >= 0 && time_s < 1e9 && (!f->n || time_s > f->last_s), ARG, "%s: frame %lld at %g s after %g s", f->path, (long long)f->n + 1, time_s,
           f->last_s);
  cluster(&o, f->frame_bytes, (uint64_t)llround(1e6 * time_s));
  dor_status s = dor_child_write(f->to, o.b, o.n, DOR_VIDEO_WAIT_S);
  if (!s) s = dor_child_write(f->to, rgb, f->frame_bytes, DOR_VIDEO_WAIT_S);
  if (s) return explain(f, s);
  f->n++, f->last_s = time_s;
  return DOR_OK;
}

dor_status dor_film_close(dor_film *f)
{
  char said[DOR_CHILD_SAYS];
  dor_status s = DOR_OK;
  if (!f->child.pid || !f->n) s = DOR_FAIL(ARG, "%s: no frame was put into it", f->path);
  if (!s) {
    close(f->to), f->to = -1;
    if (!dor_child_end(&f->child, said)) s = DOR_FAIL(IO, "%s: cannot be written: %s", f->path, dor_video_said(said));
  }
  if (s) {
    dor_film_drop(f);
    return s;
  }
  s = dor_io_commit(&f->file);
  dor_free(f);
  return s;
}

void dor_film_drop(dor_film *f)
{
  if (!f) return;
  dor_child_kill(&f->child);
  if (f->to >= 0) close(f->to);
  dor_io_drop(&f->file);
  dor_free(f);
}
