# SPDX-License-Identifier: Apache-2.0
"""secret:ARN against a server that speaks AWS Secrets Manager and verifies signatures with AWS's own client library.

Flow    moto (tests/aws/requirements-moto.txt), once its own checks are switched on -> the program's two secrets.
Bounds  who may read what across accounts is not its business: infra/tests has that.
"""
import json
import pathlib
import sys
import urllib.error
import urllib.parse
import urllib.request

from culvert_test import ports
from culvert_test.process import Process, wait_until
from culvert_test.runner import CulvertTest, main
from culvert_test.workspace import workspace

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "infra" / "tests"))

from toolchain import Toolchain   # noqa: E402  (the folder must be on the path first)

REGION = "eu-central-1"
BROKER = "b-1.telemetry.invalid"   # a name that never exists (RFC 2606)
DOCUMENT = {"version": 1, "region": REGION, "kafka_version": "3.9.x.kraft", "authentication": "scram",
            "cluster": f"arn:aws:kafka:{REGION}:111111111111:cluster/telemetry/0123abcd-0000-4000-8000-000000000000-1",
            "brokers": {"1": {"host": BROKER, "port": 9096}}}
USER = {"username": "culvert", "password": "marker-of-a-password"}
NOBODY = {"AWS_SESSION_TOKEN": "", "AWS_PROFILE": "", "AWS_EC2_METADATA_DISABLED": "true", "AWS_REGION": "us-east-1"}


class SecretsServer:
    """moto, with two secrets and a reader of both; from then on it asks everybody for a signature."""

    _process = None

    def start(self):
        tools = Toolchain().python_tools("moto", ROOT / "tests" / "aws" / "requirements-moto.txt")
        self.port = ports.free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process = Process([tools / "bin" / "python", "-B", "-m", "moto.server", "-H", "127.0.0.1", "-p",
                                 self.port], name="moto", directory=workspace().directory("moto"))
        wait_until(lambda: self._answers(), 60, "moto answers", self._process)
        self.connection = self._make("telemetry-connection", DOCUMENT)
        self.credentials = self._make("AmazonMSK_telemetry_culvert", USER)
        self.keys = self._user("reader", "secretsmanager:GetSecretValue")
        self.stranger = self._user("stranger", "secretsmanager:DescribeSecret")
        self._post("/moto-api/reset-auth", b"0", {"Content-Type": "text/plain"})
        return self

    def stop(self):
        if self._process is not None:
            self._process.stop()
            ports.release(self.port)

    def _answers(self):
        try:
            return urllib.request.urlopen(self.url + "/moto-api/data.json", timeout=2).status == 200
        except OSError:
            return False

    def _post(self, path, body, headers):
        request = urllib.request.Request(self.url + path, body, headers)
        return urllib.request.urlopen(request, timeout=10).read().decode()

    def _call(self, service, body, headers):
        scope = f"AWS4-HMAC-SHA256 Credential=setup/20260101/{REGION}/{service}/aws4_request"
        return self._post("/", body.encode(), {"Authorization": scope, **headers})

    def _make(self, name, document):
        body = json.dumps({"Name": name, "SecretString": json.dumps(document)})
        said = self._call("secretsmanager", body, {"X-Amz-Target": "secretsmanager.CreateSecret",
                                                   "Content-Type": "application/x-amz-json-1.1"})
        return json.loads(said)["ARN"]

    def _user(self, name, action):
        """On every resource: of secrets moto knows no other."""
        policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]}
        self._iam(Action="CreateUser", UserName=name)
        self._iam(Action="PutUserPolicy", UserName=name, PolicyName="read", PolicyDocument=json.dumps(policy))
        said = self._iam(Action="CreateAccessKey", UserName=name)
        key, secret = (said.split(f"<{tag}>")[1].split("<")[0] for tag in ("AccessKeyId", "SecretAccessKey"))
        return {**NOBODY, "AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}

    def _iam(self, **form):
        return self._call("iam", urllib.parse.urlencode({**form, "Version": "2010-05-08"}),
                          {"Content-Type": "application/x-www-form-urlencoded"})


class Secrets(CulvertTest):
    @classmethod
    def setUpClass(cls):
        cls.server = cls.shared(SecretsServer())

    def tail(self, *options, env, expect):
        done = self.culvert("tail", "-t", "telemetry", "-c", "1", *options, expect=expect, timeout=60, env={
            **env, "AWS_ENDPOINT_URL_SECRETS_MANAGER": self.server.url})
        self.assertNotIn(USER["password"], done.stdout + done.stderr)
        return done.stderr

    def connect(self, env, expect, connection=None):
        return self.tail("--connection", f"secret:{connection or self.server.connection}", "--credentials",
                         f"secret:{self.server.credentials}", env=env, expect=expect)

    def test_server_refuses_who_does_not_sign(self):
        """Else nothing here would be proven."""
        request = urllib.request.Request(self.server.url, json.dumps({"SecretId": self.server.connection}).encode(), {
            "X-Amz-Target": "secretsmanager.GetSecretValue", "Content-Type": "application/x-amz-json-1.1"})
        with self.assertRaises(urllib.error.HTTPError):
            urllib.request.urlopen(request, timeout=10)

    def test_both_secrets_are_read_and_lead_to_the_brokers(self):
        """The region is that of the ARN, not of the environment; the broker's name exists nowhere."""
        done = self.culvert("doctor", "-t", "telemetry", "--format", "json", "--connection",
                            f"secret:{self.server.connection}", "--credentials", f"secret:{self.server.credentials}",
                            expect=69, env={**self.server.keys, "AWS_ENDPOINT_URL_SECRETS_MANAGER": self.server.url})
        hops = {hop["hop"]: hop for hop in map(json.loads, done.stdout.splitlines()) if "hop" in hop}
        self.assertIn("1 broker in eu-central-1, login by scram", hops["secret"]["found"])
        self.assertEqual(hops["names"]["state"], "failed")
        self.assertIn(BROKER, hops["names"]["found"])
        self.assertNotIn(USER["password"], done.stdout + done.stderr)

    def test_a_connection_without_its_user_is_told_so(self):
        said = self.tail("--connection", f"secret:{self.server.connection}", env=self.server.keys, expect=78)
        self.assertIn("clients log in by SCRAM, and no user is given", said)

    def test_a_secret_that_is_not_there_is_named_with_the_remedy(self):
        gone = self.server.connection.replace("telemetry-connection", "telemetry-gone")
        self.assertRegex(self.connect(self.server.keys, 78, gone),
                         f"{gone}: there is none of this name in its account and region: .*take the ARN from the "
                         "stream root's outputs")

    def test_a_wrong_secret_key_is_refused(self):
        wrong = {**self.server.keys, "AWS_SECRET_ACCESS_KEY": "0" * 40}
        self.assertIn("AWS does not take these credentials", self.connect(wrong, expect=77))

    def test_who_may_not_read_is_told_which_policies_decide(self):
        self.assertRegex(self.connect(self.server.stranger, expect=77),
                         "access is refused: .*not authorized to perform.*three policies must allow it")


if __name__ == "__main__":
    main()
