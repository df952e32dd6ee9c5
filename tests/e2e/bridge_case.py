# SPDX-License-Identifier: Apache-2.0
"""What the tests of `culvert bridge` share: a function that writes down what it gets, and a reader of what it wrote."""
import base64
import collections
import json
import pathlib
import subprocess

from culvert_test.process import wait_until
from kafka_case import KafkaCase

UUID = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
FUNCTION = pathlib.Path(__file__).resolve().parents[1] / "support" / "recording_function.py"


class Call:
    """One invocation as the function saw it."""

    def __init__(self, entry):
        self.request = entry["begin"]
        self.pid = entry["pid"]
        self.begun = entry["time"]
        self.ended = None  # it never answered
        self.error = None
        self.bytes = entry["bytes"]
        self.event = entry["event"]
        self.records = [(r["partition"], r["offset"]) for records in self.event["records"].values() for r in records]
        self.partitions = {partition for partition, _ in self.records}

    @property
    def succeeded(self):
        return self.ended is not None and self.error is None


class BridgeCase(KafkaCase):
    def setUp(self):
        super().setUp()
        self.recording = self.directory / "recording"
        self.recording.mkdir()
        self.function = self.directory / "bootstrap"
        self.write_function(f"exec python3 -B {FUNCTION}")

    def write_function(self, command):
        self.function.write_text(f"#!/bin/sh\n{command}\n", encoding="utf-8")
        self.function.chmod(0o755)

    def put(self, partition, values, headers=(), key=None):
        """Appends records by another client."""
        options = [word for header in headers for word in ("-H", header)]
        options += ["-k", key] if key is not None else []
        text = "".join(f"{value}\n" for value in values)
        subprocess.run(["kcat", "-P", "-b", self.cluster.admin_bootstrap, "-t", self.topic, "-p", str(partition),
                        *options], input=text.encode(), check=True, timeout=60)

    def put_file(self, partition, path):
        """Appends one record, whose value is the file."""
        subprocess.run(["kcat", "-P", "-b", self.cluster.admin_bootstrap, "-t", self.topic, "-p", str(partition),
                        "-X", "message.max.bytes=20000000", path], check=True, timeout=60)

    def bridge_options(self, *options, function=None):
        return ["bridge", *self.kafka, "-G", self.topic, "--function", function or self.function, *options,
                *([] if function else ["--env", f"RECORDING={self.recording}"])]

    def bridge_to_end(self, *options, function=None, timeout=60, expect=0):
        return self.culvert(*self.bridge_options("--exit-at-end", *options, function=function), timeout=timeout,
                            expect=expect)

    def start_bridge(self, *options, name="bridge", function=None):
        return self.start_culvert(*self.bridge_options(*options, function=function), name=name)

    def calls(self):
        """In the order they began."""
        path = self.recording / "calls"
        calls = {}
        lines = path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []
        for entry in map(json.loads, lines):
            if "begin" in entry:
                calls[entry["begin"]] = Call(entry)
            else:
                calls[entry["end"]].ended = entry["time"]
                calls[entry["end"]].error = entry.get("error")
        return sorted(calls.values(), key=lambda call: call.begun)

    def wait_calls(self, count, process, timeout=60):
        return wait_until(lambda: len(self.calls()) >= count and self.calls(), timeout, f"{count} invocations", process)

    @staticmethod
    def delivered(calls):
        """(partition, offset) -> how often, over calls that succeeded."""
        return collections.Counter(record for call in calls if call.succeeded for record in call.records)

    def assert_in_order(self, calls):
        """Each partition's records first come in the order of their offsets, and in ascending order in each batch."""
        seen = collections.defaultdict(lambda: -1)
        for call in calls:
            for partition in call.partitions:
                offsets = [offset for p, offset in call.records if p == partition]
                self.assertEqual(offsets, sorted(set(offsets)))
                self.assertLessEqual(offsets[0], seen[partition] + 1, "a record was passed over")
                seen[partition] = max(seen[partition], offsets[-1])

    def assert_one_at_a_time(self, calls):
        """No two invocations that hold records of one partition overlap."""
        for partition in {p for call in calls for p in call.partitions}:
            of_partition = [call for call in calls if partition in call.partitions]
            for before, after in zip(of_partition, of_partition[1:]):
                if before.ended is not None:
                    self.assertLessEqual(before.ended, after.begun)

    def stopped(self, text):
        """The figures of the line that a bridge ends with."""
        line = next(line for line in reversed(text.splitlines()) if '"message":"stopped"' in line)
        return json.loads(line)

    @staticmethod
    def values(event):
        """(partition, offset) -> the record's value, as text."""
        return {(r["partition"], r["offset"]): base64.b64decode(r.get("value") or "").decode()
                for records in event["records"].values() for r in records}

    def offsets(self):
        return self.cluster.group_offsets(self.topic, self.topic)
