/* SPDX-License-Identifier: Apache-2.0
 *
 * COCO files: what they say, what is refused and how it is named, masks as
 * pycocotools paints them (its figures stand here), keypoint sets. */
#include "tests/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "data/coco.h"
#include "data/keypoints.h"

#define IMAGE(id, file, h, w) "{\"id\": " id ", \"file_name\": \"" file "\", \"height\": " h ", \"width\": " w "}"
#define HEAD "{\"images\": [" IMAGE("7", "a.jpg", "4", "6") ", " IMAGE("3", "b/c.jpg", "5", "5") "],\n"
#define KINDS \
  "\"categories\": [{\"id\": 1, \"name\": \"person\", \"keypoints\": [\"C7\", \"S1\"], \"skeleton\": [[1, 2]]}, " \
  "{\"id\": 2, \"name\": \"chair\"}],\n"
#define LIST(...) HEAD KINDS "\"annotations\": [" __VA_ARGS__ "]}"
#define AT7 "\"image_id\": 7, \"category_id\": 1, "
#define PERSON AT7 "\"iscrowd\": 0, \"area\": 12.5, \"bbox\": [1, 1, 4, 2], \"num_keypoints\": 1, \"keypoints\": [1, 2, 2, 0, 0, 0]"

static dor_status parse(dor_coco *c, const char *text) { return dor_coco_parse(c, "x.json", text, strlen(text)); }

TEST(coco_reads_the_official_layout)
{
  dor_coco c;
  OK(parse(&c, LIST("{\"id\": 900100581904, " PERSON ", \"segmentation\": [[1, 1, 5, 1, 5, 3]]},"
                    "{\"id\": 4, \"image_id\": 3, \"category_id\": 2},"
                    "{\"id\": 5, \"image_id\": 7, \"category_id\": 1, \"iscrowd\": 1, \"keypoints\": [0, 0, 0, 0, 0, 0], "
                    "\"segmentation\": {\"size\": [4, 6], \"counts\": [3, 5, 16]}}")));
  CHECK(c.n_images == 2 && c.n_categories == 2 && c.n_annotations == 3, "%d images, %d annotations", c.n_images, c.n_annotations);
  CHECK(c.category[0].k == 2 && !strcmp(c.category[0].joint[1], "S1") && c.category[0].bone[0][1] == 1 && c.category[1].k == 0, "categories");
  const dor_coco_annotation *p = &c.annotation[0];
  CHECK(p->id == 900100581904 && p->image == 0 && p->n_labelled == 1 && p->area == 12.5 && p->bbox[2] == 4 && p->keypoint[2] == 2, "the person");
  CHECK(p->segment.n_polygons == 1 && p->segment.polygon[0].n == 3 && p->segment.polygon[0].xy[4] == 5, "its outline");
  CHECK(c.annotation[1].keypoint == NULL && isnan(c.annotation[1].area) && isnan(c.annotation[1].bbox[0]), "a chair has none of these");
  CHECK(c.annotation[2].crowd && c.annotation[2].segment.n_runs == 3 && c.annotation[2].n_labelled == 0, "the crowd");
  CHECK(c.image[0].count == 2 && c.of_image[c.image[0].first + 1] == 2 && c.image[1].count == 1, "annotations by image");
  CHECK(dor_coco_find_image(&c, 3) == 1 && dor_coco_find_image(&c, 4) == -1, "images by id");
  int32_t kind = -1;
  OK(dor_coco_person(&c, NULL, &kind));
  CHECK(kind == 0 && dor_coco_person(&c, "chair", &kind) == DOR_E_DATA, "the category with keypoints is %d", kind);
  uint8_t mask[24];
  OK(dor_coco_ignored(&c, 0, mask));
  int n = 0;
  for (int i = 0; i < 24; i++) n += mask[i];
  CHECK(n == 5 && mask[3 * 6] && mask[1] && mask[6 + 1] && mask[2 * 6 + 1] && mask[3 * 6 + 1], "the crowd covers %d pixels, down the columns", n);
  dor_coco_release(&c);
}

#define ONLY(file, h, w) "{\"images\": [" IMAGE("7", file, h, w) "], \"annotations\": [], \"categories\": []}"

static const struct { const char *text, *says; } refused[] = {
    {"[]", "x.json: no COCO annotations"},
    {"{", "x.json:1: byte 1: "},
    {"{\"images\": [], \"annotations\": [}", "x.json:1: byte 32: "},
    {HEAD KINDS "\"annotations\": 3}", "x.json: no list 'annotations'"},
    {HEAD "\"annotations\": []}", "x.json: no list 'categories'"},
    {LIST("{\"id\": 1}"), "x.json: annotations[0] (id 1): no 'image_id'"},
    {LIST("{\"id\": 1, \"image_id\": 8, \"category_id\": 1}"), "x.json: annotations[0] (id 1): no image has id 8"},
    {LIST("{\"id\": 1, \"image_id\": 7, \"category_id\": 9}"), "x.json: annotations[0] (id 1): no category has id 9"},
    {LIST("{\"id\": 1, " PERSON "}, {\"id\": 1, " PERSON "}"), "x.json: annotations[1] (id 1): 'annotations' has this id already"},
    {LIST("{\"id\": 1, " AT7 "\"keypoints\": [1, 2, 2]}"), "3 numbers of keypoints; 'person' has 2 keypoints: wanted 6"},
    {LIST("{\"id\": 1, " AT7 "\"keypoints\": [1, 2, 3, 0, 0, 0]}"), "visibility 3 of 'C7', wanted 0, 1 or 2"},
    {LIST("{\"id\": 1, \"image_id\": 7, \"category_id\": 1}"), "'keypoints' wants an array of numbers"},
    {LIST("{\"id\": 1, " AT7 "\"keypoints\": [1, \"2\", 2, 0, 0, 0]}"), "'keypoints'[1] is no finite number"},
    {LIST("{\"id\": 1, " AT7 "\"keypoints\": [1, NaN, 2, 0, 0, 0]}"), "x.json:3: "},
    {LIST("{\"id\": 1, " AT7 "\"keypoints\": [1, 1e999, 2, 0, 0, 0]}"), "x.json:3: "},
    {LIST("{\"id\": 1, " PERSON ", \"segmentation\": [[1, 1, 5, 1]]}"), "'segmentation'[0] has 4 numbers; a polygon is three corners or more"},
    {LIST("{\"id\": 1, " PERSON ", \"segmentation\": [[1, 1, 5, 1, 2e5, 3]]}"), "'segmentation'[0]: a corner at 200000 pixels"},
    {LIST("{\"id\": 1, " PERSON ", \"segmentation\": {\"size\": [6, 4], \"counts\": [24]}}"),
     "the 'size' of its segmentation is not that of its image, [4, 6]"},
    {LIST("{\"id\": 1, " PERSON ", \"segmentation\": {\"size\": [4, 6], \"counts\": [25]}}"), "'counts'[0] does not fit into 4 x 6 pixels"},
    {LIST("{\"id\": 1, " PERSON ", \"segmentation\": {\"size\": [4, 6], \"counts\": [3, 4]}}"), "'counts' sum to 7 pixels, the image has 24"},
    {LIST("{\"id\": 1, " PERSON ", \"segmentation\": {\"size\": [4, 6], \"counts\": \"h\\u0001\"}}"), "annotations[0] (id 1): counts: a character"},
    {LIST("{\"id\": 1, " PERSON ", \"segmentation\": {\"size\": [4, 6], \"counts\": \"3\"}}"), "annotations[0] (id 1): counts: the runs sum to 3 pixels"},
    {LIST("{\"id\": 1, " PERSON ", \"num_keypoints\": 2}"), "x.json:3: "}, /* the key stands there twice */
    {ONLY("../a.jpg", "4", "6"), "leaves the picture folder"},
    {ONLY("a.jpg", "4", "0"), "'width' is 0, wanted 1 to 16384"},
    {ONLY("a.jpg", "4.5", "1"), "'height' wants a whole number"},
};

TEST(coco_refuses_what_it_cannot_place)
{
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
    dor_coco c;
    dor_status s = parse(&c, refused[i].text);
    CHECK(s == DOR_E_DATA, "%s: status %d", refused[i].says, s);
    CHECK(s && strstr(dor_errmsg(), refused[i].says), "'%s' wanted, '%s' said", refused[i].says, dor_errmsg());
    if (!s) dor_coco_release(&c);
  }
  dor_coco c;
  OK(parse(&c, LIST("{\"id\": 1, " PERSON "}")));
  CHECK(dor_coco_check_pictures(&c, test_folder("coco_none")) == DOR_E_NOTFOUND && strstr(dor_errmsg(), "image 7: no picture 'a.jpg'") &&
            strstr(dor_errmsg(), "1 of its pictures is missing"), "%s", dor_errmsg());
  dor_coco_release(&c);
}

TEST(coco_results_are_held_against_their_truth)
{
  dor_coco c;
  dor_coco_results r;
  OK(parse(&c, LIST("{\"id\": 1, " PERSON "}")));
  const char *good = "[{\"image_id\": 3, \"category_id\": 1, \"keypoints\": [4, 2, 0.5, 1, 7, 0.25], \"score\": 0.75}]";
  OK(dor_coco_results_parse(&r, "r.json", good, strlen(good), &c));
  CHECK(r.n == 1 && r.at[0].image == 1 && r.at[0].score == 0.75 && r.at[0].area == 15 && r.at[0].bbox[0] == 1 && r.at[0].bbox[3] == 5, "the detection");
  dor_coco_results_release(&r);
  static const struct { const char *text, *says; } bad[] = {
      {"{}", "r.json: no COCO results"},
      {"[{\"image_id\": 9, \"category_id\": 1, \"keypoints\": [], \"score\": 1}]", "r.json: [0]: no image of x.json has id 9"},
      {"[{\"image_id\": 3, \"category_id\": 1, \"keypoints\": [1, 2, 3], \"score\": 1}]", "[0]: 3 numbers of keypoints; 'person' has 2 keypoints: wanted 6"},
      {"[{\"image_id\": 3, \"category_id\": 2, \"keypoints\": [], \"score\": 1}]", "category 'chair' of x.json has no keypoints"},
      {"[{\"image_id\": 3, \"category_id\": 1, \"keypoints\": [1, 2, 3, 4, 5, 6]}]", "[0]: no 'score'"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    CHECK(dor_coco_results_parse(&r, "r.json", bad[i].text, strlen(bad[i].text), &c) == DOR_E_DATA && strstr(dor_errmsg(), bad[i].says),
          "'%s' wanted, '%s' said",
          bad[i].says, dor_errmsg());
  dor_coco_release(&c);
}

/* ---- masks ---- */

static double corner(uint64_t i) /* -10.00 .. 109.99 */
{
  uint64_t z = i * 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return (double)((int64_t)((z ^ (z >> 31)) % 12000) - 1000) / 100;
}

static uint64_t fnv(const uint8_t *p, size_t n)
{
  uint64_t h = 0xcbf29ce484222325u;
  for (size_t i = 0; i < n; i++) h = (h ^ p[i]) * 0x100000001b3u;
  return h;
}

/* pycocotools 2.0.8: polygons whose corners are corner(100 k + 1), corner(100 k + 2), ... on 83 x 97 pixels: area, FNV-1a of the bytes. */
static const struct { int corners; int64_t area; uint64_t hash; } painted[] = {
#include "tests/unit/coco_masks.inc"
};

TEST(coco_polygons_are_painted_as_pycocotools_does)
{
  enum { H = 83, W = 97 };
  for (size_t k = 0; k < sizeof painted / sizeof *painted; k++) {
    uint8_t mask[H * W] = {0};
    double xy[64];
    int64_t area = 0;
    for (int i = 0; i < 2 * painted[k].corners; i++) xy[i] = corner(100 * k + (uint64_t)i + 1);
    OK(dor_polygon_paint(&(dor_polygon){painted[k].corners, xy}, H, W, mask));
    for (int i = 0; i < H * W; i++) area += mask[i];
    CHECK(area == painted[k].area && fnv(mask, sizeof mask) == painted[k].hash, "polygon %zu: %lld pixels, wanted %lld", k, (long long)area,
          (long long)painted[k].area);
  }
}

TEST(coco_rle_texts_are_decoded_as_pycocotools_does)
{
  dor_arena a = {0};
  const uint32_t *run;
  int32_t n;
  static const uint32_t want[] = {6, 1, 40, 4, 5, 4, 5, 4, 21}; /* pycocotools' test: a 9 x 10 mask */
  OK(dor_rle_decode(&a, "61X13mN000`0", 9, 10, &run, &n));
  CHECK(n == 9, "%d runs", n);
  for (int i = 0; i < 9 && i < n; i++) CHECK(run[i] == want[i], "run %d is %u, wanted %u", i, run[i], want[i]);
  static const char *const bad[] = {"61X13mN000", "61X13mN000`0000", "6 1", "n000", "oooooooooooo"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) CHECK(dor_rle_decode(&a, bad[i], 9, 10, &run, &n) == DOR_E_DATA, "'%s' was taken", bad[i]);
  dor_arena_release(&a);
}

/* pycocotools: pixels of the 14 people of the fixture */
static const int64_t people[] = {
#include "tests/unit/coco_people.inc"
};

TEST(coco_fixture_is_read_and_painted)
{
  const char *path = test_shared("coco_kp_fixture/test_coco.json");
  if (!path) SKIP("1 test skipped: the COCO fixture is not here");
  dor_coco c;
  OK(dor_coco_read(&c, path));
  CHECK(c.n_images == 4 && c.n_annotations == 14 && c.category[0].k == 17 && c.category[0].n_bones == 19, "%d images, %d people", c.n_images, c.n_annotations);
  int unlabelled = 0;
  for (int32_t i = 0; i < c.n_annotations; i++) {
    const dor_coco_annotation *p = &c.annotation[i];
    const dor_coco_image *im = &c.image[p->image];
    uint8_t *mask = dor_calloc((size_t)im->h, (size_t)im->w);
    int64_t area = 0;
    OK(dor_segment_paint(&p->segment, im->h, im->w, mask));
    for (int32_t k = 0; k < im->h * im->w; k++) area += mask[k];
    CHECK(area == people[i], "person %d: %lld pixels, wanted %lld", i, (long long)area, (long long)people[i]);
    unlabelled += p->n_labelled == 0;
    dor_free(mask);
  }
  CHECK(unlabelled == 2, "%d people without joints", unlabelled);
  dor_keypoints k;
  OK(dor_keypoints_named(&c.arena, "coco17", &k));
  OK(dor_keypoints_check(&k, &c, 0));
  dor_coco_release(&c);
}

/* ---- keypoint sets ---- */

/* Names decide: in another order the weights would carry wrong ones for ever. */
TEST(keypoint_sets_are_held_against_the_names_of_a_file)
{
  static const char *const turned[] = {"S1", "C7"}, *const other[] = {"C7", "sacrum"}, *const styled[] = {"c7", "s1"};
  const int32_t none[2] = {0, 1};
  dor_coco c;
  dor_keypoints k = {.name = "custom", .k = 2, .mirror = none, .joint = turned};
  OK(parse(&c, LIST("{\"id\": 1, " PERSON "}")));
  CHECK(dor_keypoints_check(&k, &c, 0) == DOR_E_DATA && strstr(dor_errmsg(), "x.json: the keypoints are in another order") &&
        strstr(dor_errmsg(), "1 is 'C7', not 'S1', 2 is 'S1', not 'C7'") && strstr(dor_errmsg(), "keypoints.rename"), "%s", dor_errmsg());
  k.joint = other;
  CHECK(dor_keypoints_check(&k, &c, 0) == DOR_E_DATA && strstr(dor_errmsg(), "called otherwise") && strstr(dor_errmsg(), "2 is 'S1', not 'sacrum'"), "%s",
        dor_errmsg());
  k.rename = true;
  OK(dor_keypoints_check(&k, &c, 0));
  k.joint = styled, k.rename = false;
  OK(dor_keypoints_check(&k, &c, 0));
  dor_coco_release(&c);
}

TEST(keypoint_sets_mirror_left_and_right)
{
  dor_arena a = {0};
  dor_keypoints k;
  static const int32_t coco[17] = {0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15};
  static const int32_t crowd[14] = {1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 12, 13};
  static const int32_t order[17] = {0, 1, 2, 3, 4, 5, 6, 11, 12, 7, 8, 9, 10, 13, 14, 15, 16};
  OK(dor_keypoints_named(&a, "coco17", &k));
  CHECK(k.k == 17 && !memcmp(k.mirror, coco, sizeof coco) && !memcmp(k.order, order, sizeof order) && k.n_bones == 19 && k.sigma[11] == 0.107, "coco17");
  OK(dor_keypoints_named(&a, "crowdpose14", &k));
  CHECK(k.k == 14 && !memcmp(k.mirror, crowd, sizeof crowd), "crowdpose14");
  CHECK(!memcmp(k.order, order, 14 * sizeof *order), "joints of crowdpose14 are grouped in another order than the authors'");
  CHECK(dor_keypoints_named(&a, "coco16", &k) == DOR_E_CONFIG && strstr(dor_errmsg(), "did you mean 'coco17'"), "%s", dor_errmsg());
  dor_arena_release(&a);
}

TEST(keypoint_sets_come_from_a_config)
{
  static const char *const names[] = {"C7", "T12", "L1", "S1", "elbow_r", "elbow_l"}, *const pairs[] = {"elbow_r:elbow_l"};
  static const char *const bones[] = {"C7:T12", "T12:L1"}, *const wrong[] = {"C7:T13"};
  dor_arena a = {0};
  dor_keypoints k;
  dor_keypoints_cfg c = {.set = "custom", .names = {6, names}, .mirror = {1, pairs}, .bones = {2, bones}};
  OK(dor_keypoints_make(&a, &c, NULL, &k));
  CHECK(k.k == 6 && k.mirror[0] == 0 && k.mirror[4] == 5 && k.mirror[5] == 4, "names and pairs");
  CHECK(k.bone[1][1] == 2 && k.sigma[3] == 0.05 && k.order[5] == 5, "bones, sigmas and order");
  c.bones = (dor_texts){1, wrong};
  CHECK(dor_keypoints_make(&a, &c, NULL, &k) == DOR_E_CONFIG && strstr(dor_errmsg(), "'C7:T13' names a keypoint that is not in the set"), "%s", dor_errmsg());
  c.set = "coco17";
  CHECK(dor_keypoints_make(&a, &c, NULL, &k) == DOR_E_CONFIG, "names beside a known set were taken");
  dor_arena_release(&a);
}
