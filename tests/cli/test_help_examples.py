# SPDX-License-Identifier: Apache-2.0
"""The examples that `culvert COMMAND --help` shows are real: each one runs, against Kafka and tables on this machine.

An example runs in a shell as it is shown, but for what addresses() replaces; its files are those of the fixture.  One
that names an address that is not there, or that no line of ENDINGS speaks of, is a failure: say there how it ends."""
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import signal

from culvert_test import ports
from culvert_test.dynamodb import DynamoDbLocal
from culvert_test.fake_servers import AwsServer
from culvert_test.function import kafka_event, kafka_record
from culvert_test.kafka import KafkaCluster
from culvert_test.process import Process, wait_until
from culvert_test.runner import CulvertTest, culvert_program, main
from culvert_test.workspace import build_directory

FUNCTION = pathlib.Path(__file__).resolve().parents[1] / "support" / "recording_function.py"
AT_ONCE = 4             # examples; most of their time is waiting
SECONDS = 60            # for one example
ARN = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:telemetry-AbCdEf"
BROKER = "b-1.telemetry.kafka.eu-central-1.amazonaws.com"
HAND_OVER = {"version": 1, "cluster": "arn:aws:kafka:eu-central-1:111122223333:cluster/telemetry/0a1b",
             "region": "eu-central-1", "kafka_version": "3.9.x", "authentication": "iam",
             "brokers": {"1": {"host": BROKER, "port": 9098}}}

RECORDS = 20_000        # of the topic that the fixture's tables hold; as many again come after them

SENT = object()

# What an example's line begins with (the first that fits counts) -> (what it shows; when to press Ctrl-C: once it shows
# that, once it has SENT something, once its group has committed more than so many records, or None if it ends by
# itself; its exit code).
ENDINGS = [
    (r"demo", r"verify: windows=[1-9]\d* .*different=0 missing=0 extra=0", r"stored=[1-9]", 0),
    (r"produce .*--count 1M", r"acknowledged=1000000 failed=0", None, 0),
    (r"produce ", r"acknowledged=[1-9]\d* failed=0", SENT, 0),
    (r"consume .*--listen ", r'(?s)http://127\.0\.0\.1:\d+/.*"message":"stopped".*"records":[1-9]', 0, 0),
    (r"consume .*--exit-at-end", r'"message":"stopped".*"records":[1-9]', None, 0),
    (r"consume .*dynamodb:", r'"message":"stopped".*"records":[1-9]', RECORDS, 0),
    (r"consume .*--table ", r'"message":"stopped".*"records":[1-9]', 0, 0),
    (r"bridge ", r'"message":"stopped".*"batches":[1-9]', 0, 0),
    (r"dead-letters redrive .*given-up", r"records=2\b", None, 0),
    (r"dead-letters redrive .* -t ", r"batches=0\b", None, 0),  # the fixture's checkpoints passed nothing over
    (r"dead-letters redrive .*--late", r"late=0\b", None, 0),
    (r"dead-letters redrive ", r"letters=[1-9]", None, 0),
    (r"dead-letters list .*--format json", r'(?m)^\{.*"reason"', None, 0),
    (r"dead-letters list ", r"readings@1/3:\d+ .* tombstone", None, 0),
    (r"query .*--format json", r'(?m)^\{.*"device', None, 0),
    (r"query ", r"(?m)^7 .*(closed|open)", None, 0),
    (r"tail .*(-e|-c)\b", r"device_id", None, 0),
    (r"tail ", r"device_id", r"device_id", 0),
    (r"dashboard ", r"dashboard: http://", r"dashboard: http://", 0),
    # No zone here has the other account's broker: doctor reads the hand-over and names that hop.
    (r"doctor .*--from-analytics", rf"(?s)1 broker in eu-central-1.*{re.escape(BROKER)}", None, 69),
    (r"doctor .*--format json", r'"hop":"read","state":"passed"', None, 0),
    (r"doctor ", r"No hop is broken", None, 0),
    (r"verify ", r"different=0 missing=0 extra=0", None, 0),
    (r"validate ", r" in order\n", None, 0),
    (r"version", r"librdkafka", None, 0),
]


class HelpExamples(CulvertTest):
    def test_every_example_runs(self):
        self.kafka = self.own(KafkaCluster(secure=False))
        self.dynamodb = self.own(DynamoDbLocal())
        self.aws = self.own(AwsServer({"GetSecretValue": (200, {"SecretString": json.dumps(HAND_OVER)}),
                                       "/2015-03-31/functions/": (200, {"batchItemFailures": []})}))
        self.environment = {
            **self.dynamodb.environment, "AWS_ENDPOINT_URL_SECRETS_MANAGER": self.aws.url,
            "PATH": f"{culvert_program().parent}:{os.environ['PATH']}",
            "TMPDIR": str(self.directory)}      # the demo leaves its table for whoever wants to look at it
        self.make_fixture()
        examples = list(self.examples())
        self.assertGreaterEqual(len({name for name, _ in examples}), 12)
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            runs = [pool.submit(self.try_example, number, text) for number, (_, text) in enumerate(examples)]
        for (_, text), run in zip(examples, runs):
            with self.subTest(example=text):
                wrong = run.result()
                self.assertIsNone(wrong, wrong)

    def examples(self):
        """(command, its line as shown), for all commands."""
        listed = self.culvert("--help").stdout
        names = re.findall(r"(?m)^  ([a-z][a-z-]*(?: [a-z]+)?)  ", listed)
        for name in names:
            shown = self.culvert(*name.split(), "--help").stdout
            part = re.search(r"\nExamples\n(.*?)\n\n", shown, re.S)
            self.assertIsNotNone(part, f"culvert {name} --help shows no example")
            found = re.findall(r"(?m)^  (culvert (?:.*\\\n)*.*)$", part[1])
            self.assertEqual(len(found), len(re.findall(r"(?m)^  # ", part[1])), f"{name}: {part[1]}")
            for text in found:
                self.assertTrue(re.match(rf"culvert {name}\b", text), f"{name}: {text}")
                yield name, text

    def make_fixture(self):
        """A topic and its windows, here and in DynamoDB, and every file that an example names."""
        self.fixture = self.directory / "fixture"
        self.fixture.mkdir()
        self.kafka.create_topic("readings", 4)
        log = ["-b", self.kafka.bootstrap, "-t", "readings"]
        produce = ["produce", *log, "--count", RECORDS, "--devices", 100, "--rate", "max", "--interval", "1s",
                   "--start-time", "2026-11-23T15:01:00Z", "--bad-share", "0.5%"]
        self.culvert(*produce, timeout=60)
        for table in (f"sqlite:{self.fixture / 'windows.db'}", "dynamodb:windows"):
            self.culvert("consume", *log, "-G", "fixture", "--table", table, "--exit-at-end", "--create-table",
                         env=self.environment, timeout=60)
        self.culvert(*produce, timeout=60)
        bootstrap = self.fixture / "bootstrap"
        bootstrap.write_text(f"#!/bin/sh\nexport RECORDING=.\nexec python3 -B {FUNCTION}\n", encoding="ascii")
        bootstrap.chmod(0o755)
        (self.fixture / "culvert-lambda").symlink_to(build_directory() / "culvert-lambda")
        (self.fixture / "token.txt").write_text("0123456789abcdef0123456789abcdef\n", encoding="ascii")
        (self.fixture / "token.txt").chmod(0o600)
        (self.fixture / "culvert.toml").write_text('[common]\ntopic = "readings"\n', encoding="ascii")
        (self.fixture / "connection.json").write_text(json.dumps(HAND_OVER), encoding="ascii")
        (self.fixture / "given-up").mkdir()
        event = kafka_event([kafka_record("readings", 0, offset, b"no reading") for offset in range(2)])
        document = {"version": "1.0", "KafkaBatchInfo": {"batchSize": 2}, "payload": json.dumps(event)}
        (self.fixture / "given-up" / "1.json").write_text(json.dumps(document), encoding="ascii")

    def addresses(self, number):
        """Pattern of what an example shows -> what stands there in the test."""
        port = ports.free_port()
        return {
            r"http://localhost:8000": self.dynamodb.endpoint,
            r"http://localhost:9000": self.aws.url,
            r"(?<=--listen )8080": str(port),
            r"(?<=--listen 0\.0\.0\.0:)8080": str(port),
            r"secret:ARN": f"secret:{ARN}",
            r"(?<=culvert produce -b localhost:9092 -t )readings": f"sent-{number}",  # no log that others read grows
            r"localhost:9092": self.kafka.bootstrap,
            r"(?<=-G )\w+": f"group-{number}",  # examples run beside each other
        }

    def try_example(self, number, shown):
        """What is wrong with the example, or None."""
        joined = re.sub(r" \\\n +", " ", shown)
        for begins, shows, until, code in ENDINGS:
            if re.match("culvert " + begins, joined):
                break
        else:
            return f"no line of ENDINGS says how this ends: {joined}"
        text, left = shown, joined
        for pattern, real in self.addresses(number).items():
            text, left = re.sub(pattern, real, text), re.sub(pattern, "", left)
        if strange := re.findall(r"\S*localhost\S*|\S+:\d{4,5}\b|\S*\bARN\b", left):
            return f"nobody knows what {strange} is here: {joined}"
        directory = self.directory / f"example-{number}"
        shutil.copytree(self.fixture, directory, symlinks=True)
        if joined.startswith("culvert consume"):
            (directory / "windows.db").unlink()
        if joined.startswith("culvert produce"):
            self.kafka.create_topic(f"sent-{number}", 4)
        process = Process(["sh", "-c", f"exec {text}"], name="example", directory=directory, cwd=directory,
                          env=self.environment)
        try:
            self.interrupt(process, until, number)
            return self.judge(process, shows, code)
        finally:
            process.kill()

    def interrupt(self, process, until, number):
        if until is None:
            return
        if isinstance(until, int):
            group = f"group-{number}"
            wait_until(lambda: sum(self.kafka.group_offsets(group, "readings").values()) > until, SECONDS,
                       f"{process.args[-1]} has committed", process, interval=0.2)
        elif until is SENT:
            wait_until(lambda: sum(self.kafka.end_offsets(f"sent-{number}").values()) > 0, SECONDS,
                       f"{process.args[-1]} has sent something", process, interval=0.2)
        else:
            process.wait_for(until, SECONDS)
        process.signal(signal.SIGINT)

    @staticmethod
    def judge(process, shows, code):
        ended = process.wait(SECONDS)
        said = process.stdout() + process.stderr()
        if ended != code or not re.search(shows, said):
            return f"{process.args[-1]}\nexit code {ended}, and not {code} with /{shows}/:\n{said[-4000:]}"
        return None


if __name__ == "__main__":
    main()
