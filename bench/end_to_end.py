#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""End to end: culvert consume against an ordinary C++ consumer, from one real broker, results checked equal first.

    end_to_end.py --culvert BIN --peer BIN [--records 3000000] [--devices 1000] [--pairs 11]

Method: one topic of 4 partitions, lz4, records of the reference's shape.  Both programs read all of it from the start,
each pinned to one core (the broker keeps the other), in turn A B B A, and the CPU time of the whole process (user and
system, all threads) is taken from the kernel when it ends.  Printed: the median of the pair ratios with its 10 % and
90 % points.  No figure is printed when results differ, and no ratio when the band is wider than 25 % of the median;
memory is printed all the same, as it does not depend on what else the machine does nearly as much.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))

from culvert_test.kafka import KafkaCluster  # noqa: E402

TOPIC = "bench"
WINDOW_SECONDS = 60
BAND_MOST = 0.25


def say(text):
    print(text, file=sys.stderr, flush=True)


def measured(args, core, output=None):
    """Runs to the end; CPU seconds of the process, wall seconds, peak memory in MiB."""
    sink = open(output, "wb") if output else subprocess.DEVNULL
    begun = time.monotonic()
    pin = (lambda: os.sched_setaffinity(0, {core})) if core is not None else None
    with subprocess.Popen(args, stdout=sink, stderr=subprocess.PIPE, preexec_fn=pin) as process:
        complaint = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(args)}\nended with {process.returncode}: {complaint.decode()[-2000:]}")
    return usage.ru_utime + usage.ru_stime, time.monotonic() - begun, usage.ru_maxrss / 1024


class Bench:
    def __init__(self, options, cluster, directory):
        self.options = options
        self.bootstrap = cluster.admin_bootstrap
        self.directory = pathlib.Path(directory)
        self.runs = 0

    def produce(self):
        o = self.options
        say(f"producing {o.records} records of {o.devices} devices into 4 partitions")
        begun = time.monotonic()
        subprocess.run([o.culvert, "produce", "-b", self.bootstrap, "-t", TOPIC, "--devices", str(o.devices),
                        "--rate", "max", "--count", str(o.records), "--seed", "7", "--disorder", "5s",
                        "--start-time", "2026-11-23T12:00:00Z"], check=True, stdout=subprocess.DEVNULL)
        return o.records / (time.monotonic() - begun)

    def culvert(self, core, keep=None):
        self.runs += 1
        table = self.directory / f"run{self.runs}.db"
        figures = measured([self.options.culvert, "consume", "-b", self.bootstrap, "-t", TOPIC,
                            "-G", f"bench{self.runs}", "--table", f"sqlite:{table}",
                            "--window", f"{WINDOW_SECONDS}s", "--exit-at-end",
                            "--log-level", "warning"], core)
        if keep:
            with open(keep, "wb") as out:
                subprocess.run([self.options.culvert, "query", "--table", f"sqlite:{table}", "--format", "json"],
                               check=True, stdout=out)
        for part in self.directory.glob(f"run{self.runs}.db*"):
            part.unlink()
        return figures

    def peer(self, core, keep=None):
        return measured([self.options.peer, self.bootstrap, TOPIC, str(WINDOW_SECONDS)], core, keep)

    def check_equal(self):
        """Both programs' windows: the same keys and counts, and numbers that agree to what a double can say."""
        ours, theirs = self.directory / "ours.json", self.directory / "theirs.json"
        self.culvert(None, ours)
        self.peer(None, theirs)
        rows, count = 0, 0
        with open(ours, encoding="utf-8") as a, open(theirs, encoding="utf-8") as b:
            for left, right in zip(a, b, strict=True):
                left, right = json.loads(left), json.loads(right)
                start = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(right["start"]))
                same = (left["device_id"] == right["device_id"] and left["window_start"] == start
                        and left["count"] == right["count"]
                        and all(abs(left[f"{name}_temp"] - right[name]) < 1.1e-6 for name in ("avg", "min", "max")))
                if not same:
                    raise SystemExit(f"results differ, no figure is printed:\n{left}\n{right}")
                rows += 1
                count += left["count"]
        if count != self.options.records:
            raise SystemExit(f"results hold {count} readings, produced were {self.options.records}")
        say(f"results equal: {rows} windows, {count} readings")


def percentile(values, share):
    ordered = sorted(values)
    at = share * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


def pairs(bench, count):
    core = max(os.sched_getaffinity(0))
    ours, theirs = [], []
    for i in range(count):
        order = (bench.culvert, bench.peer) if i % 2 == 0 else (bench.peer, bench.culvert)
        for run in order:
            (ours if run == bench.culvert else theirs).append(run(core))
        say(f"pair {i + 1}/{count}: {ours[-1][0]:.2f} s and {theirs[-1][0]:.2f} s of CPU")
    return ours, theirs


def report(options, ours, theirs, unpinned, produced):
    for name, runs in (("culvert", ours), ("ordinary C++", theirs)):
        peaks = sorted(r[2] for r in runs)
        print(f"peak memory, {options.devices} devices, {len(peaks)} runs, {name}: median "
              f"{statistics.median(peaks):.0f} MiB ({peaks[0]:.0f}-{peaks[-1]:.0f})")
    ratios = [a[0] / b[0] for a, b in zip(ours, theirs, strict=True)]
    middle, low, high = statistics.median(ratios), percentile(ratios, 0.1), percentile(ratios, 0.9)
    band = (high - low) / middle
    if band > BAND_MOST:
        raise SystemExit(f"the middle 80 % of the ratios span {band:.0%} of the median: too noisy to quote; "
                         "run it again")
    n = options.records

    def nanoseconds(runs):
        return statistics.median(r[0] for r in runs) / n * 1e9

    print(f"{n} records, {options.devices} devices, 4 partitions, lz4, {len(ratios)} pairs, one core")
    print(f"{'':28}{'CPU ns/record':>15}")
    print(f"{'culvert (fences, SQLite)':28}{nanoseconds(ours):15.0f}")
    print(f"{'ordinary C++ (keeps nothing)':28}{nanoseconds(theirs):15.0f}")
    print(f"CPU ratio: median {middle:.3f} (1/{1 / middle:.1f}), 10-90 % {low:.3f}-{high:.3f}")
    rates = [n / r[1] / 1e6 for r in unpinned]
    print(f"rate beside the broker on {os.cpu_count()} cores, with start and exit: median "
          f"{statistics.median(rates):.2f} M records/s ({min(rates):.2f}-{max(rates):.2f})")
    print(f"produced at {produced / 1e6:.2f} M records/s")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--culvert", required=True)
    parser.add_argument("--peer", required=True)
    parser.add_argument("--records", type=int, default=3_000_000)
    parser.add_argument("--devices", type=int, default=1_000)
    parser.add_argument("--pairs", type=int, default=11)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="culvert-bench-") as directory, KafkaCluster(secure=False) as cluster:
        cluster.create_topic(TOPIC, 4)
        bench = Bench(options, cluster, directory)
        produced = bench.produce()
        bench.check_equal()
        ours, theirs = pairs(bench, options.pairs)
        unpinned = [bench.culvert(None) for _ in range(3)]
        report(options, ours, theirs, unpinned, produced)


if __name__ == "__main__":
    main()
