# SPDX-License-Identifier: Apache-2.0
"""make bench: dorsum beside PyTorch.

Every program is a process that is warm and waits; samples are taken in turn, one
program at a time, so that a slow minute of the machine hits all alike. A sample
during which other processes took CPU is thrown away. The peer of a comparison is
the fastest of eager and torch.compile, each with and without torch's switch for
huge pages (THP_MEM_ALLOC_ENABLE=1), channels_last, the same number of threads.
"""
import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
DORSUM = os.path.join(ROOT, "build", "dorsum")
PEER = os.path.join(HERE, "bench_peer.py")
TICK = os.sysconf("SC_CLK_TCK")
THP = {"THP_MEM_ALLOC_ENABLE": "1"}
SAMPLES, SAMPLE_S = 7, 0.4  # of each program; a sample's length


def say(text):
    print(text, flush=True)


# --- what else the machine did ---------------------------------------------------

def busy_s():
    """CPU seconds that all processes took since boot."""
    with open("/proc/stat") as f:
        t = [int(v) for v in f.readline().split()[1:]]
    return (t[0] + t[1] + t[2] + t[5] + t[6]) / TICK


def process_s(pid):
    with open("/proc/%d/stat" % pid) as f:
        t = f.read().rsplit(")", 1)[1].split()
    return (int(t[11]) + int(t[12])) / TICK


def peak_bytes(pid):
    with open("/proc/%d/status" % pid) as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmHWM"))


def quiet(wall, others):
    return others < 0.05 * wall + 0.02


# --- programs that wait for a count ----------------------------------------------

class Program:
    def __init__(self, name, argv, env=None):
        self.name, self.clean, self.all = name, [], []
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
                                        env={**os.environ, **(env or {})})
        start = time.monotonic()
        ready = self.process.stdout.readline().split()
        if ready[:1] != ["ready"]:
            error = self.process.stderr.read().strip().splitlines()
            raise RuntimeError(error[-1] if error else "ended without a word")
        self.planned_bytes = int(ready[1]) if len(ready) > 1 else 0
        self.ask(1)
        self.first_s = time.monotonic() - start
        self.count = max(1, int(SAMPLE_S / max(self.ask(1), 1e-7)))

    def ask(self, n):
        self.process.stdin.write("%d\n" % n)
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def sample(self):
        own = process_s(self.process.pid) + process_s(os.getpid())
        all_before, start = busy_s(), time.monotonic()
        each = self.ask(self.count) / self.count
        wall = time.monotonic() - start
        others = busy_s() - all_before - (process_s(self.process.pid) + process_s(os.getpid()) - own)
        self.all.append(each)
        if quiet(wall, others):
            self.clean.append(each)

    def result(self):
        times = self.clean if len(self.clean) >= 3 else self.all
        return dict(median_s=statistics.median(times), least_s=min(times), clean=len(self.clean), taken=len(self.all), first_s=self.first_s,
                    planned_bytes=self.planned_bytes, peak_bytes=peak_bytes(self.process.pid))

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def start_all(wanted):
    programs = []
    for name, argv, env in wanted:
        try:
            programs.append(Program(name, argv, env))
        except (RuntimeError, ValueError) as e:
            say("  %-16s cannot be timed: %s" % (name, e))
    return programs


def take_turns(programs, seconds):
    start = time.monotonic()
    while True:
        for p in programs:
            if len(p.clean) < SAMPLES:
                p.sample()
        done = all(len(p.clean) >= SAMPLES for p in programs)
        if done or (time.monotonic() - start > seconds and all(len(p.all) >= 3 for p in programs)):
            return


def compare(title, wanted, target, seconds, report):
    programs = start_all(wanted)
    take_turns(programs, seconds)
    results = {p.name: p.result() for p in programs}
    for p in programs:
        p.close()
    conclude(title, results, target, report)


def conclude(title, results, target, report):
    """Ratio of the fastest peer to dorsum, by medians; targets name the peers they hold for."""
    say("## " + title)
    for name, r in results.items():
        memory = ", peak %.0f MB" % (r["peak_bytes"] / 1e6) if "peak_bytes" in r else ""
        if "first_s" in r:
            memory += ", first result after %.1f s" % r["first_s"] + (", %.0f MB planned" % (r["planned_bytes"] / 1e6) if r["planned_bytes"] else "")
        disturbed = "" if r["clean"] >= 3 else "  DISTURBED by other processes: not to be relied on"
        say("  %-16s median %10.3f ms, least %10.3f ms, %d of %d samples clean%s%s" % (name, r["median_s"] * 1e3, r["least_s"] * 1e3, r["clean"], r["taken"],
                                                                                    memory, disturbed))
    entry = dict(title=title, results=results, ratios=[])
    ours = results.get("dorsum")
    for prefix, wanted in target.items():
        peers = {n: r for n, r in results.items() if n != "dorsum" and n.startswith(prefix)}
        if not ours or not peers:
            say("  no peer '%s' to compare with" % prefix)
            continue
        name = min(peers, key=lambda n: peers[n]["median_s"])
        ratio, least = (peers[name][k] / ours[k] for k in ("median_s", "least_s"))
        sound = min(ours["clean"], peers[name]["clean"]) >= (3 if ours["taken"] >= 3 else 1)
        verdict = "undecided, disturbed:" if not sound else "meets" if ratio >= wanted else "MISSES"
        say("  => %.2fx the fastest%s (%s; by least times %.2fx), %s %.4gx" % (ratio, " " + prefix if prefix else " peer", name, least, verdict, wanted))
        entry["ratios"].append(dict(against=name, ratio=ratio, ratio_least=least, target=wanted, sound=sound, met=sound and ratio >= wanted))
    report.append(entry)


def peer(kind, mode, keys, env=None):
    name = mode + ("+thp" if env else "")
    return name, [sys.executable, PEER, kind, "mode=" + mode] + keys, env


def own(kind, keys):
    return "dorsum", [DORSUM, "bench", kind, "serve=true"] + keys, None


def four_peers(o, kind, keys):
    """Fastest of these is the peer. To try the script (--quick) one is enough."""
    return [peer(kind, mode, keys, env) for mode in (("eager",) if o.quick else ("eager", "compile")) for env in ((None,) if o.quick else (None, THP))]


# --- the parts --------------------------------------------------------------------

def silhouette(o, report):
    for size, batch, target in ((32, 8, 2.2),) if o.quick else ((64, 32, 2.2), (128, 32, 2.2), (64, 256, 2.5), (128, 256, 2.0)):
        keys = ["size=%d" % size, "batch=%d" % batch, "threads=%d" % o.threads]
        compare("silhouette CNN, training step, %dx%d, batch %d, %d threads" % (size, size, batch, o.threads), [own("step", keys)] + four_peers(o, "step", keys),
                {"": target}, o.seconds, report)


def conv(o, report):
    for channels, size in ((32, 32),) if o.quick else ((32, 128), (64, 64), (128, 32), (256, 16)):
        for batch in (1,) if o.quick else (1, 8):
            keys = ["channels=%d" % channels, "size=%d" % size, "batch=%d" % batch, "threads=%d" % o.threads]
            compare("conv3x3 forward and backward, %d channels at %dx%d, batch %d, %d threads" % (channels, size, size, batch, o.threads),
                    [own("conv", keys)] + four_peers(o, "conv", keys), {"": 1.7 if (channels, batch) == (256, 1) else 2.3}, o.seconds, report)


def pose(o, report):
    """HigherHRNet-W32 at 512x512: inference, and a training step's forward and backward."""
    size = 64 if o.quick else 512
    for train, batch in ((False, 1), (True, 1)) if o.quick else ((False, 1), (False, 8), (True, 1), (True, 2)):
        keys = ["size=%d" % size, "batch=%d" % batch, "threads=%d" % o.threads, "channels=32", "train=%s" % str(train).lower()]
        what = "training step, forward and backward" if train else "inference"
        compare("HigherHRNet-W32, %s, %dx%d, batch %d, %d threads" % (what, size, size, batch, o.threads), [own("pose", keys)] + four_peers(o, "pose", keys),
                {"": 1.9} if train else {"eager": 2.5, "compile": 2.0}, max(o.seconds, 0 if o.quick else 60), report)


def mlp(o, report):
    epochs = 2 if o.quick else 100
    keys = ["threads=%d" % o.threads, "epochs=%d" % epochs]
    peers = [peer("mlp", "eager", keys), peer("mlp", "eager", keys, THP), peer("mlp", "vmap", keys), peer("mlp", "vmap", keys, THP)]
    compare("MLP 6-32-2, 310 rows, 5 folds, %d epochs, %d threads" % (epochs, o.threads), [own("mlp", keys)] + peers, {"eager": 100, "vmap": 10}, o.seconds, report)


def timed(argv, env=None):
    """Wall time of a whole program, the CPU that others took meanwhile, its peak memory."""
    before, start = busy_s(), time.monotonic()
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=ROOT, env={**os.environ, **(env or {})})
    error = process.stderr.read().decode(errors="replace").strip().splitlines()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - start
    if status:
        raise RuntimeError("%s: %s" % (os.path.basename(argv[0]), error[-1] if error else "failed"))
    return dict(wall=wall, clean=quiet(wall, busy_s() - before - usage.ru_utime - usage.ru_stime), peak=usage.ru_maxrss * 1024)


def compare_whole(title, jobs, target, rounds, report):
    taken = {name: [] for name, _, _ in jobs}
    try:
        for k in range(rounds):
            for name, argv, env in jobs:
                taken[name].append(timed([a.replace("%K", str(k)) for a in argv], env))
    except RuntimeError as e:
        say("## %s\n  cannot be timed: %s" % (title, e))
        return
    results = {}
    for name, runs in taken.items():
        clean = [r for r in runs if r["clean"]]
        times = [r["wall"] for r in (clean if len(clean) >= 3 else runs)]
        results[name] = dict(median_s=statistics.median(times), least_s=min(times), clean=len(clean), taken=len(runs), peak_bytes=max(r["peak"] for r in runs))
    conclude(title, results, target, report)


def vertebral(o, folder):
    """What names the table: --table, the recipe's file, or one imported here from ../shared/data; None where there is none."""
    made = os.path.join(ROOT, "datasets", "vertebral_column")
    source = os.path.join(ROOT, "..", "shared", "data", "vertebral_column", "column_2C_weka.csv")
    if o.table:
        return ["data=" + o.table]
    if os.path.exists(os.path.join(made, "data", "vertebral_column.h5")):
        return []
    if not os.path.exists(source):
        return None
    shutil.copy(source, folder)
    shutil.copy(os.path.join(made, "import2.cfg"), folder)
    subprocess.run([DORSUM, "import", "csv", folder + "/import2.cfg", "-o", folder + "/table.h5"], check=True, stdout=subprocess.DEVNULL)
    return ["data=" + folder + "/table.h5"]


def whole_mlp(o, report):
    config = os.path.join(ROOT, "experiments", "vertebral_column", "experiment.cfg")
    if not os.path.exists(config):
        say("## dorsum run of the MLP experiment: no experiments/vertebral_column here")
        return
    with tempfile.TemporaryDirectory() as folder:
        data = vertebral(o, folder)
        if data is None:
            say("## dorsum run of vertebral_column: skipped, 1 comparison: datasets/vertebral_column/recipe.sh has not been run")
            return
        jobs = [("dorsum", [DORSUM, "run", config, "--quiet", "--jobs", str(o.threads), "--out", folder + "/%K"] + data, None),
                ("eager", [sys.executable, PEER, "table", "threads=%d" % o.threads], None), ("eager+thp", [sys.executable, PEER, "table", "threads=%d" % o.threads], THP)]
        compare_whole("whole `dorsum run` of vertebral_column, report included, beside `import torch` and one training of 5 folds", jobs, {"": 1}, 1 if o.quick else 5, report)


CONFIG = """experiment = "bench";
data = "%s";
target = { column = "pattern"; positive = "EP"; };
split = { scheme = "kfold"; folds = 5; seed = 1; };
seeds = [1, 2];
inputs = { backward = { from = "silhouettes"; movement = "backward"; net = "cnn"; }; };
nets = { cnn = { kind = "silhouette_cnn"; channels = [16, 32, 64, 128]; }; };
train = { optimizer = "adam"; lr = 1e-3; epochs = %d; batch = 32; stop = "none"; };
arms = { cnn = { use = ["backward"]; }; };
"""


def experiment(o, report):
    """10 cells over 1,280 silhouettes of 40 synthetic people, one cell a thread, from reading the data to predictions (ours: and the report)."""
    epochs, people = (1, 10) if o.quick else (4, 40)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([DORSUM, "synth", "-o", folder, "--quiet", "subjects=%d" % people, "frames=32", "size=64"], check=True)
        config, data = folder + "/bench.cfg", folder + "/cohort.h5"
        with open(config, "w") as f:
            f.write(CONFIG % (data, epochs))
        theirs = [sys.executable, PEER, "experiment", "data=" + data, "threads=%d" % o.threads, "epochs=%d" % epochs, "out=" + folder + "/theirs.csv"]
        jobs = [("dorsum", [DORSUM, "run", config, "--quiet", "--jobs", str(o.threads), "--out", folder + "/run%K"], None), ("eager", theirs, None), ("eager+thp", theirs, THP)]
        compare_whole("silhouette experiment, 5 folds x 2 seeds, 64x64, %d epochs, %d threads" % (epochs, o.threads), jobs, {"": 2.7}, 1 if o.quick else 3, report)


PARTS = dict(silhouette=silhouette, conv=conv, pose=pose, mlp=mlp, run=whole_mlp, experiment=experiment)


def cpu_model():
    with open("/proc/cpuinfo") as f:
        return next((line.split(":", 1)[1].strip() for line in f if line.startswith("model name")), platform.machine())


def versions():
    torch = subprocess.run([sys.executable, PEER, "versions"], capture_output=True, text=True)
    dorsum = subprocess.run([DORSUM, "--version"], capture_output=True, text=True)
    if torch.returncode:
        sys.exit("bench: %s has no working torch: %s" % (sys.executable, (torch.stderr.strip().splitlines() or ["?"])[-1]))
    return dict(torch=torch.stdout.strip(), dorsum=dorsum.stdout.strip(), cpu=cpu_model(), cores=os.cpu_count(), python=platform.python_version(),
                kernel=platform.release())


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--part", default="all", help="comma-separated: " + ", ".join(PARTS))
    args.add_argument("--threads", type=int, default=2)
    args.add_argument("--seconds", type=float, default=20, help="to wait for undisturbed samples in each comparison")
    args.add_argument("--table", default="", help="dataset file for the run of vertebral_column")
    args.add_argument("--quick", action="store_true", help="small shapes and one peer, to try this script; no figures to quote")
    o = args.parse_args()
    parts = list(PARTS) if o.part == "all" else o.part.split(",")
    for p in parts:
        if p not in PARTS:
            sys.exit("bench: no part '%s'; there are %s" % (p, ", ".join(PARTS)))
    v, report = versions(), []
    say("\n".join("%s: %s" % kv for kv in v.items()))
    say("load %.2f; other work on the machine hits both sides, ours harder" % os.getloadavg()[0])
    for p in parts:
        PARTS[p](o, report)
    folder = os.path.join(ROOT, "results", "bench")
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, time.strftime("%Y-%m-%d_%H%M.json"))
    with open(path, "w") as f:
        json.dump(dict(versions=v, threads=o.threads, comparisons=report), f, indent=1)
    missed = [r for c in report for r in c["ratios"] if not r["met"]]
    say("%d of %d targets met; wrote %s" % (sum(len(c["ratios"]) for c in report) - len(missed), sum(len(c["ratios"]) for c in report), os.path.relpath(path, ROOT)))


if __name__ == "__main__":
    main()
