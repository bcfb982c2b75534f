# SPDX-License-Identifier: Apache-2.0
"""make gpu-bench: dorsum beside PyTorch on the same GPU.

As tools/bench.py does: every program is a process that is warm and waits, samples are taken in turn, the figure is the median of the samples. The peers
are those of tools/gpu_peer.py: eager, channels_last with autocast, torch.compile max-autotune, CUDA graphs; for fleets a loop over the models, captured or
not, and vmap. A peer that is not ready in time is named and left out. Beside the ratios stand the share of the measured ceilings: bytes and operations by
the ops' own account over the time, over what a large copy and a large product reach here.
"""
import argparse
import json
import os
import select
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
DORSUM = os.path.join(ROOT, "build", "dorsum")
PEER = os.path.join(HERE, "gpu_peer.py")
SAMPLES, SAMPLE_S, ANSWER_S = 9, 0.3, 120


def say(text):
    print(text, flush=True)


class Program:
    """One side of a comparison; its last words are kept for when it does not come up."""

    def __init__(self, name, argv, env=None):
        self.name, self.times = name, []
        self.start = time.monotonic()
        self.errors = open(os.path.join(ROOT, "build", "gpu-bench.%s.err" % name), "w+")
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True, cwd=ROOT, env={**os.environ, **(env or {})})

    def line(self, until):
        ready, _, _ = select.select([self.process.stdout], [], [], max(0.1, until - time.monotonic()))
        return self.process.stdout.readline() if ready else None

    def said(self):
        self.errors.seek(0)
        lines = [line for line in self.errors.read().splitlines() if line.strip()]
        return lines[-1][:300] if lines else "ended without a word"

    def warm(self, until):
        words = []
        while words[:1] != ["ready"]: # compilers talk before
            text = self.line(until)
            if text is None:
                raise RuntimeError("not ready after %.0f s" % (time.monotonic() - self.start))
            if not text:
                raise RuntimeError(self.said())
            words = text.split()
        self.bytes, self.flops, self.moved = ([float(w) for w in words[1:]] + [0, 0, 0])[:3]
        self.ask(1)
        self.first_s = time.monotonic() - self.start
        self.count = max(1, int(SAMPLE_S / max(self.ask(3) / 3, 1e-7)))

    def ask(self, n):
        self.process.stdin.write("%d\n" % n)
        self.process.stdin.flush()
        text = self.line(time.monotonic() + ANSWER_S)
        if not text:
            raise RuntimeError(self.said() if text == "" else "no answer in %d s" % ANSWER_S)
        return float(text)

    def close(self):
        self.process.kill()
        self.process.wait()
        self.errors.close()


class Bench:
    def __init__(self, o):
        self.o, self.end, self.report = o, time.monotonic() + o.limit, []
        self.device = "cuda" if o.device == "cuda" else "cpu"
        self.ceilings = self.words("ceilings")
        self.peak = {k: float(v) for k, v in (w.split("=") for w in self.ceilings.split())}

    def words(self, kind):
        told = subprocess.run([sys.executable, PEER, kind, "device=" + self.device], capture_output=True, text=True)
        if told.returncode:
            sys.exit("gpu-bench: %s has no working torch: %s" % (sys.executable, (told.stderr.strip().splitlines() or ["?"])[-1]))
        return told.stdout.strip()

    def own(self, kind, keys):
        return "dorsum", [DORSUM, "bench", kind, "serve=true", "--device", self.o.device] + keys + (["autotune=true"] if self.device == "cuda" else [])

    def peer(self, mode, kind, keys):
        return mode, [sys.executable, PEER, kind, "mode=" + mode, "device=" + self.device] + keys

    def compare(self, title, kind, keys, modes, targets, share):
        """share: of the time that is left, for this comparison. targets: {peer or "": ratio}, "" the fastest."""
        left = share * max(0, self.end - time.monotonic())
        ready, until = time.monotonic() + 0.8 * left, time.monotonic() + left
        say("## " + title)
        programs, failed = [], {}
        for name, argv in [self.own(kind, keys)] + [self.peer(m, kind, keys) for m in modes]:
            p = Program(name, argv, {"LD_LIBRARY_PATH": self.o.libraries} if name == "dorsum" and self.o.libraries else None)
            try:
                p.warm(ready)
                programs.append(p)
            except (RuntimeError, ValueError) as e:
                failed[name] = str(e)
                p.close()
        for p in list(programs):
            try:
                p.times.append(p.ask(p.count) / p.count)
            except (RuntimeError, ValueError) as e:
                failed[p.name] = str(e)
                programs.remove(p)
                p.close()
        while programs and time.monotonic() < until and min(len(p.times) for p in programs) < SAMPLES:
            for p in programs:
                p.times.append(p.ask(p.count) / p.count)
        self.conclude(title, keys, programs, failed, targets)
        for p in programs:
            p.close()

    def conclude(self, title, keys, programs, failed, targets):
        results = {p.name: dict(median_s=statistics.median(p.times), least_s=min(p.times), samples=len(p.times), first_s=p.first_s) for p in programs}
        entry = dict(title=title, keys=keys, results=results, failed=failed, ratios=[])
        for p in programs:
            say("  %-14s median %10.4f ms, least %10.4f ms, %d samples, first after %.1f s" % (p.name, results[p.name]["median_s"] * 1e3, results[p.name]["least_s"] * 1e3,
                                                                                            len(p.times), p.first_s))
        for name, why in failed.items():
            say("  %-14s cannot be timed: %s" % (name, why))
        if "dorsum" in results:
            ours = next(p for p in programs if p.name == "dorsum")
            time_s = results["dorsum"]["median_s"]
            kind = "fp32" if "precision=fp32" in keys else "bf16"
            entry.update(bytes=ours.moved, flops=ours.flops, share_of_bytes=ours.moved / time_s / self.peak["bytes_per_s"],
                         share_of_flops=ours.flops / time_s / self.peak[kind + "_flop_per_s"])
            say("  dorsum moves %.3g GB and does %.3g GFLOP: %.0f %% of the copy's bytes a second, %.0f %% of the product's operations" % (
                ours.moved * 1e-9, ours.flops * 1e-9, 100 * entry["share_of_bytes"], 100 * entry["share_of_flops"]))
            entry["ratios"] = [self.ratio(results, prefix, wanted) for prefix, wanted in targets.items()]
        self.report.append(entry)

    @staticmethod
    def ratio(results, prefix, wanted):
        peers = {n: r for n, r in results.items() if n != "dorsum" and n.startswith(prefix)}
        if not peers:
            say("  no peer '%s' to compare with: misses %.4gx" % (prefix, wanted))
            return dict(against=prefix, ratio=None, target=wanted, met=False)
        name = min(peers, key=lambda n: peers[n]["median_s"])
        ratio, least = (peers[name][k] / results["dorsum"][k] for k in ("median_s", "least_s"))
        say("  => %.2fx the fastest%s (%s; by least times %.2fx), %s %.4gx" % (ratio, " " + prefix if prefix else " peer", name, least, "meets" if ratio >= wanted else "MISSES", wanted))
        return dict(against=name, ratio=ratio, ratio_least=least, target=wanted, met=ratio >= wanted)


# --- the parts: keys of `dorsum bench` and of the peer alike ------------------------------

MODES = ["eager", "channels_last", "graphs", "compile"] # the last may take all the time there is


def modes(b):
    return ["eager"] if b.o.quick else MODES


def silhouette(b):
    jobs = [(64, 32, "fp32", False), (128, 32, "bf16", False), (64, 256, "bf16", False), (128, 32, "bf16", True)]
    for i, (size, batch, precision, infer) in enumerate([(32, 4, "fp32", False)] if b.o.quick else jobs):
        keys = ["size=%d" % size, "batch=%d" % batch, "precision=" + precision, "infer=%s" % str(infer).lower()]
        b.compare("silhouette CNN, %s, %dx%d, batch %d, %s" % ("inference" if infer else "training step", size, size, batch, precision), "step", keys, modes(b),
                  {"compile": 2.0} if batch == 32 and not infer else {"": 1.0}, 1 / (len(jobs) - i))


def conv(b):
    shapes = [(32, 128), (64, 64), (128, 32), (256, 16)]
    for i, (channels, size) in enumerate([(8, 8)] if b.o.quick else shapes):
        keys = ["channels=%d" % channels, "size=%d" % size, "batch=%d" % (1 if b.o.quick else 16), "precision=" + ("fp32" if b.o.quick else "bf16")]
        b.compare("conv3x3 and its gradients, %d channels at %dx%d, batch 16" % (channels, size, size), "conv", keys, modes(b), {"": 1.0}, 1 / (len(shapes) - i))


def block(b):
    shapes = [(32, 128), (64, 64), (256, 16)]
    for i, (channels, size) in enumerate([(8, 8)] if b.o.quick else shapes):
        keys = ["channels=%d" % channels, "size=%d" % size, "batch=%d" % (2 if b.o.quick else 16), "precision=" + ("fp32" if b.o.quick else "bf16")]
        b.compare("two blocks of conv, batch norm and ReLU, forward and backward, %d channels at %dx%d, batch 16" % (channels, size, size), "block", keys, modes(b),
                  {"compile": 1.15, "": 1.0}, 1 / (len(shapes) - i))


def pose(b):
    size = 64 if b.o.quick else 512
    jobs = [(False, 1), (True, 16)]
    for i, (train, batch) in enumerate(jobs[:1] if b.o.quick else jobs):
        keys = ["size=%d" % size, "batch=%d" % batch, "channels=%d" % (8 if b.o.quick else 32), "train=%s" % str(train).lower(), "precision=" + ("fp32" if b.o.quick else "bf16")]
        b.compare("HigherHRNet-W32, %s, 512x512, batch %d" % ("forward and backward" if train else "inference", batch), "pose", keys, modes(b), {"": 1.25 if train else 1.0},
                  1 / (len(jobs) - i))


def fleet(b):
    jobs = [("mlp", 50, 32, {"eager": 20, "": 1.0}), ("mlp", 10, 32, {"eager": 20, "": 1.0}), ("silhouette_cnn", 10, 32, {"": 1.0})]
    for i, (net, models, batch, targets) in enumerate([("mlp", 2, 4, {"eager": 1.0})] if b.o.quick else jobs):
        keys = ["net=" + net, "models=%d" % models, "batch=%d" % batch, "size=64", "precision=fp32"]
        all_modes = ["eager"] if b.o.quick else ["eager", "graphs", "vmap"] if net == "mlp" else ["eager", "channels_last", "graphs"]
        b.compare("a training step of %d models (%s) at once, batch %d" % (models, net, batch), "fleet", keys, all_modes, targets, 1 / (len(jobs) - i))


PARTS = dict(silhouette=silhouette, conv=conv, block=block, pose=pose, fleet=fleet)


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--part", required=True, choices=sorted(PARTS))
    args.add_argument("--device", default="cuda", help="cuda, or cpu to try this script")
    args.add_argument("--limit", type=float, default=440, help="seconds that the part may take")
    args.add_argument("--out", default=os.path.join(ROOT, "results", "bench"))
    args.add_argument("--libraries", default="", help="folder of CUDA's and cuDNN's, for dorsum; PyTorch has its own")
    args.add_argument("--about", default="", help="device, versions: for the record")
    args.add_argument("--quick", action="store_true", help="tiny shapes and one peer, to try this script; no figures to quote")
    o = args.parse_args()
    b = Bench(o)
    versions = b.words("versions")
    dorsum = subprocess.run([DORSUM, "--version"], capture_output=True, text=True).stdout.strip()
    say("%s; %s; %s\nceilings: %s" % (dorsum, versions, o.about, b.ceilings))
    PARTS[o.part](b)
    os.makedirs(o.out, exist_ok=True)
    path = os.path.join(o.out, "gpu_%s_%s.json" % (o.part, time.strftime("%Y-%m-%d_%H%M")))
    with open(path, "w") as f:
        json.dump(dict(part=o.part, dorsum=dorsum, versions=versions, about=o.about, ceilings=b.peak, quick=o.quick, comparisons=b.report), f, indent=1)
    ratios = [r for c in b.report for r in c["ratios"]]
    say("%d of %d targets met; wrote %s" % (sum(r["met"] for r in ratios), len(ratios), path))


if __name__ == "__main__":
    main()
