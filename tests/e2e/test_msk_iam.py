# SPDX-License-Identifier: Apache-2.0
"""--auth msk-iam and --connection against a real Kafka whose tokens are verified by an implementation of its own."""
import http.server
import json
import pathlib
import secrets
import threading
import time

from culvert_test.kafka import Bearer, KafkaCluster
from culvert_test.process import wait_until
from culvert_test.runner import CulvertTest, main
from culvert_test.workspace import workspace

REGION = "eu-central-1"
PRINCIPAL = "culvert-role"
FOREVER_MS = 1 << 52
REAUTHENTICATION_MS = 2_000   # a token is renewed two seconds before it ends
# What the program must find nothing in, so that only what a test sets counts.
NO_AWS = {name: "" for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE",
                                "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_WEB_IDENTITY_TOKEN_FILE",
                                "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI")}
CLUSTER = f"arn:aws:kafka:{REGION}:111111111111:cluster/telemetry/0123abcd-0000-4000-8000-000000000000-1"


class Identities:
    """The access keys that the broker knows, and its verdicts."""

    def __init__(self, directory):
        self.path = directory / "identities"
        self.verdicts_path = directory / "verdicts.log"
        self._lines = []
        self._lock = threading.Lock()
        self.path.touch()
        self.verdicts_path.touch()

    def add(self, end_ms=FOREVER_MS, session_token="-"):
        """A new access key and its secret."""
        key, secret = f"AKIA{secrets.token_hex(6).upper()}", secrets.token_hex(20)
        with self._lock:
            self._lines.append(f"{key} {secret} {session_token} {end_ms} {PRINCIPAL}\n")
            fresh = self.path.with_suffix(".new")
            fresh.write_text("".join(self._lines), encoding="ascii")
            fresh.rename(self.path)
        return key, secret

    def environment(self):
        key, secret = self.add()
        return {**NO_AWS, "AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}

    def accepted(self):
        """Access keys of accepted tokens, in their order."""
        lines = self.verdicts_path.read_text(encoding="utf-8").splitlines()
        return [line.split()[2] for line in lines if line.split()[1] == "accepted"]

    def refused(self):
        lines = self.verdicts_path.read_text(encoding="utf-8").splitlines()
        return [line.split(" ", 2)[2] for line in lines if line.split()[1] == "refused"]


class CredentialServer:
    """A container's credential endpoint: each answer is a new access key with a short life."""

    def __init__(self, identities, life_s):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                end = time.time() + life_s
                token = secrets.token_urlsafe(30)
                key, secret = identities.add(int(end * 1000), token)
                expiration = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(end))
                body = json.dumps({"AccessKeyId": key, "SecretAccessKey": secret, "Token": token,
                                   "Expiration": expiration}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/credentials"

    def start(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def stop(self):
        self._server.shutdown()
        self._server.server_close()


class MskIam(CulvertTest):
    @classmethod
    def setUpClass(cls):
        cls.identities = Identities(workspace().directory("identities"))
        validator = pathlib.Path(__file__).parent / "java" / "IamTokenValidator.java"
        cls.cluster = KafkaCluster(bearer=Bearer(validator, {
            "culvert.iam.region": REGION, "culvert.iam.identities": cls.identities.path,
            "culvert.iam.verdicts": cls.identities.verdicts_path}, REAUTHENTICATION_MS))
        cls.shared(cls.cluster)

    def setUp(self):
        super().setUp()
        self.topic = self.id().rsplit(".", 1)[-1].replace("_", "-")
        self.table = f"sqlite:{self.directory / 'windows.db'}"
        self.common = ["-t", self.topic, "-X", f"ssl.ca.location={self.cluster.ca}"]
        self.iam = [*self.common, "-b", self.cluster.bearer_bootstrap, "--auth", "msk-iam", "--kafka-region", REGION]
        # No shared files of whoever runs the tests, and no instance to ask.
        self.nobody = {**NO_AWS, "HOME": str(self.directory), "AWS_EC2_METADATA_DISABLED": "true"}

    def make_topic(self, user=PRINCIPAL):
        self.cluster.create_topic(self.topic, 2)
        self.cluster.acl(user, ["READ", "WRITE", "DESCRIBE"], topic=self.topic)
        self.cluster.acl(user, ["READ"], group=self.topic)

    def document(self, authentication, **changes):
        path = self.directory / "connection.json"
        broker = {"host": "b-1.telemetry.abcdef.c2.kafka.eu-central-1.amazonaws.com", "port": 9098}
        path.write_text(json.dumps({"version": 1, "cluster": CLUSTER, "region": REGION, "kafka_version": "4.1.1",
                                    "authentication": authentication, "brokers": {"1": broker}, **changes}),
                        encoding="ascii")
        return path

    def run_all(self, kafka, env):
        """Produce, consume, verify, tail: every kind of client."""
        self.culvert("produce", *kafka, "--rate", "max", "--count", 2000, env=env, timeout=60)
        self.culvert("consume", *kafka, "-G", self.topic, "--table", self.table, "--exit-at-end", env=env, timeout=60)
        done = self.culvert("verify", *kafka, "--table", self.table, env=env, timeout=60)
        self.assertRegex(done.stdout, r"different=0 missing=0 extra=0 .* records=2000")
        tail = self.culvert("tail", *kafka, "-o", "beginning", "-e", "-c", 5, "--format", "value", env=env, timeout=60)
        self.assertEqual(len(tail.stdout.splitlines()), 5)

    def test_every_client_logs_in_with_its_own_identity(self):
        self.make_topic()
        env = self.nobody | self.identities.environment()
        self.run_all(self.iam, env)
        self.assertGreaterEqual(self.identities.accepted().count(env["AWS_ACCESS_KEY_ID"]), 4)

    def test_the_hand_over_document_is_enough(self):
        """But for the address, since the brokers' own names lead nowhere here."""
        self.make_topic()
        env = self.nobody | self.identities.environment()
        self.run_all([*self.common, "--connection", self.document("iam"), "-b", self.cluster.bearer_bootstrap], env)

    def test_the_hand_over_document_of_a_scram_cluster(self):
        self.make_topic("app")
        credentials = self.directory / "user.json"
        credentials.write_text(json.dumps({"username": "app", "password": self.cluster.users["app"]}), encoding="ascii")
        self.run_all([*self.common, "--connection", self.document("scram"), "--credentials", credentials,
                      "-b", self.cluster.bootstrap], self.nobody)

    def test_tokens_are_renewed_in_a_long_connection(self):
        """Credentials of ten seconds, brokers that ask again before they end: no record lost, and none twice."""
        self.make_topic()
        server = self.own(CredentialServer(self.identities, life_s=10))
        env = self.nobody | {"AWS_CONTAINER_CREDENTIALS_FULL_URI": server.url}
        before = len(self.identities.accepted())
        consumer = self.start_culvert("consume", *self.iam, "-G", self.topic, "--table", self.table, name="consume",
                                      env=env)
        produced = self.culvert("produce", *self.iam, "--rate", "100", "--duration", "22s", env=env, timeout=90)
        self.assertRegex(produced.stdout, r"failed=0 unknown=0")
        sent = int(produced.stdout.split("acknowledged=")[1].split()[0])

        def all_read():
            done = self.culvert("verify", *self.iam, "--table", self.table, env=env, timeout=60, expect={0, 65})
            return f"records={sent} " in done.stdout and "missing=0" in done.stdout

        wait_until(all_read, 60, f"the consumer has read {sent} records", process=consumer)
        self.assertEqual(consumer.stop(timeout=30), 0)
        self.culvert("verify", *self.iam, "--table", self.table, env=env, timeout=60)
        keys = self.identities.accepted()[before:]
        # Two programs, each of which had its second and third identity accepted on the way.
        self.assertGreaterEqual(len(set(keys)), 5, keys)
        for process_log in (produced.stderr, consumer.stderr()):
            self.assertNotIn("expired", process_log)
            self.assertNotIn('"level":"error"', process_log)

    def refused(self, env, pattern, *options):
        self.cluster.create_topic(self.topic, 1)
        for command in (["produce", "--count", 1, "--rate", "max"], ["tail", "-e"],
                        ["consume", "-G", self.topic, "--table", self.table, "--exit-at-end"]):
            with self.subTest(command[0]):
                started = time.monotonic()
                done = self.culvert(*command[:1], *self.iam, *options, *command[1:], env=env, timeout=60, expect=77)
                self.assertRegex(done.stderr, pattern)
                self.assertLess(time.monotonic() - started, 25)   # well before the time-out of a first connection

    def test_a_wrong_secret_is_refused(self):
        env = self.nobody | self.identities.environment() | {"AWS_SECRET_ACCESS_KEY": "guess"}
        self.refused(env, r"token was refused.*kafka-cluster:Connect")
        self.assertIn("signature", self.identities.refused())

    def test_another_region_is_refused(self):
        env = self.nobody | self.identities.environment()
        self.iam[self.iam.index(REGION)] = "us-east-1"
        self.refused(env, r"token was refused.*region")

    def test_without_credentials_nothing_is_tried(self):
        before = len(self.identities.accepted()) + len(self.identities.refused())
        self.refused(self.nobody, r"AWS credentials: none found")
        self.assertEqual(len(self.identities.accepted()) + len(self.identities.refused()), before)

    def test_no_secret_appears_in_the_log(self):
        self.make_topic()
        env = self.nobody | self.identities.environment()
        done = self.culvert("produce", *self.iam, "--count", 1, "--log-level", "debug", "-X", "debug=security,broker",
                            env=env, timeout=60)
        self.assertNotIn(env["AWS_SECRET_ACCESS_KEY"], done.stderr + done.stdout)
        self.assertNotIn("aHR0cHM6Ly9rYWZrY", done.stderr + done.stdout)   # how every token begins


if __name__ == "__main__":
    main()
