# SPDX-License-Identifier: Apache-2.0
# Inputs of tests/e2e/pose.sh and pose_video.sh, with Python's standard library alone: weights of a small HigherHRNet, by the names and shapes that
# `dorsum describe` prints (standard input), and pictures.
#   pose_inputs.py FOLDER [WEIGHTS...]
import json, random, re, struct, sys, zlib

folder, draw = sys.argv[1], random.Random(1)

wanted = sys.argv[2:] or ["some.safetensors", "none.safetensors", "nan.safetensors", "shape.safetensors"]


def save(path, change, stamp="SYNTHETIC"):
    if path not in wanted:
        return
    head, body = {"__metadata__": {"stamp": stamp, "data": "made up", "trained_on": "1"}}, b""
    for name, shape in tensors:
        n = 1
        for d in shape:
            n *= d
        v = change(name, [draw.gauss(0, 0.05) if len(shape) > 1 else 0.1 for _ in range(n)])
        bytes_ = struct.pack("<%df" % n, *v)
        head[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(body), len(body) + len(bytes_)]}
        body += bytes_
    text = json.dumps(head).encode()
    with open(folder + "/" + path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + body)


def picture(path, w, h, keep=None):
    rows = b"".join(b"\0" + bytes(draw.randrange(256) for _ in range(3 * w)) for _ in range(h))
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, 8, 2, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    with open(folder + "/" + path, "wb") as f:
        f.write(data[:keep])


tensors = []
for line in sys.stdin:
    m = re.match(r"  (\S+) +\[([\d,]+)\]( +running statistic)?$", line.rstrip())
    if m and "num_batches" not in m.group(1):
        s = [int(d) for d in m.group(2).split(",")]
        tensors.append((m.group(1), [s[3], s[2], s[0], s[1]] if len(s) == 4 else s))
one = lambda name, v: [1.0] * len(v) if re.search(r"(bn\d|\.1)\.weight$|running_var$", name) else v
last = lambda name, v: [0.3 if name.endswith("final_layers.1.bias") else x for x in one(name, v)]
save("some.safetensors", last)
save("unstamped.safetensors", last, "")
save("quick.safetensors", last, "SYNTHETIC QUICK")
save("spine.safetensors", last, "")
save("none.safetensors", lambda name, v: [0.0] * len(v) if name.startswith("final_layers") else one(name, v))
save("nan.safetensors", lambda name, v: [float("nan")] + v[1:] if name == "conv2.weight" else one(name, v))
tensors = [(n, [s[0] + 1] + s[1:] if n == "conv2.weight" else s) for n, s in tensors]
save("shape.safetensors", one)
picture("a.png", 80, 60), picture("b.png", 60, 80), picture("c.png", 64, 64), picture("cut.png", 80, 60, 900), picture("strip.png", 200, 8)
