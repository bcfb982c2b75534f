# SPDX-License-Identifier: Apache-2.0
"""HigherHRNet in PyTorch, written from the papers for `make bench`: what dorsum's net is timed beside.

Sun et al., CVPR 2019 (HRNet); Cheng et al., CVPR 2020 (the head). Width 32, 17 joints, 512x512 in, heat maps at 128x128 and 256x256.
"""
import torch
import torch.nn.functional as F
from torch import nn

JOINTS, PEOPLE = 17, 30


def unit(c, out, kernel, stride=1, relu=True):
    layers = [nn.Conv2d(c, out, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(out)]
    return nn.Sequential(*layers, nn.ReLU(inplace=True)) if relu else nn.Sequential(*layers)


class Residual(nn.Module):
    def __init__(self, *body, shortcut=None):
        super().__init__()
        self.body, self.shortcut = nn.Sequential(*body), shortcut

    def forward(self, x):
        return F.relu(self.body(x) + (self.shortcut(x) if self.shortcut else x), inplace=True)


def basic(c):
    return Residual(unit(c, c, 3), unit(c, c, 3, relu=False))


def bottleneck(c, planes):
    shortcut = unit(c, 4 * planes, 1, relu=False) if c != 4 * planes else None
    return Residual(unit(c, planes, 1), unit(planes, planes, 3), unit(planes, 4 * planes, 1, relu=False), shortcut=shortcut)


class Exchange(nn.Module):
    """Four blocks on every branch, then each branch is the sum of all at its size."""

    def __init__(self, width, n, out):
        super().__init__()
        self.n, c = n, [width << b for b in range(n)]
        self.blocks = nn.ModuleList([nn.Sequential(*[basic(c[b]) for _ in range(4)]) for b in range(n)])
        self.fuse = nn.ModuleList([nn.ModuleList([self.path(c, i, j) for j in range(n)]) for i in range(out)])

    @staticmethod
    def path(c, i, j):
        if j == i:
            return nn.Identity()
        if j > i:
            return nn.Sequential(unit(c[j], c[i], 1, relu=False), nn.Upsample(scale_factor=2 ** (j - i), mode="nearest"))
        down = [unit(c[j], c[j], 3, 2) for _ in range(i - j - 1)]
        return nn.Sequential(*down, unit(c[j], c[i], 3, 2, relu=False))

    def forward(self, x):
        x = [block(v) for block, v in zip(self.blocks, x)]
        out = []
        for row in self.fuse:
            y = row[0](x[0])
            for j in range(1, self.n):
                y = y + row[j](x[j])
            out.append(F.relu(y, inplace=True))
        return out


class HigherHRNet(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.stem = nn.Sequential(unit(3, 64, 3, 2), unit(64, 64, 3, 2), bottleneck(64, 64), *[bottleneck(256, 64) for _ in range(3)])
        self.first = nn.ModuleList([unit(256, width, 3), unit(256, 2 * width, 3, 2)])
        self.coarser = nn.ModuleList([unit(width << b, width << (b + 1), 3, 2) for b in (1, 2)])
        self.stages = nn.ModuleList([nn.ModuleList([Exchange(width, n, 1 if n == 4 and m == count - 1 else n) for m in range(count)])
                                     for n, count in ((2, 1), (3, 4), (4, 3))])
        self.final = nn.ModuleList([nn.Conv2d(width, 2 * JOINTS, 1), nn.Conv2d(width, JOINTS, 1)])
        self.enlarge = nn.Sequential(nn.ConvTranspose2d(width + 2 * JOINTS, width, 4, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True),
                                     *[basic(width) for _ in range(4)])

    def forward(self, x):
        x = self.stem(x)
        x = [f(x) for f in self.first]
        for k, stage in enumerate(self.stages):
            if k:
                x = x + [self.coarser[k - 1](x[-1])]
            for module in stage:
                x = module(x)
        coarse = self.final[0](x[0])
        return coarse, self.final[1](self.enlarge(torch.cat([x[0], coarse], 1)))


def tag_loss(tags, index, seen):
    """Pull the tags of a person together, push the persons' means apart."""
    t = tags.flatten(1).gather(1, index.flatten(1)).view(index.shape)
    count = seen.sum(2).clamp(min=1)
    mean = (t * seen).sum(2) / count
    people = index.shape[1]
    pull = (((t - mean[:, :, None]) ** 2 * seen).sum(2) / count).mean(1)
    apart = torch.exp(-(mean[:, :, None] - mean[:, None, :]) ** 2)
    push = 0.5 * (apart.sum((1, 2)) - people) / (people * (people - 1))
    return 1e-3 * (push + pull).mean()


def pose(o):
    torch.manual_seed(0)
    batch, size, last = o["batch"], o["size"], torch.channels_last
    net = HigherHRNet(o["channels"]).to(memory_format=last)
    x = torch.rand(batch, 3, size, size).to(memory_format=last)
    net = net.train() if o["train"] == "true" else net.eval()
    forward = torch.compile(net) if o["mode"] == "compile" else net
    if o["train"] != "true":
        def infer():
            with torch.inference_mode():
                forward(x)
        return infer
    heat = [torch.rand(batch, JOINTS, size // s, size // s).to(memory_format=last) for s in (4, 2)]
    mask = [torch.ones(batch, 1, size // s, size // s) for s in (4, 2)]
    index = torch.randint(JOINTS * (size // 4) ** 2, (batch, PEOPLE, JOINTS))
    seen = torch.ones(index.shape)

    def step():
        for p in net.parameters():
            p.grad = None
        coarse, fine = forward(x)
        loss = tag_loss(coarse[:, JOINTS:], index, seen)
        for y, h, m in zip((coarse[:, :JOINTS], fine), heat, mask):
            loss = loss + ((y - h) ** 2 * m).mean()
        loss.backward()
    return step
