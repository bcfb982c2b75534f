/* SPDX-License-Identifier: Apache-2.0
 *
 * dorsum doctor: what this machine and this build have, and what is missing. */
#include "cli/cli.h"

#include <hdf5.h>
#include <jansson.h>
#include <libconfig.h>
#include <png.h>
#include <sodium.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/backend.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/version.h"
#include "kernels/onednn_version.h"

extern char **environ;

typedef struct rows {
  dor_arena *a;
  dor_tree *root, **next;
} rows;

static void put(rows *r, const char *name, const char *fmt, ...) DOR_PRINTF(3, 4);
static void put(rows *r, const char *name, const char *fmt, ...)
{
  char text[256];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  dor_tree *t = dor_arena_alloc(r->a, sizeof *t);
  if (!t) return;
  t->name = name, t->type = DOR_TREE_TEXT, t->text = dor_arena_str(r->a, text);
  if (!t->text) return;
  *r->next = t, r->next = &t->next;
}

static void libraries(rows *r)
{
  unsigned major, minor, patch;
  char onednn[32];
  dor_onednn_version(onednn);
  put(r, "onednn", "%s", onednn);
  if (H5get_libversion(&major, &minor, &patch) >= 0) put(r, "hdf5", "%u.%u.%u", major, minor, patch);
  put(r, "libconfig", "%d.%d", LIBCONFIG_VER_MAJOR, LIBCONFIG_VER_MINOR);
  put(r, "jansson", "%s", JANSSON_VERSION);
  put(r, "libsodium", "%s", sodium_version_string());
  put(r, "libpng", "%s", PNG_LIBPNG_VER_STRING);
}

static void cpu(rows *r)
{
  const struct { const char *name; int has; } features[] = {
      {"sse4.2", __builtin_cpu_supports("sse4.2")},     {"avx2", __builtin_cpu_supports("avx2")},         {"fma", __builtin_cpu_supports("fma")},
      {"avx512f", __builtin_cpu_supports("avx512f")},   {"avx512bw", __builtin_cpu_supports("avx512bw")}, {"avx512vnni", __builtin_cpu_supports("avx512vnni")}};
  char text[128] = "";
  size_t n = 0;
  for (size_t i = 0; i < sizeof features / sizeof *features; i++)
    if (features[i].has) n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", n ? " " : "", features[i].name);
  put(r, "cpu", "%s", *text ? text : "no vector extensions: the portable kernels serve");
  put(r, "threads", "%ld", sysconf(_SC_NPROCESSORS_ONLN));
  put(r, "memory", "%.1f GiB", (double)dor_memory_bytes() / 1073741824.0);
  put(r, "device", "cpu");
}

/* What a device says, or why there is none. */
static void devices(rows *r, const dor_cli *c)
{
  static const char *const name = "cuda";
  const dor_backend *b;
  size_t left = 0, all = 0;
  dor_cli asked = *c;
  if (!asked.device) asked.device = name;
  if (dor_cli_device(&asked, false, &b)) put(r, name, "%s", dor_errmsg());
  else if (b->device && b->device->memory(&left, &all)) put(r, name, "%s", dor_errmsg());
  else if (b->device) put(r, name, "%s, %.1f of %.1f GiB free", b->device->describe(), (double)left / 1073741824.0, (double)all / 1073741824.0);
}

/* The first line a program prints when asked for its version; false when it cannot be started. */
static bool first_line(const char *program, const char *option, char *line, size_t size)
{
  int pipe_fd[2], status = 0;
  pid_t pid;
  char *const argv[] = {(char *)(uintptr_t)program, (char *)(uintptr_t)option, NULL};
  posix_spawn_file_actions_t io;
  if (pipe(pipe_fd)) return false;
  posix_spawn_file_actions_init(&io);
  posix_spawn_file_actions_adddup2(&io, pipe_fd[1], 1);
  posix_spawn_file_actions_addopen(&io, 2, "/dev/null", 1, 0);
  posix_spawn_file_actions_addclose(&io, pipe_fd[0]);
  int bad = posix_spawnp(&pid, program, &io, NULL, argv, environ);
  posix_spawn_file_actions_destroy(&io);
  close(pipe_fd[1]);
  ssize_t n = 0;
  for (ssize_t got = 1; !bad && got > 0 && n < (ssize_t)size - 1; n += got > 0 ? got : 0) got = read(pipe_fd[0], line + n, size - 1 - (size_t)n);
  close(pipe_fd[0]);
  line[n] = 0;
  line[strcspn(line, "\r\n")] = 0;
  return !bad && waitpid(pid, &status, 0) == pid && *line;
}

static void programs(rows *r)
{
  static const struct { const char *name, *option, *without; } tools[] = {
      {"gnuplot", "--version", "not found: reports have no figures (install gnuplot-nox)"},
      {"ffmpeg", "-version", "not found: not needed yet"}};
  char line[128], shown[160];
  for (size_t i = 0; i < sizeof tools / sizeof *tools; i++) {
    bool found = first_line(tools[i].name, tools[i].option, line, sizeof line);
    put(r, tools[i].name, "%s", found ? dor_printable(line, shown, sizeof shown) : tools[i].without);
  }
}

static dor_status disk(rows *r)
{
  struct statvfs fs;
  dor_status s = dor_io_probe(".");

  if (s) put(r, "folder", "not writable: %s", dor_errmsg());
  else if (!statvfs(".", &fs)) put(r, "folder", "writable, %.1f GiB free", (double)fs.f_bavail * (double)fs.f_frsize / 1073741824.0);
  return s;
}

static dor_status run(dor_cli *c)
{
  dor_tree root = {.type = DOR_TREE_GROUP};
  rows r = {.a = &c->arena, .root = &root, .next = &root.first};
  put(&r, "dorsum", "%s %s (numerics %s)", DOR_VERSION, dor_git(), DOR_NUMERICS);
  libraries(&r);
  cpu(&r);
  devices(&r, c);
  programs(&r);
  dor_status s = disk(&r);
  if (c->json) {
    dor_str text = {0};
    dor_tree_json(&root, &text);
    dor_out_str(&text);
  } else
    for (const dor_tree *t = root.first; t; t = t->next) dor_out("%-10s %s\n", t->name, t->text);
  return s;
}

const dor_command dor_command_doctor = {
    .name = "doctor",
    .summary = "what this machine has, and what is missing",
    .usage = "",
    .options = "dJq",
    .examples = "  dorsum doctor\n  dorsum doctor --json\n",
    .text = "Versions of libraries, the CPU's extensions, programs that reports need, and whether this folder can be written.\n",
    .least = 0,
    .most = 0,
    .run = run};
