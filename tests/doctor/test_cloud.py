# SPDX-License-Identifier: Apache-2.0
"""doctor at AWS's doors: clock, credentials, the hand-over's secret, tables in DynamoDB, event source mappings."""
import json

from culvert_test.dynamodb import DynamoDbLocal
from culvert_test.fake_servers import AwsServer, DnsServer
from culvert_test.runner import main
from doctor_case import DoctorCase

ARN = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:telemetry-AbCdEf"
BROKER = "b-1.telemetry.kafka.eu-central-1.amazonaws.com"
DOCUMENT = {"version": 1, "cluster": "arn:aws:kafka:eu-central-1:111122223333:cluster/telemetry/0a1b",
            "region": "eu-central-1", "kafka_version": "3.9.x", "authentication": "scram",
            "brokers": {"1": {"host": BROKER, "port": 9096}}}
USER = {"username": "app", "password": "marker-of-a-secret"}
NOBODY = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_SESSION_TOKEN": "", "AWS_PROFILE": "",
          "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/nonexistent",
          "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent", "AWS_REGION": "eu-central-1"}
SOMEBODY = {**NOBODY, "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
TABLE = ["--table", "dynamodb:readings"]


class Tables(DoctorCase):
    @classmethod
    def setUpClass(cls):
        cls.dynamodb = DynamoDbLocal()
        cls.shared(cls.dynamodb)
        cls.dynamodb.create_table("readings", ("device_id", "N"), ("window_start", "S"))
        cls.dynamodb.create_table("readings-checkpoints", ("stream", "S"), ("partition", "N"))
        cls.dynamodb.create_table("readings-dead-letters", ("position", "S"), ("offset", "N"))

    def behind(self, **options):
        server = self.own(AwsServer(behind=self.dynamodb.port, **options))
        return {**SOMEBODY, "AWS_ENDPOINT_URL_DYNAMODB": server.url}

    @property
    def direct(self):
        return {**SOMEBODY, "AWS_ENDPOINT_URL_DYNAMODB": self.dynamodb.endpoint}

    def test_in_order_and_unchanged(self):
        hops = self.healthy(*TABLE, env=self.direct)
        self.assertIn("with the right keys, and new", hops["table"]["found"])
        self.assertIn("puts into all three tables are permitted", hops["write"]["found"])
        for name in ("readings", "readings-checkpoints", "readings-dead-letters"):
            self.assertEqual(self.dynamodb.scan(name), [])

    def test_keys_that_are_strings(self):
        self.dynamodb.create_table("named", ("device_id", "S"), ("window_start", "S"))
        self.dynamodb.create_table("named-checkpoints", ("stream", "S"), ("partition", "N"))
        self.dynamodb.create_table("named-dead-letters", ("position", "S"), ("offset", "N"))
        self.healthy("--table", "dynamodb:named", env=self.direct)
        self.broken("table", "--table", "dynamodb:named", "--key-type", "number", env=self.direct, expect=78,
                    found="device_id is of type S", remedy="choose that")

    def test_missing(self):
        self.broken("table", "--table", "dynamodb:nowhere", env=self.direct, expect=78,
                    found="'nowhere'.* not found in eu-central-1", remedy="aggregate_table")

    def test_wrong_keys(self):
        self.dynamodb.create_table("odd", ("device", "S"), ("start", "N"))
        self.broken("table", "--table", "dynamodb:odd", env=self.direct, expect=78,
                    found=r"its partition key is device \(S\)", remedy="aggregate_table")

    def test_may_be_read_but_not_written(self):
        refused = {"PutItem": (400, {"__type": "com.amazon.coral.service#AccessDeniedException",
                                     "message": "User: x is not authorized to perform: dynamodb:PutItem"})}
        self.broken("write", *TABLE, env=self.behind(answers=refused), expect=77, found="PutItem",
                    remedy="grant .*PutItem")

    def test_clock_is_an_hour_off(self):
        self.broken("clock", *TABLE, env=self.behind(shift_s=3600), expect=78, found=r"3\d\d\d s behind of http",
                    remedy="chrony")

    def test_clock_agrees(self):
        self.assertIn("agrees with http", self.healthy(*TABLE, env=self.behind())["clock"]["found"])

    def test_no_credentials(self):
        env = {**NOBODY, "AWS_ENDPOINT_URL_DYNAMODB": self.dynamodb.endpoint}
        self.broken("credentials", *TABLE, env=env, expect=77, found="[Cc]redentials", remedy="AWS_PROFILE")

    def test_mapping_is_switched_off(self):
        self.mapping({"State": "Disabled", "StateTransitionReason": "User action"}, expect=78,
                     found=r"is Disabled \(User action\)", remedy="enable it")

    def test_mapping_does_not_reach_the_brokers(self):
        self.mapping({"State": "Enabled", "LastProcessingResult": "PROBLEM: Connection error."}, expect=69,
                     found="PROBLEM: Connection error", remedy="security group")

    def test_mapping_lacks_a_right(self):
        self.mapping({"State": "Enabled", "LastProcessingResult": "PROBLEM: Cluster failed to authorize Lambda"},
                     expect=77, found="failed to authorize Lambda", remedy="hops read, group and poller")

    def mapping(self, state, **expected):
        body = {"EventSourceMappings": [{"UUID": "u-1", "FunctionArn": "arn:aws:lambda:x:y:function:f", **state}]}
        self.broken("mapping", *TABLE, "--function", "f", env=self.lambda_says((200, body)), **expected)

    def test_function_without_a_mapping(self):
        self.broken("mapping", *TABLE, "--function", "f", expect=78, found="no event source mapping",
                    remedy="analytics root", env=self.lambda_says((200, {"EventSourceMappings": []})))

    def test_mappings_that_this_identity_may_not_see(self):
        said = (403, {"__type": "AccessDeniedException", "Message": "not authorized"})
        hops = self.healthy(*TABLE, "--from-analytics", env=self.lambda_says(said))
        self.assertEqual(hops["mapping"]["state"], "skipped")
        self.assertIn("this identity may not ask", hops["mapping"]["found"])

    def test_lambda_is_out_of_reach(self):
        """As in a closed network: a fault only if somebody asks for a function by its name."""
        nowhere = {**self.direct, "AWS_ENDPOINT_URL_LAMBDA": "http://127.0.0.1:1"}
        hops = self.healthy(*TABLE, "--from-analytics", env=nowhere, patience="3s")
        self.assertEqual(hops["mapping"]["state"], "skipped")
        self.assertIn("--function", hops["mapping"]["found"])
        self.broken("mapping", *TABLE, "--function", "f", env=nowhere, patience="3s", expect=69, found="refused",
                    remedy="interface endpoint")

    def lambda_says(self, answer):
        server = self.own(AwsServer(answers={"/2015-03-31/event-source-mappings": answer}))
        return {**self.direct, "AWS_ENDPOINT_URL_LAMBDA": server.url}


class HandOver(DoctorCase):
    def refused(self, answer, *options, **expected):
        server = self.own(AwsServer(answers={"GetSecretValue": answer}))
        self.broken("secret", "--connection", f"secret:{ARN}", "-t", "readings", *options,
                    env={**SOMEBODY, "AWS_ENDPOINT_URL_SECRETS_MANAGER": server.url}, **expected)

    def test_policy_refuses(self):
        self.refused((400, {"__type": "AccessDeniedException", "Message":
                            "User is not authorized to perform: secretsmanager:GetSecretValue because no "
                            "resource-based policy allows the action"}),
                     expect=77, found="resource policy refuses", remedy="allowed_service_principal_arns")

    def test_no_such_secret(self):
        self.refused((400, {"__type": "ResourceNotFoundException", "Message": "can't find the specified secret."}),
                     expect=78, found="there is none of this name", remedy="outputs")

    def test_document_of_another_version(self):
        self.refused((200, {"SecretString": json.dumps({**DOCUMENT, "version": 2})}), expect=78, found="version",
                     remedy=".")

    def test_hand_over_leads_to_the_brokers(self):
        (self.directory / "connection.json").write_text(json.dumps(DOCUMENT), encoding="ascii")
        (self.directory / "user.json").write_text(json.dumps(USER), encoding="ascii")
        dns = self.own(DnsServer(denying_zone="kafka.eu-central-1.amazonaws.com"))
        hops = self.broken("names", "--connection", "connection.json", "--credentials", "user.json", "-t", "readings",
                           "--name-server", dns.address, expect=69,
                           found=r"b-1\.telemetry.* for zone kafka\.eu-central-1\.amazonaws\.com",
                           remedy="zone of its own")
        self.assertIn("1 broker in eu-central-1, login by scram", hops["secret"]["found"])
        self.assertNotIn(USER["password"], json.dumps(hops))

    def test_document_file_is_missing(self):
        self.broken("secret", "--connection", "nowhere.json", "-t", "readings", expect=78, found="nowhere.json",
                    remedy="path and permission")


if __name__ == "__main__":
    main()
