/* SPDX-License-Identifier: Apache-2.0
 *
 * The command line. Only this floor prints, exits and handles signals: data goes
 * to stdout, messages to stderr, the exit code is dor_status_exit() of what the
 * command returned. A command is one file, cmd_NAME.c, and one line of commands.def. */
#ifndef DOR_CLI_CLI_H
#define DOR_CLI_CLI_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/schema.h"
#include "base/status.h"
#include "base/str.h"

struct json_t;

typedef struct dor_cli { /* what was typed after the command's name */
  const struct dor_command *command;
  dor_arena arena;              /* lives as long as the command */
  const char *const *arg;       /* files and names, in order */
  int32_t n_arg;
  const char *const *assign;    /* key=value, in order */
  int32_t n_assign;
  const char *out, *arm, *device, *expect, *overlay;
  int64_t fold, seed;           /* -1: not given */
  int32_t jobs;                 /* 0: not given */
  bool force, dry_run, json, quiet, base, markdown, video;
  const char *const *argv;      /* all of it */
  int32_t argc;
} dor_cli;

typedef struct dor_command {
  const char *name, *summary;   /* one line */
  const char *usage;            /* "CONFIG [key=value ...]" */
  const char *options;          /* keys of dor_cli's options that it takes, e.g. "ojn" (main.c) */
  const char *examples;         /* a line each: what help begins with */
  const char *text;             /* what it does, writes and needs */
  int32_t least, most;          /* positional arguments; most < 0: any number */
  dor_status (*run)(dor_cli *c);
} dor_command;

#define COMMAND(name) extern const dor_command dor_command_##name;
#include "cli/commands.def"
#undef COMMAND
extern const dor_command *const dor_commands[]; /* NULL at the end */
const dor_command *dor_command_find(const char *name);
void dor_help_of(const dor_command *c, dor_str *out);
void dor_usage(dor_str *out); /* what `dorsum help` prints */

void dor_out(const char *fmt, ...) DOR_PRINTF(1, 2);                    /* data: stdout */
void dor_out_str(dor_str *s);                                          /* and releases it */
void dor_out_screen(const char *folder, dor_str *screen);              /* a run's first screen, with its name and path; likewise */
void dor_out_json(struct json_t *root);                                 /* likewise */
struct json_t *dor_json_text(const char *text);                        /* also of a path that is no UTF-8: its odd bytes as \xNN */
void dor_say(const dor_cli *c, const char *fmt, ...) DOR_PRINTF(2, 3);  /* messages: stderr, not with --quiet */
bool dor_colour(int fd);                                               /* a terminal, and NO_COLOR is not set */

/* Read key=value into obj (defaults first). errors CONFIG "command line: ..." */
DOR_MUST dor_status dor_cli_assigned(dor_cli *c, const dor_key *keys, void *obj);
/* --device as a backend that is open. `look`: nothing will run, so the CPU unless another is named, and "null" may be.
 * errors USAGE: no such name; UNSUPPORTED: no CUDA in this build, no driver, too old a one; DEVICE */
struct dor_backend;
DOR_MUST dor_status dor_cli_device(const dor_cli *c, bool look, const struct dor_backend **out);
/* --out, or a message that it is needed. */
DOR_MUST dor_status dor_cli_need_out(const dor_cli *c, const char *what);
/* Refuse a file or folder that is not there. errors USAGE */
DOR_MUST dor_status dor_cli_must_exist(const char *path);
/* Refuse a file that could not be written when its time comes: no such folder, or none that takes files; the path is a folder. errors USAGE, IO */
DOR_MUST dor_status dor_cli_can_write(const char *path);
/* Refuse to replace a file unless --force. */
DOR_MUST dor_status dor_cli_may_write(const dor_cli *c, const char *path);

#endif
