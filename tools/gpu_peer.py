# SPDX-License-Identifier: Apache-2.0
"""PyTorch's side of `make gpu-bench`: the same work as `dorsum bench`, on the same GPU, in a process of its own.

    python gpu_peer.py step|conv|block|fleet|pose mode=eager|channels_last|compile|graphs|vmap precision=fp32|tf32|bf16|fp16 size=64 batch=32 ...
answers counts on stdin by seconds on stdout; `ceilings` prints what a copy and a product reach; `versions` what is here.

mode: eager as PyTorch's tutorials have it (NCHW); channels_last in NHWC; compile: channels_last under torch.compile max-autotune; graphs: channels_last,
the whole step captured as a CUDA graph; vmap: all models of a fleet in one compiled step. Precisions below fp32 by autocast.
"""
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

import bench_peer
import bench_pose

bench_peer.torch, bench_peer.F, bench_peer.nn = torch, F, nn
OPTIONS = dict(mode="eager", precision="fp32", device="cuda", size="64", batch="32", channels="32", features="6", models="5", net="mlp", train="false", infer="false", threads="2")
TYPES = dict(bf16=torch.bfloat16, fp16=torch.float16)


class Options(dict):
    __getattr__ = dict.__getitem__


def layout(o, t):
    return t.to(o.device) if o.mode == "eager" else t.to(o.device, memory_format=torch.channels_last) if t.dim() == 4 else t.to(o.device)


def model_of(o, net, training=True):
    net = net.to(o.device)
    net = net.to(memory_format=torch.contiguous_format if o.mode == "eager" else torch.channels_last)
    return net.train() if training else net.eval()


def cast(o):
    """What is cast once in a step is not kept beyond it while a graph is captured."""
    return torch.autocast(o.device, TYPES[o.precision], cache_enabled=o.mode != "graphs") if o.precision in TYPES else torch.autocast(o.device, enabled=False)


def compiled(o, f):
    return torch.compile(f, mode="max-autotune" if o.device == "cuda" else None) if o.mode in ("compile", "vmap") else f


def adam(o, parameters):
    return torch.optim.Adam(parameters, 1e-3, fused=True, capturable=o.mode == "graphs" and o.device == "cuda")


class Trainer:
    """One model, one batch, one step; fp16 with the gradient scaler that PyTorch's own recipe has."""

    def __init__(self, o, net, x, y):
        self.o, self.x, self.y = o, x, y
        self.net = model_of(o, net)
        self.forward, self.optimizer = compiled(o, self.net), adam(o, self.net.parameters())
        self.scaler = torch.amp.GradScaler(o.device, enabled=o.precision == "fp16" and o.mode != "graphs")

    def __call__(self):
        with cast(self.o):
            loss = F.cross_entropy(self.forward(self.x).float(), self.y)
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()


def step(o):
    x = layout(o, torch.rand(o.batch, 1, o.size, o.size))
    if o.infer != "true":
        return Trainer(o, bench_peer.silhouette_cnn(), x, torch.arange(o.batch, device=o.device) % 2)
    forward = compiled(o, model_of(o, bench_peer.silhouette_cnn(), False))

    def infer():
        with torch.no_grad(), cast(o):
            forward(x)
    return infer


def conv(o):
    kind = TYPES.get(o.precision, torch.float32)
    x, dy = (layout(o, torch.randn(o.batch, o.channels, o.size, o.size)).to(kind) for _ in range(2))
    w = layout(o, torch.randn(o.channels, o.channels, 3, 3)).to(kind)

    def both(x, w, dy):
        y = torch.conv2d(x, w, None, 1, 1)
        dx, dw, _ = torch.ops.aten.convolution_backward(dy, x, w, None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1, [True, True, False])
        return y, dx, dw

    run = compiled(o, both)

    def once():
        with torch.no_grad():
            run(x, w, dy)
    return once


def block(o):
    c = o.channels
    layers = [layer for _ in range(2) for layer in (nn.Conv2d(c, c, 3, padding=1, bias=False), nn.BatchNorm2d(c), nn.ReLU(inplace=True))]
    net = model_of(o, nn.Sequential(*layers))
    forward = compiled(o, net)
    kind = TYPES.get(o.precision, torch.float32)
    x, dy = (layout(o, torch.randn(o.batch, c, o.size, o.size)).to(kind) for _ in range(2))

    def once():
        for p in net.parameters():
            p.grad = None
        with cast(o):
            y = forward(x)
        y.backward(dy.to(y.dtype))
    return once


def pose(o):
    """HigherHRNet of tools/bench_pose.py and its losses."""
    inference = o.train != "true"
    net = model_of(o, bench_pose.HigherHRNet(o.channels), not inference)
    x, forward = layout(o, torch.rand(o.batch, 3, o.size, o.size)), compiled(o, net)
    if inference:
        def infer():
            with torch.no_grad(), cast(o):
                forward(x)
        return infer
    joints, sizes = bench_pose.JOINTS, [o.size // 4, o.size // 2]
    heat = [layout(o, torch.rand(o.batch, joints, s, s)) for s in sizes]
    mask = [layout(o, torch.ones(o.batch, 1, s, s)) for s in sizes]
    index = torch.randint(joints * sizes[0] ** 2, (o.batch, bench_pose.PEOPLE, joints), device=o.device)
    seen = torch.ones(index.shape, device=o.device)

    def once():
        for p in net.parameters():
            p.grad = None
        with cast(o):
            coarse, fine = forward(x)
        coarse, fine = coarse.float(), fine.float()
        loss = bench_pose.tag_loss(coarse[:, joints:], index, seen)
        for y, h, m in zip((coarse[:, :joints], fine), heat, mask):
            loss = loss + ((y - h) ** 2 * m).mean()
        loss.backward()
    return once


def fleet(o):
    """A step of every model: one after the other, or with vmap all in one."""
    if o.net == "mlp":
        make, x = (lambda: bench_peer.mlp(o.features)), torch.randn(o.batch, o.features, device=o.device)
    else:
        make, x = bench_peer.silhouette_cnn, layout(o, torch.rand(o.batch, 1, o.size, o.size))
    y = torch.arange(o.batch, device=o.device) % 2
    if o.mode == "vmap":
        return together(o, make, x, y)
    trainers = [Trainer(o, make(), x, y) for _ in range(o.models)]

    def once():
        for t in trainers:
            t()
    return once


def together(o, make, x, y):
    from torch.func import functional_call, grad, stack_module_state, vmap
    base = make().to("meta")
    p, _ = stack_module_state([make().to(o.device) for _ in range(o.models)])
    state = [{k: t.detach().clone() for k, t in p.items()}] + [{k: torch.zeros_like(t) for k, t in p.items()} for _ in range(2)]
    gradient = vmap(grad(lambda q, a, b: F.cross_entropy(functional_call(base, q, (a,)), b)), in_dims=(0, None, None))

    def update(p, m, v):
        g = gradient(p, x, y)
        m = {k: 0.9 * m[k] + 0.1 * g[k] for k in p}
        v = {k: 0.999 * v[k] + 0.001 * g[k] * g[k] for k in p}
        return {k: p[k] - 1e-3 * m[k] / (v[k].sqrt() + 1e-8) for k in p}, m, v

    # what such a graph of inductor's returns lies in memory that its next run takes, so it is copied out as its documentation says
    run = compiled(o, update)

    def once():
        state[:] = [{k: t.clone() for k, t in d.items()} for d in run(*state)] if o.device == "cuda" else run(*state)
    return once


def captured(once):
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(4):
            once()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        once()
    return graph.replay


def serve(o, once):
    wait = torch.cuda.synchronize if o.device == "cuda" else lambda: None
    if o.mode == "graphs":
        if o.device != "cuda":
            sys.exit("gpu_peer: graphs are of a GPU")
        once = captured(once)
    for _ in range(3):
        once()
    wait()
    print("ready", flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        for _ in range(int(line)):
            once()
        wait()
        print("%.9g" % (time.perf_counter() - start), flush=True)


def best_s(run, rounds=10):
    wait = torch.cuda.synchronize if torch.cuda.is_available() else lambda: None
    times = []
    for _ in range(rounds):
        wait()
        start = time.perf_counter()
        run()
        wait()
        times.append(time.perf_counter() - start)
    return min(times)


def ceilings(o):
    """A large copy, bytes read and written, and products of random numbers."""
    n, side = (1 << 30, 8192) if o.device == "cuda" else (1 << 24, 256)
    a, b = torch.empty(n, dtype=torch.uint8, device=o.device), torch.empty(n, dtype=torch.uint8, device=o.device)
    found = dict(bytes_per_s=2 * n / best_s(lambda: b.copy_(a)))
    for name, kind in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        x, y = (torch.randn(side, side, device=o.device).to(kind) for _ in range(2))
        found[name + "_flop_per_s"] = 2 * side ** 3 / best_s(lambda: x @ y)
    print(" ".join("%s=%.6g" % kv for kv in found.items()))


def versions(o):
    device = torch.cuda.get_device_name() if o.device == "cuda" and torch.cuda.is_available() else "cpu"
    print("torch %s, CUDA %s, cuDNN %s, %s" % (torch.__version__, torch.version.cuda, torch.backends.cudnn.version(), device))


def main():
    kind, o = sys.argv[1], Options(bench_peer.options(sys.argv[2:], OPTIONS))
    torch.manual_seed(0)
    torch.set_num_threads(o.threads)
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = o.precision == "tf32"
    if kind in ("ceilings", "versions"):
        return dict(ceilings=ceilings, versions=versions)[kind](o)
    return serve(o, dict(step=step, conv=conv, block=block, pose=pose, fleet=fleet)[kind](o))


if __name__ == "__main__":
    main()
