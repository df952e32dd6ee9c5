#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The function against an empty static program and against Python with boto3.

    lambda.py --function BIN --empty BIN --python VENV/bin/python3 [--zip ZIP] [--rounds 11]

Method: a Runtime API and DynamoDB Local beside the function.  A start is timed from exec to the arrival of the first
`next`, programs in turn.  Warm cost is the CPU time of all threads of the function for one invocation, from the
kernel, at batches of 1, 100 and 10 000 records; the table's time is not in it.  Before a figure is printed, each
program's table is compared with what the records say: culvert's windows, and the peer's means per batch.
"""

import argparse
import collections
import decimal
import pathlib
import statistics
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))

from culvert_test.dynamodb import DynamoDbLocal  # noqa: E402 (the path is needed first)
from culvert_test.function import RuntimeApi, kafka_event, kafka_record  # noqa: E402
from culvert_test.process import Process  # noqa: E402

BATCHES = {1: 60, 100: 30, 10_000: 4}  # records: invocations that are measured
WARM_UP = 3
DEVICES_MOST = 100
START_MS = 1_682_942_400_000
WINDOW = "2023-05-01T12:00:00.000Z"  # one for all, so that a batch of the peer and a window are about the same thing


def say(text):
    print(text, file=sys.stderr, flush=True)


class Side:
    """One program, with tables of its own."""

    def __init__(self, name, command, environment):
        self.name = name
        self.command = command
        self.environment = environment
        self.cpu = {}
        self.wall = {}
        self.start_ms = []
        self.rss_kib = 0

    def spawn(self, api):
        variables = {**self.environment, "AWS_LAMBDA_RUNTIME_API": api.address}
        settings = [f"{key}={value}" for key, value in variables.items()]
        return Process(["env", "-i", *settings, *self.command], name=self.name)


def cpu_ns(pid):
    """CPU time of all threads that live; ours and Python's live as long as the process."""
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text(encoding="ascii").split()[0])
    return total


def peak_kib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1])
    raise SystemExit(f"no VmHWM of process {pid}")


class Records:
    def __init__(self):
        self.offset = 0
        self.by_device = collections.defaultdict(list)  # of all records, in millionths
        self.last = {}  # of the last batch

    def batch(self, count):
        records, self.last = [], collections.defaultdict(list)
        for _ in range(count):
            device = self.offset % min(DEVICES_MOST, max(1, count // 10))
            millis = self.offset % 59_000
            centi = self.offset * 7_919 % 4_000
            body = (f'{{"device_id":{device},"timestamp":"2023-05-01T12:00:{millis // 1000:02}.{millis % 1000:03}000",'
                    f'"temperature":{centi // 100}.{centi % 100:02}}}')
            records.append(kafka_record("readings", 0, self.offset, body.encode(), timestamp=START_MS + millis,
                                        key=str(device).encode()))
            for values in (self.by_device[device], self.last[device]):
                values.append(decimal.Decimal(centi) / 100)
            self.offset += 1
        return kafka_event(records)


def create_tables(dynamodb, name):
    dynamodb.create_table(name, ("device_id", "N"), ("window_start", "S"))
    dynamodb.create_table(f"{name}-checkpoints", ("stream", "S"), ("partition", "N"))
    dynamodb.create_table(f"{name}-dead-letters", ("position", "S"), ("offset", "N"))


def check_culvert(dynamodb, table, records):
    stored = {int(item["device_id"]["N"]): (int(item["count"]["N"]), decimal.Decimal(item["sum_temp"]["N"]))
              for item in dynamodb.scan(table) if item["window_start"]["S"] == WINDOW}
    expected = {device: (len(values), sum(values)) for device, values in records.by_device.items()}
    if stored != expected:
        raise SystemExit(f"culvert's windows are not those of the records: {len(stored)} against {len(expected)}")


def check_peer(dynamodb, table, records):
    """The items of the last batch; earlier ones with the same first timestamp are overwritten, as that job does."""
    means = collections.defaultdict(set)
    for item in dynamodb.scan(table):
        means[int(item["device_id"]["N"])].add(decimal.Decimal(item["avg_temp"]["N"]))
    for device, values in records.last.items():
        mean = sum(values) / len(values)
        if not any(abs(mean - one) <= decimal.Decimal("0.000001") for one in means[device]):
            raise SystemExit(f"the peer's mean of device {device} is not that of the batch: {mean}")


def measure_start(sides, rounds):
    for number in range(rounds):
        for side in sides if number % 2 == 0 else reversed(sides):
            api = RuntimeApi().start()
            begun = time.perf_counter()
            process = side.spawn(api)
            if not api.first_next.wait(60):
                raise SystemExit(f"{side.name} asked for nothing:\n{process.tail()}")
            side.start_ms.append((time.perf_counter() - begun) * 1_000)
            process.kill()
            api.stop()


def measure_warm(dynamodb, side, count, check):
    table = side.environment["TABLE"] if "TABLE" in side.environment else side.environment["CULVERT_TABLE"][9:]
    for name in (table, f"{table}-checkpoints", f"{table}-dead-letters"):
        if name in dynamodb.call("ListTables", {})["TableNames"]:
            dynamodb.call("DeleteTable", {"TableName": name})
    create_tables(dynamodb, table)
    api, records = RuntimeApi().start(), Records()
    process = side.spawn(api)
    cpu, wall = [], []
    for number in range(WARM_UP + BATCHES[count]):
        invocation = api.invoke(records.batch(count), seconds=300)
        if not invocation.delivered.wait(60):
            raise SystemExit(f"{side.name} asked for nothing:\n{process.tail()}")
        before, begun = cpu_ns(process.pid) if number else 0, time.perf_counter()
        outcome = invocation.outcome(300)
        took = time.perf_counter() - begun
        if outcome != ("response", {"batchItemFailures": []}):
            raise SystemExit(f"{side.name} answered {outcome}\n{process.tail()}")
        if number >= WARM_UP:
            cpu.append(cpu_ns(process.pid) - before)
            wall.append(took * 1e9)
        check_at = WARM_UP + BATCHES[count] - 1
        if number == check_at:
            check(dynamodb, table, records)
    side.cpu[count] = statistics.median(cpu) / count
    side.wall[count] = statistics.median(wall) / count
    side.rss_kib = max(side.rss_kib, peak_kib(process.pid))
    process.kill()
    api.stop()


def main():
    parser = argparse.ArgumentParser(description="The function against an empty program and against Python with boto3.")
    parser.add_argument("--function", type=pathlib.Path, required=True)
    parser.add_argument("--empty", type=pathlib.Path, required=True)
    parser.add_argument("--python", type=pathlib.Path, required=True)
    parser.add_argument("--zip", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=11)
    options = parser.parse_args()
    with DynamoDbLocal(heap_mb=512, quick=False) as dynamodb:
        common = {**dynamodb.environment, "AWS_DEFAULT_REGION": dynamodb.environment["AWS_REGION"]}
        culvert = Side("culvert-lambda", [options.function], {**common, "CULVERT_TABLE": "dynamodb:culvert"})
        # As in AWS: with TLS, and so with a TLS context.
        tls = Side("culvert-lambda-tls", [options.function],
                   {**culvert.environment, "AWS_ENDPOINT_URL_DYNAMODB": "https://127.0.0.1:9"})
        empty = Side("empty", [options.empty], {})
        peer = Side("python-boto3", [options.python, "-B", ROOT / "bench" / "peers" / "python_function.py"],
                    {**common, "TABLE": "python"})
        say(f"exec to the first next, {options.rounds} rounds")
        measure_start([empty, culvert, tls, peer], options.rounds)
        for count in BATCHES:
            say(f"warm, batches of {count}")
            measure_warm(dynamodb, culvert, count, check_culvert)
            measure_warm(dynamodb, peer, count, check_peer)
    start = {side.name: statistics.median(side.start_ms) for side in (empty, culvert, tls, peer)}
    least = {side.name: min(side.start_ms) for side in (empty, culvert, tls, peer)}
    print("results equal: yes")
    for name, median in start.items():
        print(f"exec to first next, {name}: median {median:.2f} ms, least {least[name]:.2f} ms, "
              f"{median / start['empty']:.1f} x empty, 1/{start['python-boto3'] / median:.0f} of Python")
    for count in BATCHES:
        print(f"CPU a record, batches of {count}: culvert {culvert.cpu[count] / 1e3:.2f} us, "
              f"Python {peer.cpu[count] / 1e3:.2f} us, 1/{peer.cpu[count] / culvert.cpu[count]:.1f}; "
              f"wall {culvert.wall[count] / 1e3:.2f} and {peer.wall[count] / 1e3:.2f} us")
    print(f"peak memory: culvert {culvert.rss_kib / 1024:.1f} MiB, Python {peer.rss_kib / 1024:.1f} MiB")
    if options.zip:
        print(f"package: {options.zip.stat().st_size} bytes")


if __name__ == "__main__":
    main()
