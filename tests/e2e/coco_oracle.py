# SPDX-License-Identifier: Apache-2.0
# The people and detections of tests/unit/keypoint_set.c as COCO files, and what pycocotools makes of them.
#   coco_oracle.py FOLDER SEED     writes FOLDER/gt.json, dt.json and prints the ten figures, one a line, full precision
# SEED 0 is the set whose figures stand in tests/unit/keypoint.c; others begin the draws elsewhere.
import contextlib, io, json, math, sys

MASK, K = (1 << 64) - 1, 17


class Draws:
    def __init__(self, seed):
        self.n = seed << 32

    def u(self):
        self.n += 1
        z = self.n * 0x9E3779B97F4A7C15 & MASK
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & MASK
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB & MASK
        return float((z ^ (z >> 31)) >> 40) / 16777216.0

    def below(self, n):
        return int(math.floor(self.u() * n))


def make(seed, images=40):
    r, people, found = Draws(seed), [], []

    def detect(image, joint, cx, cy, side):
        by, at = [0, 0.0625, 0.125, 0.25][r.below(4)] * side, []
        for k in range(K):
            draw = [r.u() - 0.5 for _ in range(4)]
            known = joint is not None and joint[3 * k + 2] > 0
            at.append((joint[3 * k] if known else cx + side * draw[0]) + by * draw[2])
            at.append((joint[3 * k + 1] if known else cy + side * draw[1]) + by * draw[3])
            at.append(1)
        score = r.u() if image % 2 else r.below(5) / 4.0
        found.append({"image_id": image + 1, "category_id": 1, "keypoints": at, "score": score})

    def person(image):
        side = [20.0, 64.0, 144.0, 288.0][r.below(4)]
        cx, cy = 640 * r.u(), 480 * r.u()
        bare, crowd, joint = r.u() < 0.125, r.u() < 0.125, []
        for _ in range(K):
            seen = 0 if bare else r.below(3)
            x, y = math.floor(cx + side * (r.u() - 0.5)), math.floor(cy + side * (r.u() - 0.5))
            joint += [x, y, seen] if seen else [0, 0, 0]
        area = 1024.0 if r.u() < 0.125 else side * side * (0.5 + r.u() / 4)
        people.append({"id": len(people) + 1, "image_id": image + 1, "category_id": 1, "keypoints": joint, "iscrowd": int(crowd), "area": area,
                       "num_keypoints": sum(v > 0 for v in joint[2::3]), "bbox": [cx - side / 2, cy - side / 2, side, side]})
        for _ in range(25 if r.u() < 0.03125 else r.below(3)):
            detect(image, joint, cx, cy, side)

    for image in range(images):
        for _ in range(r.below(6)):
            person(image)
        if r.below(2):
            cx, cy = 640 * r.u(), 480 * r.u()
            detect(image, None, cx, cy, 100.0)
    names = ["joint_%d" % k for k in range(K)]
    truth = {"info": {"synthetic": True}, "images": [{"id": i + 1, "file_name": "%d.jpg" % i, "width": 640, "height": 480} for i in range(images)],
             "annotations": people, "categories": [{"id": 1, "name": "person", "keypoints": names, "skeleton": []}]}
    return truth, found


folder, seed = sys.argv[1], int(sys.argv[2])
truth, found = make(seed)
for name, what in (("gt", truth), ("dt", found)):
    with open("%s/%s.json" % (folder, name), "w") as f:
        json.dump(what, f)
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

with contextlib.redirect_stdout(io.StringIO()):
    g = COCO(folder + "/gt.json")
    e = COCOeval(g, g.loadRes(folder + "/dt.json"), "keypoints")
    e.evaluate(), e.accumulate(), e.summarize()
print("\n".join("nan" if v == -1 else repr(float(v)) for v in e.stats))
