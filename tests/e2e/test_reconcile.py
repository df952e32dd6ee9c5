# SPDX-License-Identifier: Apache-2.0
"""culvert-lambda with CULVERT_ROLE=reconcile against services that keep state and verify every signature."""
import http.server
import json
import re
import sys
import threading
import urllib.parse

from culvert_test.function import RuntimeApi, start_function
from culvert_test.runner import CulvertTest, main
from culvert_test.workspace import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "tests" / "aws"))
import sigv4_vectors   # noqa: E402  (a second implementation of the signature)

REGION = "eu-central-1"
CLUSTER = f"arn:aws:kafka:{REGION}:111111111111:cluster/telemetry/0123abcd-0000-4000-8000-000000000000-1"
KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
PORT = 9096
PAGE = 2
STARTING_LOOKS = 2   # a new target is looked at so often before it is healthy


def group_arn(broker):
    return f"arn:aws:elasticloadbalancing:{REGION}:111111111111:targetgroup/b{broker}-x/00000000000000{broker:02d}"


class Cloud:
    """Amazon MSK's ListNodes and Elastic Load Balancing's target groups."""

    def __init__(self, brokers):
        self.nodes = {b: {"address": f"10.1.1.{b}", "host": f"b-{b}.x"} for b in brokers}
        self.groups = {group_arn(b): {f"10.1.1.{b}": "healthy"} for b in brokers}
        self.refused_groups = set()
        self.throttles = 0
        self.broken = False
        self.changes = []
        self.unsigned = []
        self.never_without_a_target = True
        self._looks = {}
        self._lock = threading.Lock()

    def answer(self, handler, body):
        with self._lock:
            problem = self._check_signature(handler, body)
            if problem:
                self.unsigned.append(problem)
                return 403, f'{{"__type":"SignatureDoesNotMatch","message":"{problem}"}}'
            if self.throttles > 0:
                self.throttles -= 1
                return 400, "<ErrorResponse><Error><Code>Throttling</Code></Error></ErrorResponse>"
            if self.broken:
                return 500, ""
            url = urllib.parse.urlsplit(handler.path)
            if handler.command == "GET":
                return self._list_nodes(url)
            return self._balancing(dict(urllib.parse.parse_qsl(body.decode())))

    @staticmethod
    def _check_signature(handler, body):
        given = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=(\S+), SignedHeaders=(\S+), Signature=(\S+)",
                             handler.headers.get("Authorization", ""))
        if not given:
            return "no signature"
        key, _, region, service, _ = given[1].split("/")
        wanted = "kafka" if handler.command == "GET" else "elasticloadbalancing"
        if (key, region, service) != (KEY, REGION, wanted):
            return f"scope {given[1]}"
        signed = given[2].split(";")
        if not {"host", "x-amz-date"} <= set(signed):
            return f"signed headers {given[2]}"
        url = urllib.parse.urlsplit(handler.path)
        case = {"credentials": f"{KEY} {SECRET}", "scope": f"{handler.headers['X-Amz-Date']} {region} {service}",
                "request": f"{handler.command} {url.path}", "query": url.query, "body": body.decode(), "presign": None,
                "headers": [[name, handler.headers[name]] for name in signed]}
        return None if sigv4_vectors.signature(case) == given[3] else "signature"

    def _list_nodes(self, url):
        if urllib.parse.unquote(url.path) != f"/v1/clusters/{CLUSTER}/nodes":
            return 404, '{"message":"no such cluster"}'
        first = int(dict(urllib.parse.parse_qsl(url.query)).get("nextToken", "page/0").removeprefix("page/"))
        ids = sorted(self.nodes)
        page = [{"nodeType": "BROKER", "brokerNodeInfo": {
            "brokerId": float(b), "clientVpcIpAddress": self.nodes[b]["address"], "endpoints": [self.nodes[b]["host"]]}}
            for b in ids[first:first + PAGE]]
        answer = {"nodeInfoList": [*page, {"nodeType": "CONTROLLER", "controllerNodeInfo": {"endpoints": ["c.x"]}}]}
        if first + PAGE < len(ids):
            answer["nextToken"] = f"page/{first + PAGE}"
        return 200, json.dumps(answer)

    def _balancing(self, query):
        arn, action = query["TargetGroupArn"], query["Action"]
        if query["Version"] != "2015-12-01" or arn not in self.groups:
            return 400, "<ErrorResponse><Error><Code>TargetGroupNotFound</Code></Error></ErrorResponse>"
        if arn in self.refused_groups:
            return 403, "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>"
        if action == "DescribeTargetHealth":
            return 200, self._describe(arn)
        address, port = query["Targets.member.1.Id"], int(query["Targets.member.1.Port"])
        assert port == PORT and "Targets.member.2.Id" not in query
        self.changes.append((action, arn, address))
        if action == "RegisterTargets":
            self.groups[arn][address] = "initial"
            self._looks[arn, address] = STARTING_LOOKS
        else:
            self.groups[arn][address] = "draining"
        self.never_without_a_target &= "healthy" in self.groups[arn].values()
        return 200, f"<{action}Response/>"

    def _describe(self, arn):
        members = ""
        for address, state in list(self.groups[arn].items()):
            members += (f"<member><HealthCheckPort>{PORT}</HealthCheckPort><TargetHealth><State>{state}</State>"
                        f"</TargetHealth><Target><Port>{PORT}</Port><Id>{address}</Id></Target></member>")
            if state == "initial":
                self._looks[arn, address] -= 1
                if self._looks[arn, address] == 0:
                    self.groups[arn][address] = "healthy"
            elif state == "draining":
                del self.groups[arn][address]
        return ("<?xml version=\"1.0\"?><DescribeTargetHealthResponse xmlns="
                "\"http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/\"><DescribeTargetHealthResult>"
                f"<TargetHealthDescriptions>{members}</TargetHealthDescriptions></DescribeTargetHealthResult>"
                "</DescribeTargetHealthResponse>")


class CloudServer:
    def __init__(self, cloud):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                status, text = cloud.answer(self, body)
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            do_GET = do_POST = _serve

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def start(self):
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def stop(self):
        self._server.shutdown()
        self._server.server_close()


class Reconcile(CulvertTest):
    def setUp(self):
        super().setUp()
        self.cloud = Cloud([1, 2, 3])
        self.server = self.own(CloudServer(self.cloud))
        self.api = self.own(RuntimeApi())
        self.function = None

    def start(self, **changes):
        brokers = {str(b): {"host": f"b-{b}.x", "port": PORT, "target_group_arn": group_arn(b)} for b in (1, 2, 3)}
        environment = {"CULVERT_ROLE": "reconcile", "CULVERT_CLUSTER_ARN": CLUSTER,
                       "CULVERT_BROKERS": json.dumps(brokers), "AWS_REGION": REGION, "AWS_ACCESS_KEY_ID": KEY,
                       "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_ENDPOINT_URL_KAFKA": self.server.url,
                       "AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2": self.server.url, **changes}
        self.function = start_function(self.api, environment)
        self.addCleanup(self.function.kill)

    def minute(self, seconds=30):
        """One invocation, as the schedule makes it: (kind, body)."""
        if self.function is None:
            self.start()
        return self.api.invoke({"scheduled": True}, seconds).outcome()

    def states(self):
        kind, body = self.minute()
        self.assertEqual(kind, "response", body)
        return {broker: text.split(":")[0] for broker, text in body["brokers"].items()}

    def metrics(self):
        """The latest line in embedded metric format."""
        lines = [json.loads(line) for line in self.function.stdout().splitlines() if line.startswith('{"_aws"')]
        self.assertTrue(lines, self.function.stdout())
        return lines[-1]

    def tearDown(self):
        if not self.id().endswith("wrong_secret_is_told"):
            self.assertEqual(self.cloud.unsigned, [])
        self.assertTrue(self.cloud.never_without_a_target)
        super().tearDown()

    def test_nothing_moved_nothing_done(self):
        for _ in range(3):
            self.assertEqual(self.states(), {"1": "in place", "2": "in place", "3": "in place"})
        self.assertEqual(self.cloud.changes, [])
        self.assertEqual((self.metrics()["brokers"], self.metrics()["brokers_in_place"]), (3, 3))

    def test_a_moved_broker_is_followed(self):
        """On the second page.  Register, wait until it is healthy, then remove: over as many minutes as it takes."""
        self.cloud.nodes[3]["address"] = "10.1.1.33"
        seen = [self.states() for _ in range(6)]
        self.assertEqual([states["3"] for states in seen],
                         ["registered", "waiting", "waiting", "removed the old one", "in place", "in place"])
        self.assertTrue(all(states["1"] == states["2"] == "in place" for states in seen))
        self.assertEqual(self.cloud.changes, [("RegisterTargets", group_arn(3), "10.1.1.33"),
                                              ("DeregisterTargets", group_arn(3), "10.1.1.3")])
        self.assertEqual(self.cloud.groups[group_arn(3)], {"10.1.1.33": "healthy"})
        self.assertEqual(self.metrics()["brokers_behind"], 0)

    def test_brokers_that_swap_addresses(self):
        self.cloud.nodes[1]["address"], self.cloud.nodes[2]["address"] = "10.1.1.2", "10.1.1.1"
        for _ in range(6):
            self.minute()
        self.assertEqual(self.cloud.groups[group_arn(1)], {"10.1.1.2": "healthy"})
        self.assertEqual(self.cloud.groups[group_arn(2)], {"10.1.1.1": "healthy"})

    def test_a_broker_that_is_another_one_is_refused_and_alarms(self):
        self.cloud.nodes[2] = {"address": "10.1.1.22", "host": "b-2.other"}
        self.cloud.nodes[3]["address"] = "10.1.1.33"
        kind, body = self.minute()
        self.assertEqual(kind, "error")
        self.assertRegex(body["errorMessage"], r"broker 2 is b-2\.other now and no longer b-2\.x: its identity")
        self.assertEqual(self.metrics()["identity_changed"], 1)
        self.assertIn("a broker is not touched", self.function.stderr())
        # The others are looked after all the same.
        self.assertEqual(self.cloud.changes, [("RegisterTargets", group_arn(3), "10.1.1.33")])

    def test_what_fails_for_one_broker_stays_with_it(self):
        self.cloud.refused_groups.add(group_arn(1))
        self.cloud.nodes[3]["address"] = "10.1.1.33"
        outcomes = [self.minute() for _ in range(5)]
        for kind, body in outcomes:
            self.assertEqual(kind, "error")
            self.assertRegex(body["errorMessage"], r"^broker 1: DescribeTargetHealth of \S+b1-x\S+ AccessDenied: no ")
            self.assertNotIn("broker 2", body["errorMessage"])
        self.assertEqual(self.cloud.groups[group_arn(3)], {"10.1.1.33": "healthy"})
        self.assertEqual(self.metrics()["failed"], 1)

    def test_throttling_is_ridden_out(self):
        self.cloud.throttles = 3
        self.cloud.nodes[1]["address"] = "10.1.1.11"
        self.assertEqual(self.states()["1"], "registered")

    def test_an_outage_ends_in_order_before_the_time_is_over(self):
        self.cloud.broken = True
        kind, body = self.minute(seconds=4)
        self.assertEqual(kind, "error")
        self.assertRegex(body["errorMessage"], r"Amazon MSK: gave up after \d+ attempts")
        self.assertEqual(self.metrics()["failed"], 1)
        self.cloud.broken = False
        self.assertEqual(self.states(), {"1": "in place", "2": "in place", "3": "in place"})

    def test_a_wrong_secret_is_told(self):
        self.start(AWS_SECRET_ACCESS_KEY="guess")
        kind, body = self.minute()
        self.assertEqual(kind, "error")
        self.assertIn("SignatureDoesNotMatch", body["errorMessage"])
        self.assertEqual(self.cloud.changes, [])

    def test_a_wrong_environment_ends_before_the_first_minute(self):
        for variable, value, says in (("CULVERT_BROKERS", '{"1":{"host":"h"}}', "lacks host, port or target_group_arn"),
                                      ("CULVERT_CLUSTER_ARN", "telemetry", "is not the ARN of a cluster"),
                                      ("CULVERT_BROKERS", "", "CULVERT_BROKERS is not set"),
                                      ("CULVERT_TABLE", "dynamodb:x", "no such option")):
            with self.subTest(variable):
                self.start(**{variable: value})
                self.assertIn(says, self.api.init_errors.get(timeout=30)["errorMessage"])
                self.assertNotEqual(self.function.wait(30), 0)


if __name__ == "__main__":
    main()
