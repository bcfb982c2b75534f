# SPDX-License-Identifier: Apache-2.0
"""PyTorch's side of `make bench`: the same work as `dorsum bench`, in a process of its own.

Answers counts on stdin by seconds on stdout, like `dorsum bench KIND serve=true`:
    python bench_peer.py step|conv|mlp|pose threads=2 mode=eager|compile|vmap size=64 batch=32 ...
or does a whole job and leaves:
    python bench_peer.py experiment data=cohort.h5 threads=2 epochs=4 out=predictions.csv
    python bench_peer.py table rows=310 features=6 epochs=100 threads=2
"""
import sys
import time

OPTIONS = dict(threads="2", mode="eager", size="64", batch="32", channels="32", rows="310", features="6", folds="5", epochs="100", seeds="2", data="", out="",
               train="false")


def options(argv, known=OPTIONS):
    given = dict(known)
    for word in argv:
        key, value = word.split("=", 1)
        if key not in given:
            sys.exit("%s: no option '%s'" % (sys.argv[0], key))
        given[key] = value
    return {k: int(v) if v.isdigit() else v for k, v in given.items()}


def silhouette_cnn():
    """As dorsum's default silhouette_cnn: blocks of convolution, batch norm, ReLU, pool; then the mean of the maps."""
    layers, c = [], 1
    for out in (16, 32, 64, 128):
        layers += [nn.Conv2d(c, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU(inplace=True), nn.MaxPool2d(2)]
        c = out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, 2)).to(memory_format=torch.channels_last).train()


def mlp(features):
    return nn.Sequential(nn.Linear(features, 32), nn.ReLU(), nn.Linear(32, 2))


def train_on(forward, optimizer, x, y):
    loss = F.cross_entropy(forward(x), y)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


def make_step(o):
    x = torch.rand(o["batch"], 1, o["size"], o["size"]).to(memory_format=torch.channels_last)
    y = torch.arange(o["batch"]) % 2
    model = silhouette_cnn()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, fused=True)
    forward = torch.compile(model) if o["mode"] == "compile" else model
    return lambda: train_on(forward, optimizer, x, y)


def make_conv(o):
    c, s = o["channels"], o["size"]
    last = torch.channels_last
    x, dy = (torch.randn(o["batch"], c, s, s).to(memory_format=last) for _ in range(2))
    w = torch.randn(c, c, 3, 3).to(memory_format=last)

    def both(x, w, dy):
        y = torch.conv2d(x, w, None, 1, 1)
        dx, dw, _ = torch.ops.aten.convolution_backward(dy, x, w, None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1, [True, True, False])
        return y, dx, dw

    run = torch.compile(both) if o["mode"] == "compile" else both

    def once():
        with torch.no_grad():
            run(x, w, dy)
    return once


def make_pose(o):
    import bench_pose
    return bench_pose.pose(o)


def table(o):
    torch.manual_seed(0)
    x = torch.randn(o["rows"], o["features"])
    y = (x[:, 0] > 0).long()
    fold = torch.arange(o["rows"]) % o["folds"]
    return x, y, [torch.nonzero(fold != k)[:, 0] for k in range(o["folds"])]


def make_loop(o):
    """Fold after fold, step after step."""
    x, y, train = table(o)

    def once():
        for rows in train:
            xt, yt, n = x[rows], y[rows], len(rows)
            model = mlp(o["features"])
            optimizer = torch.optim.Adam(model.parameters(), 1e-3, fused=True)
            for _ in range(o["epochs"]):
                order = torch.randperm(n)
                for i in range(0, n, o["batch"]):
                    part = order[i:i + o["batch"]]
                    train_on(model, optimizer, xt[part], yt[part])
    return once


def make_vmap(o):
    """All folds in one step: torch.func.vmap over stacked parameters, Adam written out, the step compiled."""
    from torch.func import functional_call, grad, stack_module_state, vmap
    x, y, train = table(o)
    n = min(len(rows) for rows in train)
    xt, yt = (torch.stack([v[rows[:n]] for rows in train]) for v in (x, y))
    folds = torch.arange(o["folds"])[:, None]
    base = mlp(o["features"]).to("meta")
    gradient = vmap(grad(lambda p, a, b: F.cross_entropy(functional_call(base, p, (a,)), b)))

    def step(p, m, v, a, b, c1, c2):
        g = gradient(p, a, b)
        m = {k: 0.9 * m[k] + 0.1 * g[k] for k in p}
        v = {k: 0.999 * v[k] + 0.001 * g[k] * g[k] for k in p}
        return {k: p[k] - 1e-3 * (m[k] * c1) / ((v[k] * c2).sqrt() + 1e-8) for k in p}, m, v

    compiled = torch.compile(step)

    def once():
        p, _ = stack_module_state([mlp(o["features"]) for _ in train])
        p = {k: t.detach().clone() for k, t in p.items()}
        m, v = ({k: torch.zeros_like(t) for k, t in p.items()} for _ in range(2))
        s = 0
        for _ in range(o["epochs"]):
            order = torch.rand(o["folds"], n).argsort(1)
            for i in range(0, n, o["batch"]):
                s += 1
                part = order[:, i:i + o["batch"]]
                p, m, v = compiled(p, m, v, xt[folds, part], yt[folds, part], torch.tensor(1 / (1 - 0.9 ** s)), torch.tensor(1 / (1 - 0.999 ** s)))
    return once


def serve(once):
    once()
    print("ready", flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        for _ in range(int(line)):
            once()
        print("%.9g" % (time.perf_counter() - start), flush=True)


def read_cohort(path):
    """Silhouettes of the backward bends as dorsum stores them, each with its subject's number, and the subjects' classes."""
    import h5py
    with h5py.File(path, "r") as f:
        group = next(iter(f["silhouettes"].values()))
        pixels, first, count = group["data"][:], group["first"][:], group["count"][:]
        movement, subject = f["trials/movement"][:], f["trials/subject"][:]
        label = f["targets/pattern/value"][:].astype("int64")
    trials = [t for t in range(len(first)) if movement[t].rstrip(b"\0") == b"backward"]
    rows = [(i, int(subject[t])) for t in trials for i in range(int(first[t]), int(first[t] + count[t]))]
    frames, who = zip(*rows)
    return torch.from_numpy(pixels[list(frames)]), torch.tensor(who), torch.from_numpy(label)


def experiment(o):
    """Five folds by subject, as many seeds, one model after the other; predictions per subject."""
    pixels, who, label = read_cohort(o["data"])
    x = (pixels.float() / 255)[:, None].to(memory_format=torch.channels_last)
    y, lines = label[who], []
    for seed in range(1, o["seeds"] + 1):
        for fold in range(o["folds"]):
            torch.manual_seed(seed)
            model = silhouette_cnn()
            optimizer = torch.optim.Adam(model.parameters(), 1e-3, fused=True)
            rows = torch.nonzero(who % o["folds"] != fold)[:, 0]
            for _ in range(o["epochs"]):
                order = rows[torch.randperm(len(rows))]
                for part in order.split(o["batch"]):
                    train_on(model, optimizer, x[part], y[part])
            model.eval()
            test = torch.nonzero(who % o["folds"] == fold)[:, 0]
            with torch.no_grad():
                logits = torch.cat([model(x[part]) for part in test.split(o["batch"])])
            for s in who[test].unique():
                p = logits[who[test] == s].mean(0).softmax(0)
                lines.append("%d,%d,%d,%.6f" % (s, seed, fold, p[1]))
    with open(o["out"], "w") as f:
        f.write("\n".join(["subject,seed,fold,p"] + lines) + "\n")


def main():
    kind, o = sys.argv[1], options(sys.argv[2:])
    torch.set_num_threads(o["threads"])
    if kind == "versions":
        onednn = [line.strip(" -") for line in torch.__config__.show().splitlines() if "MKL-DNN" in line or "oneDNN" in line]
        print("torch %s, %s" % (torch.__version__, onednn[0] if onednn else "no oneDNN"))
    elif kind == "experiment":
        experiment(o)
    elif kind == "table":
        make_loop(o)()
    else:
        make = dict(step=make_step, conv=make_conv, pose=make_pose, mlp=make_vmap if o["mode"] == "vmap" else make_loop)[kind]
        serve(make(o))


if __name__ == "__main__":
    import torch
    import torch.nn.functional as F
    from torch import nn
    main()
