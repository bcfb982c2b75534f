/* SPDX-License-Identifier: Apache-2.0
 *
 * import csv: rows become people, cells numbers or missing, ids pseudonyms; what
 * is wrong in a table or config is named by file, line and column. */
#include "tests/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "data/import.h"

static char folder[512];

static const char *put(const char *name, const char *text)
{
  static char path[8][1024];
  static int turn;
  turn = (turn + 1) % 8;
  snprintf(folder, sizeof folder, "%s", test_folder("import_csv"));
  snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
  if (dor_io_write(path[turn], text, strlen(text))) abort();
  return path[turn];
}

static dor_status import(const char *config, dor_dataset *d)
{
  dor_arena a = {0};
  dor_import_cfg c;
  char out[1024];
  OK(dor_schema_defaults(dor_import_keys, &c, &a));
  const char *src = put("c.cfg", config);
  snprintf(out, sizeof out, "%s/out.h5", folder);
  dor_status s = dor_import("csv", src, out, &c, false, NULL);
  if (!s && d) OK(dor_dataset_read(d, out));
  dor_arena_release(&a);
  return s;
}

static const char people[] = "record_id,age,sex,site,odi,nrs,class,extra\n"
                             "b7,31,f,Cardiff,22,4,MCI,1.5\na2,,m,Cardiff,NA,-99,MI,2\nc9,58.5,f,Leeds,40,7,,-3e-1\n";
static const char config[] =
  "name = \"t\"; license = \"none\"; ids = \"keep\";\n"
  "people = { table = \"p.csv\"; subject = \"record_id\"; age = \"age\"; sex = \"sex\"; site = \"site\"; };\n"
  "labels = { table = \"p.csv\"; subject = \"record_id\"; targets = ( { name = \"class\"; classes = [\"MI\", \"MCI\"]; } ); };\n"
  "proms = { table = \"p.csv\"; subject = \"record_id\"; missing = [\"NA\", \"-99\"]; columns = [\"odi\", \"nrs\"]; };\n"
  "features = { table = \"o.csv\"; subject = \"record_id\"; columns = [\"x\"]; };\n";

TEST(import_csv_takes_what_the_config_names)
{
  (void)state;
  dor_dataset d;
  put("p.csv", people);
  put("o.csv", "record_id,x\na2,1\nb7,2\na2,3\nnew,4\n");
  OK(import(config, &d));
  CHECK(d.n_subjects == 4 && !strcmp(d.id[0], "b7") && !strcmp(d.id[1], "a2") && !strcmp(d.id[3], "new"), "subjects in order of first appearance");
  CHECK(d.age[0] == 31 && isnan(d.age[1]) && d.age[2] == 58.5f && isnan(d.age[3]), "ages");
  CHECK(!strcmp(d.site[2], "Leeds") && !d.site[3][0] && !strcmp(d.sex[1], "m"), "texts");
  const dor_target *t = dor_dataset_target(&d, "class");
  CHECK(t && t->value[0] == 1 && t->value[1] == 0 && isnan(t->value[2]) && isnan(t->value[3]), "labels");
  CHECK(d.proms.n == 3 && d.proms.values[0] == 22 && isnan(d.proms.values[2]) && isnan(d.proms.values[3]) && d.proms.values[4] == 40, "proms");
  CHECK(d.n_tables == 1 && d.tables[0].n == 4 && d.tables[0].subject[0] == 1 && d.tables[0].subject[2] == 1 && d.tables[0].values[3] == 4,
      "a row per observation");
  dor_dataset_release(&d);
}

TEST(import_csv_ids_become_pseudonyms)
{
  (void)state;
  dor_dataset d, again;
  char text[4096], path[1024], *map;
  size_t n;
  put("p.csv", people);
  put("o.csv", "record_id,x\na2,1\n");
  snprintf(text, sizeof text, "%s", config);
  memcpy(strstr(text, "\"keep\""), "\"pseudonymise\"; #", 17);
  snprintf(text, sizeof text, "name = \"t\";\n%s", strchr(config, '\n'));
  OK(import(text, &d));
  OK(import(text, &again));
  for (int i = 0; i < 3; i++) CHECK(d.id[i][0] == 's' && strlen(d.id[i]) == 13 && !strcmp(d.id[i], again.id[i]), "pseudonym %d: %s, %s", i, d.id[i],
      again.id[i]);
  struct stat st;
  snprintf(path, sizeof path, "%s/c.cfg.private.csv", folder);
  REQUIRE(!stat(path, &st), "no mapping");
  CHECK((st.st_mode & 0777) == 0600, "mode %o", st.st_mode & 0777);
  OK(dor_io_read(path, 4096, &map, &n));
  CHECK(strstr(map, "b7") && strstr(map, d.id[0]), "the mapping names both");
  dor_free(map);
  snprintf(path, sizeof path, "%s/out.h5", folder);
  OK(dor_io_read(path, 1 << 20, &map, &n));
  CHECK(!memmem(map, n, "record_id", 9) && !memmem(map, n, "b7\0", 3), "an id stands in the dataset");
  dor_free(map);
  dor_dataset_release(&d);
  dor_dataset_release(&again);
}

static void refused(const char *p, const char *cfg, dor_status want, const char *text)
{
  put("p.csv", p);
  put("o.csv", "record_id,x\na2,1\n");
  dor_status s = import(cfg, NULL);
  CHECK(s == want && strstr(dor_errmsg(), text), "status %d, '%s' does not say '%s'", s, dor_errmsg(), text);
}

#define LABELS(rest) "ids = \"keep\";\nlabels = { table = \"p.csv\"; " rest " };\n"

TEST(import_csv_errors_name_the_place)
{
  (void)state;
  refused("id,class\n1,MI\n1,MCI\n", LABELS("subject = \"id\"; targets = ( { name = \"class\"; classes = [\"MI\", \"MCI\"]; } );"), DOR_E_DATA,
      "p.csv:3: class is not what line 2 says");
  refused("id,class\n1,MI\n2,NCI\n", LABELS("subject = \"id\"; targets = ( { name = \"class\"; classes = [\"MI\", \"MCI\"]; } );"), DOR_E_DATA,
      "p.csv:3: class: 'NCI' is none of its 2 classes");
  refused("id,class\n,MI\n", LABELS("subject = \"id\"; targets = ( { name = \"class\"; classes = [\"MI\", \"MCI\"]; } );"), DOR_E_DATA,
      "p.csv:2: id is empty");
  refused("id,class\np1,MI\n\"p1 \",MI\n", LABELS("subject = \"id\"; targets = ( { name = \"class\"; classes = [\"MI\", \"MCI\"]; } );"), DOR_E_DATA,
      "p.csv:3: id begins or ends with a blank");
  refused("id,class\np1,MI\n ,MI\n", LABELS("subject = \"id\"; targets = ( { name = \"class\"; classes = [\"MI\", \"MCI\"]; } );"), DOR_E_DATA,
      "p.csv:3: id begins or ends with a blank");
  char longest[1200];
  snprintf(longest, sizeof longest, "id,class\n%01025d,MI\n", 1);
  refused(longest, LABELS("subject = \"id\"; targets = ( { name = \"class\"; classes = [\"MI\", \"MCI\"]; } );"), DOR_E_DATA,
      "p.csv:2: id is longer than 1024 bytes");
  refused("id,clas\n1,MI\n", LABELS("subject = \"id\"; targets = ( { name = \"class\"; classes = [\"MI\", \"MCI\"]; } );"), DOR_E_DATA, "clas");
  refused("id,x\n1,2\n", "features = { table = \"p.csv\";\n columns = [\"x\", \"x\"]; };", DOR_E_CONFIG, "c.cfg:2: 'columns' names 'x' twice");
  refused("id,class\np1,MI\n", LABELS("subject = \"id\"; targets = ( { name = \"class\"; classes = [\"MI\", \"MI\"]; } );"), DOR_E_CONFIG,
      "c.cfg:2: 'classes' names 'MI' twice");
  refused("id,class\np1,MI\n", LABELS("subject = \"id\"; targets = ( { name = \"class\"; classes = [\"MI\", \"MCI\"]; },\n"
      "{ name = \"class\"; classes = [\"MI\", \"MCI\"]; } );"), DOR_E_CONFIG, "c.cfg:3: target 'class' is there already");
  refused("id,x\n1,two\n", "features = { table = \"p.csv\"; columns = [\"x\"]; };", DOR_E_DATA, "p.csv:2");
  refused("id,x\n1,1e300\n", "features = { table = \"p.csv\"; columns = [\"x\"]; };", DOR_E_DATA, "too large");
  refused("id,x\n1,2\n",
      "features = { table = \"p.csv\"; columns = [\"x\"]; };\nlabels = { table = \"o.csv\"; subject = \"record_id\"; targets = ( { name = \"x\"; classes = "
      "[\"1\", \"2\"]; } ); };", DOR_E_CONFIG, "all or in none");
  refused("id,x\n1,2\n3,4\n",
      "features = { table = \"p.csv\"; columns = [\"x\"]; };\nlabels = { table = \"o.csv\"; targets = ( { name = \"x\"; classes = [\"1\", \"2\"]; } ); };",
      DOR_E_DATA, "row must stand beside row");
  refused("id,x\n", "\nfeatures = { tabel = \"p.csv\"; };", DOR_E_CONFIG, "c.cfg:2");
  refused("id,x\n1,2\n", "\n\nproms = { table = \"p.csv\"; dictionary = \"d.csv\"; };", DOR_E_CONFIG, "c.cfg:3: proms.'dictionary' does not exist yet");
  refused("id,x\n1,2\n", LABELS("targets = ( { name = \"x\"; raters = [\"a\"]; } );"), DOR_E_CONFIG, "raters");
}

TEST(import_csv_refuses_the_cohort_of_videos)
{
  (void)state;
  const char *path = test_shared("../design/configs/cohort.cfg");
  if (!path) SKIP("1 config skipped: ../shared is not here");
  dor_arena a = {0};
  dor_import_cfg c;
  OK(dor_schema_defaults(dor_import_keys, &c, &a));
  CHECK(dor_import("csv", path, "unused.h5", &c, true, NULL) == DOR_E_CONFIG, "accepted");
  CHECK(strstr(dor_errmsg(), "cohort.cfg:6: videos.'background' does not exist yet"), "%s", dor_errmsg());
  dor_arena_release(&a);
}
