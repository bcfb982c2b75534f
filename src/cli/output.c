/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/output.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/cli.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool quiet, drawn; /* drawn: a redrawn line stands on the terminal */

bool dor_colour(int fd)
{
  const char *no = getenv("NO_COLOR");
  return isatty(fd) && !(no && *no);
}

/* Names and texts of foreign files come here too: what would steer a terminal is shown as \xNN. */
static void put_safely(FILE *to, const char *text, size_t n)
{
  size_t plain = 0;
  for (size_t i = 0; i < n; i++) {
    unsigned char c = (unsigned char)text[i];
    if ((c >= 32 && c != 127) || c == '\n' || c == '\t') continue;
    fwrite(text + plain, 1, i - plain, to);
    fprintf(to, "\\x%02x", c);
    plain = i + 1;
  }
  fwrite(text + plain, 1, n - plain, to);
}

static void erase(void)
{
  if (drawn) fputs("\r\033[K", stderr);
  drawn = false;
}

static void put_line(const char *before, const char *line)
{
  fputs(before, stderr);
  put_safely(stderr, line, strlen(line));
  fputs("\n", stderr);
}

static void log_line(void *to, dor_log_level level, const char *line)
{
  (void)to;
  if (quiet && level == DOR_LOG_NOTE) return;
  pthread_mutex_lock(&lock);
  erase();
  put_line(level == DOR_LOG_WARN ? "warning: " : "", line);
  pthread_mutex_unlock(&lock);
}

void dor_output_begin(void) { dor_log_install(log_line, NULL); }
void dor_output_quiet(bool q) { quiet = q; }

void dor_output_error(const char *message)
{
  bool colour = dor_colour(2);
  pthread_mutex_lock(&lock);
  erase();
  put_line(colour ? "\033[1;31mdorsum:\033[0m " : "dorsum: ", message);
  pthread_mutex_unlock(&lock);
}

bool dor_output_end(void)
{
  dor_output_redraw("");
  bool failed = fflush(stdout) || ferror(stdout);
  if (!failed || errno == EPIPE) return false; /* the reader has seen enough */
  dor_output_error("standard output: cannot write");
  return true;
}

bool dor_output_redraws(void) { return !quiet && isatty(2); }

void dor_output_redraw(const char *line)
{
  pthread_mutex_lock(&lock);
  erase();
  if (*line) {
    fputs(line, stderr);
    fflush(stderr);
    drawn = true;
  }
  pthread_mutex_unlock(&lock);
}

void dor_output_line(const char *line)
{
  if (quiet) return;
  pthread_mutex_lock(&lock);
  erase();
  put_line("", line);
  pthread_mutex_unlock(&lock);
}

void dor_out(const char *fmt, ...)
{
  va_list ap;
  va_start(ap, fmt);
  int n = vsnprintf(NULL, 0, fmt, ap);
  va_end(ap);
  char *text = n < 0 ? NULL : dor_calloc((size_t)n + 1, 1);
  va_start(ap, fmt);
  if (text) vsnprintf(text, (size_t)n + 1, fmt, ap), put_safely(stdout, text, (size_t)n);
  else dor_output_error("out of memory for the text");
  va_end(ap);
  dor_free(text);
}

void dor_out_str(dor_str *s)
{
  if (s->s) put_safely(stdout, s->s, s->n);
  if (s->failed) dor_output_error("out of memory for the text");
  dor_str_release(s);
}

json_t *dor_json_text(const char *text)
{
  char shown[4200];
  json_t *s = json_string(text);
  return s ? s : json_string(dor_printable(text, shown, sizeof shown));
}

void dor_out_json(json_t *root)
{
  char *text = root ? json_dumps(root, JSON_INDENT(1) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(17)) : NULL;
  if (text) dor_out("%s\n", text);
  else dor_output_error("out of memory for the text");
  free(text);
  json_decref(root);
}

/* ", run NAME" takes the place of as many spaces after the title; where there are too few it stands in a line before. */
static void put_title(const char *name, const char *screen)
{
  const char *gap = strstr(screen, "  "), *end = strchr(screen, '\n');
  int title = gap && end && gap < end ? (int)(gap - screen) : 0, more = (int)strlen(name) + 6;
  int room = title ? (int)strspn(gap, " ") : 0;
  if (room >= more + 2) dor_out("%.*s, run %s%.*s", title, screen, name, room - more, gap), screen += title + room;
  else dor_out("run %s\n", name);
  dor_out("%s", screen);
}

void dor_out_screen(const char *folder, dor_str *screen)
{
  const char *slash = strrchr(folder, '/');
  char shown[4200];
  if (screen->s && screen->n) {
    put_title(slash && slash[1] ? slash + 1 : folder, screen->s);
    dor_out("Check: dorsum verify %s\n", dor_printable(folder, shown, sizeof shown));
  }
  dor_str_release(screen);
}

void dor_say(const dor_cli *c, const char *fmt, ...)
{
  char line[2048];
  va_list ap;
  if (c->quiet) return;
  va_start(ap, fmt);
  vsnprintf(line, sizeof line, fmt, ap);
  va_end(ap);
  dor_output_line(line);
}

/* ---- what several commands need ---- */

dor_status dor_cli_assigned(dor_cli *c, const dor_key *keys, void *obj)
{
  dor_tree root = {.type = DOR_TREE_GROUP, .file = "command line"};
  for (int32_t i = 0; i < c->n_assign; i++) DOR_TRY(dor_tree_assign(&c->arena, &root, c->assign[i]));
  DOR_TRY(dor_schema_defaults(keys, obj, &c->arena));
  return dor_schema_load(keys, obj, &root, NULL, &c->arena);
}

dor_status dor_cli_need_out(const dor_cli *c, const char *what)
{
  DOR_NEED(c->out, USAGE, "dorsum %s: say where the %s goes: -o PATH", c->command->name, what);
  return DOR_OK;
}

dor_status dor_cli_must_exist(const char *path)
{
  char shown[512];
  DOR_NEED(dor_io_exists(path), USAGE, "%s: no such file or folder", dor_printable(path, shown, sizeof shown));
  return DOR_OK;
}

dor_status dor_cli_can_write(const char *path)
{
  dor_arena a = {0};
  char shown[512], why[512];
  const char *folder = dor_path_dir(&a, path);
  dor_printable(path, shown, sizeof shown);
  dor_status s = !folder ? DOR_FAIL(NOMEM, "a path") : dor_io_is_dir(path) ? DOR_FAIL(USAGE, "%s is a folder; a file is wanted", shown) : DOR_OK;
  if (!s && *folder && !dor_io_is_dir(folder)) s = DOR_FAIL(USAGE, "%s: no such folder as %s", shown, folder);
  if (!s && dor_io_probe(*folder ? folder : ".")) {
    snprintf(why, sizeof why, "%s", dor_errmsg());
    s = DOR_FAIL(IO, "%s: its folder takes no files: %s", shown, why);
  }
  dor_arena_release(&a);
  return s;
}

dor_status dor_cli_may_write(const dor_cli *c, const char *path)
{
  DOR_NEED(c->force || c->dry_run || !dor_io_exists(path), USAGE, "%s is there already; --force replaces it", path);
  return DOR_OK;
}
