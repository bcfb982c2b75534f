/* SPDX-License-Identifier: Apache-2.0
 *
 * `dorsum COMMAND ...`: finds the command, reads its options with argp, runs it,
 * and turns what it returned into a message and an exit code. */
#include "cli/cli.h"

#include <argp.h>
#include <errno.h>
#include <hdf5.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/version.h"
#include "cli/output.h"

enum { OPTION_JSON = 256, OPTION_SIZE, OPTION_USAGE, OPTION_BASE, OPTION_MARKDOWN, OPTION_VIDEO, OPTION_EXPECT, OPTION_OVERLAY };

/* Every option there is; a command takes those whose letter stands in its `options`. */
static const struct {
  char letter; /* in dor_command.options */
  struct argp_option o;
} options[] = {
    {'o', {"out", 'o', "PATH", 0, "where to write", 0}},
    {'a', {"arm", 'a', "NAME", 0, "this arm only", 0}},
    {'k', {"fold", 'k', "K", 0, "this fold only, from 1", 0}},
    {'s', {"seed", 's', "S", 0, "the cells of this seed only; seeds themselves are set by seeds=1,2,3", 0}},
    {'j', {"jobs", 'j', "N", 0, "cells side by side; default: all cores", 0}},
    {'d', {"device", 'd', "NAME", 0, "auto, cpu, cuda or cuda:N", 0}},
    {'z', {"size", OPTION_SIZE, "H,W", 0, "pictures are stored at this size", 0}},
    {'V', {"video", OPTION_VIDEO, NULL, 0, "as videos too", 0}},
    {'n', {"dry-run", 'n', NULL, 0, "say what would be done, and do none of it", 0}},
    {'f', {"force", 'f', NULL, 0, "replace what is there", 0}},
    {'b', {"base", OPTION_BASE, NULL, 0, "configs/base.cfg: every key with its default", 0}},
    {'m', {"markdown", OPTION_MARKDOWN, NULL, 0, "as Markdown, for docs/reference", 0}},
    {'x', {"expect", OPTION_EXPECT, "FIGURE=VALUE,...", 0, "exit code 4 when a figure is another one, in the digits given; also < and >", 0}},
    {'v', {"overlay", OPTION_OVERLAY, "DIR", 0, "draw what was found, and put it there", 0}},
    {'J', {"json", OPTION_JSON, NULL, 0, "print JSON", 0}},
    {'q', {"quiet", 'q', NULL, 0, "no messages but errors", 0}}};
enum { OPTIONS = sizeof options / sizeof *options };

typedef struct parse { /* while argp runs */
  dor_cli *cli;
  const char **arg, **assign;
} parse;

static bool is_assignment(const char *arg)
{
  size_t n = strspn(arg, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-");
  return n && arg[n] == '=' && arg[0] != '.' && arg[0] != '-';
}

static int64_t number(struct argp_state *state, const char *name, const char *text, int64_t least)
{
  int64_t x;
  if (dor_parse_int(text, &x) || x < least || x > INT32_MAX) argp_error(state, "--%s wants a whole number from %lld, got '%s'", name, (long long)least, text);
  return x;
}

static void take_argument(parse *p, const char *arg)
{
  dor_cli *c = p->cli;
  if (is_assignment(arg)) p->assign[c->n_assign++] = arg;
  else p->arg[c->n_arg++] = arg;
}

static void take_size(parse *p, const char *text)
{
  const char *assignment = dor_arena_fmt(&p->cli->arena, "size=%s", text);
  if (assignment) p->assign[p->cli->n_assign++] = assignment;
}

static void help_and_leave(const dor_command *command)
{
  dor_str s = {0};
  dor_help_of(command, &s);
  dor_out_str(&s);
  exit(dor_output_end() ? dor_status_exit(DOR_E_IO) : 0);
}

static error_t take(int key, char *arg, struct argp_state *state)
{
  parse *p = state->input;
  dor_cli *c = p->cli;
  switch (key) {
    case 'h': help_and_leave(c->command); break;
    case OPTION_USAGE: argp_state_help(state, stdout, ARGP_HELP_USAGE | ARGP_HELP_EXIT_OK); break;
    case 'o': c->out = arg; break;
    case 'a': c->arm = arg; break;
    case 'k': c->fold = number(state, "fold", arg, 1); break;
    case 's': c->seed = number(state, "seed", arg, 0); break;
    case 'j': c->jobs = (int32_t)number(state, "jobs", arg, 1); break;
    case 'd': c->device = arg; break;
    case 'n': c->dry_run = true; break;
    case 'f': c->force = true; break;
    case 'q': c->quiet = true; break;
    case OPTION_JSON: c->json = true; break;
    case OPTION_BASE: c->base = true; break;
    case OPTION_MARKDOWN: c->markdown = true; break;
    case OPTION_VIDEO: c->video = true; break;
    case OPTION_SIZE: take_size(p, arg); break;
    case OPTION_EXPECT: c->expect = arg; break;
    case OPTION_OVERLAY: c->overlay = arg; break;
    case ARGP_KEY_ARG: take_argument(p, arg); break;
    default: return ARGP_ERR_UNKNOWN;
  }
  return 0;
}

static void fill_options(const dor_command *c, struct argp_option out[OPTIONS + 3])
{
  int n = 0;
  for (int i = 0; i < OPTIONS; i++)
    if (strchr(c->options, options[i].letter)) out[n++] = options[i].o;
  out[n++] = (struct argp_option){"help", 'h', NULL, 0, "examples, then this list", -1};
  out[n++] = (struct argp_option){"usage", OPTION_USAGE, NULL, OPTION_HIDDEN, "", -1};
  out[n] = (struct argp_option){0};
}

void dor_help_of(const dor_command *c, dor_str *out)
{
  struct argp_option list[OPTIONS + 3];
  fill_options(c, list);
  dor_str_fmt(out, "dorsum %s: %s\n\nExamples:\n%s\nUsage: dorsum %s %s\n\n%s\n", c->name, c->summary, c->examples, c->name, c->usage, c->text);
  for (const struct argp_option *o = list; o->name; o++) {
    if (o->flags & OPTION_HIDDEN) continue;
    size_t from = out->n;
    if (o->key < 256) dor_str_fmt(out, "  -%c, --%s", o->key, o->name);
    else dor_str_fmt(out, "      --%s", o->name);
    if (o->arg) dor_str_fmt(out, " %s", o->arg);
    dor_str_fmt(out, "%*s%s\n", (int)(from + 24 > out->n ? from + 24 - out->n : 1), "", o->doc);
  }
}

static void parse_command(dor_cli *c, int argc, char **argv)
{
  struct argp_option list[OPTIONS + 3];
  parse p = {.cli = c};
  p.arg = dor_arena_alloc(&c->arena, (size_t)argc * sizeof *p.arg);
  p.assign = dor_arena_alloc(&c->arena, 2 * (size_t)argc * sizeof *p.assign);
  char *name = dor_arena_fmt(&c->arena, "dorsum %s", c->command->name);
  if (!p.arg || !p.assign || !name) {
    fputs("dorsum: out of memory\n", stderr);
    exit(dor_status_exit(DOR_E_NOMEM));
  }
  fill_options(c->command, list);
  struct argp argp = {.options = list, .parser = take, .args_doc = c->command->usage};
  argv[0] = name;
  argp_parse(&argp, argc, argv, ARGP_NO_HELP, NULL, &p);
  c->arg = p.arg, c->assign = p.assign;
}

static dor_status check_count(const dor_cli *c)
{
  const dor_command *m = c->command;
  bool fits = c->n_arg >= m->least && (m->most < 0 || c->n_arg <= m->most);
  DOR_NEED(fits, USAGE, "usage: dorsum %s %s  (dorsum %s --help shows examples)", m->name, m->usage, m->name);
  bool keys = strstr(m->usage, "key=value") != NULL;
  DOR_NEED(keys || !c->n_assign, USAGE, "dorsum %s takes no key=value, got '%s'", m->name, c->assign[0]);
  return DOR_OK;
}

static void print_version(void)
{
  unsigned major = 0, minor = 0, patch = 0;
  H5get_libversion(&major, &minor, &patch);
  dor_out("dorsum %s%s%s, HDF5 %u.%u.%u\n", DOR_VERSION, *dor_git() ? ", git " : "", dor_git(), major, minor, patch);
}

static dor_status no_command(const char *name)
{
  const char *names[64], *near;
  size_t n = 0;
  for (; dor_commands[n] && n < 64; n++) names[n] = dor_commands[n]->name;
  near = dor_nearest(name, names, n);
  if (near) return DOR_FAIL(USAGE, "no command '%s'; did you mean '%s'?", name, near);
  return DOR_FAIL(USAGE, "no command '%s'; dorsum help lists them", name);
}

/* What stands before a command: --help, --version, nothing. */
static dor_status without_command(const char *word)
{
  if (word && (!strcmp(word, "--version") || !strcmp(word, "-V"))) {
    print_version();
    return DOR_OK;
  }
  if (word && strcmp(word, "--help") && strcmp(word, "-h")) return DOR_FAIL(USAGE, "no option '%s' before a command; dorsum help", word);
  dor_str s = {0};
  dor_usage(&s);
  dor_out_str(&s);
  return word ? DOR_OK : DOR_FAIL(USAGE, "a command is wanted");
}

static dor_status dispatch(int argc, char **argv)
{
  if (argc < 2 || argv[1][0] == '-') return without_command(argc < 2 ? NULL : argv[1]);
  dor_cli c = {.fold = -1, .seed = -1, .argc = argc};
  const char **all = dor_arena_alloc(&c.arena, (size_t)argc * sizeof *all);
  DOR_NEED(all, NOMEM, "out of memory");
  for (int i = 0; i < argc; i++) all[i] = argv[i];
  c.argv = all;
  c.command = dor_command_find(argv[1]);
  if (!c.command) return no_command(argv[1]);
  parse_command(&c, argc - 1, argv + 1);
  dor_output_quiet(c.quiet);
  dor_status s = check_count(&c);
  if (!s) s = c.command->run(&c);
  dor_arena_release(&c.arena);
  return s;
}

int main(int argc, char **argv)
{
  argp_err_exit_status = dor_status_exit(DOR_E_USAGE);
  signal(SIGPIPE, SIG_IGN);                               /* a closed pipe is an error of a write, not a death */
  signal(SIGXFSZ, SIG_IGN);                               /* likewise a file over ulimit -f */
  setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});         /* a core file would hold patients' data */
  dor_output_begin();
  dor_status s = dispatch(argc, argv);
  if (s) dor_output_error(dor_errmsg());
  if (dor_output_end() && !s) s = DOR_E_IO;
  return dor_status_exit(s);
}
