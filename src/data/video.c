/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames out of ffmpeg. The pixels come over one pipe; the filter that hands a
 * frame on has written its time into another one just before, in microseconds. */
#include "data/video.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "data/video_child.h"

struct dor_video {
  dor_video_info info;
  char path[256];               /* printable */
  dor_child child;
  int pixels;
  FILE *times;
  int64_t n;                    /* frames given so far */
  double last_s;                /* time of the last one */
  bool over;
};

const dor_video_info *dor_video_of(const dor_video *v) { return &v->info; }

static dor_status start(dor_video *v, int fd, int pixels, int times)
{
  char filter[400];
  snprintf(filter, sizeof filter, "settb=AVTB,scale=%d:%d:flags=bicubic+accurate_rnd+full_chroma_int+bitexact,setsar=1,format=rgb24,"
           "metadata=mode=add:key=n:value=0,metadata=mode=print:file='pipe\\:%d':direct=1", v->info.w, v->info.h, DOR_VIDEO_TIMES);
  const char *const argv[] = {"ffmpeg", "-v", "error", "-nostdin", "-xerror", DOR_VIDEO_INPUT, "-map", "0:V:0", "-an", "-sn", "-dn", "-fps_mode",
                              "passthrough", "-vf", filter, "-c:v", "rawvideo", "-f", "rawvideo", "pipe:1", NULL};
  dor_child_plan plan = {.n_fds = 3, .fd = {{fd, DOR_VIDEO_FILE}, {pixels, 1}, {times, DOR_VIDEO_TIMES}}, .file_bytes = 1 << 20};
  return dor_video_start(&v->child, argv, &plan);
}

/* Both pipes, and the child between them. */
static dor_status connect_child(dor_video *v, int fd)
{
  int pixels[2], times[2];
  DOR_NEED(!pipe2(pixels, O_CLOEXEC), IO, "%s: a pipe: %s", v->path, strerror(errno));
  v->pixels = pixels[0];
  if (pipe2(times, O_CLOEXEC)) {
    close(pixels[1]);
    return DOR_FAIL(IO, "%s: a pipe: %s", v->path, strerror(errno));
  }
  (void)fcntl(pixels[0], F_SETPIPE_SZ, 1 << 20); /* fewer turns; a kernel that says no is no matter */
  dor_status s = start(v, fd, pixels[1], times[1]);
  close(pixels[1]), close(times[1]);
  v->times = s ? NULL : fdopen(times[0], "r");
  if (v->times) return DOR_OK;
  close(times[0]);
  return s ? s : DOR_FAIL(NOMEM, "%s: a pipe", v->path);
}

dor_status dor_video_open(const char *path, dor_video **out)
{
  int fd;
  *out = NULL;
  DOR_TRY(dor_video_file(path, &fd));
  dor_video *v = dor_calloc(1, sizeof *v);
  dor_status s = v ? DOR_OK : DOR_FAIL(NOMEM, "a video");
  if (!s) {
    v->pixels = -1;
    dor_printable(path, v->path, sizeof v->path);
    s = dor_video_probe_file(path, fd, &v->info);
  }
  if (!s) s = connect_child(v, fd);
  close(fd);
  if (s) dor_video_close(v);
  else *out = v;
  return s;
}

/* Fewer frames than the header counts, and an end well before its own: what is missing was cut off. */
static dor_status whole(const dor_video *v)
{
  const dor_video_info *i = &v->info;
  const double slack = 1 + (i->fps > 0 ? 2 / i->fps : 0);
  DOR_NEED(v->n, DATA, "%s: no frame in it", v->path);
  if (isnan(i->duration_s) || (i->n_frames >= 0 && v->n >= i->n_frames)) return DOR_OK;
  DOR_NEED(v->last_s + slack >= i->duration_s, DATA, "%s: cut off at %.2f s: its header says %.2f s", v->path, v->last_s, i->duration_s);
  return DOR_OK;
}

static dor_status at_end(dor_video *v, size_t got)
{
  char said[DOR_CHILD_SAYS];
  v->over = true;
  const bool well = dor_child_end(&v->child, said);
  DOR_NEED(well && !got, DATA, "%s: frame %lld (after %.2f s): %s", v->path, (long long)v->n + 1, v->last_s, *said ? dor_video_said(said) : "cut off");
  return whole(v);
}

/* "frame:12   pts:480000  pts_time:0.48", then the line of what the filter had to add to print at all. */
static dor_status read_time(dor_video *v, double *time_s)
{
  char line[256], added[64];
  long long us;
  const char *at = fgets(line, sizeof line, v->times) ? strstr(line, "pts:") : NULL;
  DOR_NEED(at && fgets(added, sizeof added, v->times) && sscanf(at, "pts:%lld", &us) == 1, DATA, "%s: frame %lld has no time", v->path, (long long)v->n + 1);
  *time_s = (double)us / 1e6;
  DOR_NEED(!v->n || *time_s > v->last_s, DATA, "%s: frame %lld is at %.6f s and the one before it at %.6f s", v->path, (long long)v->n + 1, *time_s, v->last_s);
  return DOR_OK;
}

dor_status dor_video_next(dor_video *v, uint8_t *rgb, double *time_s, bool *more)
{
  const size_t want = (size_t)v->info.w * (size_t)v->info.h * 3;
  size_t got;
  *more = false;
  if (v->over) return DOR_OK;
  DOR_TRY(dor_child_read(v->pixels, rgb, want, DOR_VIDEO_WAIT_S, &got));
  if (got < want) return at_end(v, got);
  DOR_TRY(read_time(v, time_s));
  v->n++, v->last_s = *time_s, *more = true;
  return DOR_OK;
}

void dor_video_close(dor_video *v)
{
  if (!v) return;
  dor_child_kill(&v->child);
  if (v->pixels >= 0) close(v->pixels);
  if (v->times) fclose(v->times);
  dor_free(v);
}
