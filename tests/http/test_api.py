# SPDX-License-Identifier: Apache-2.0
"""What is served over HTTP, against its own descriptions: the OpenAPI document, promtool, the packaged dashboards."""

import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import unittest
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "infra" / "tests"), str(ROOT / "tests" / "browser")]
from culvert_test.process import Process, wait_until  # noqa: E402
from sample_table import SampleTable  # noqa: E402
from toolchain import Toolchain  # noqa: E402

CULVERT = os.environ.get("CULVERT_BIN", "build/release/culvert")
RULES = ROOT / "packaging" / "prometheus"
GRAFANA = ROOT / "packaging" / "grafana" / "culvert.json"
METRIC = re.compile(r"\b(?:culvert|kafka_consumergroup)_[a-z_]+\b")
# Metrics that appear with their first event.
LATER = {"culvert_retries_total"}


class Served(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="culvert-api-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def start(self, *arguments):
        process = Process([CULVERT, *arguments], env={"TMPDIR": str(self.folder)})
        self.addCleanup(process.stop)
        url = process.wait_for(r"dashboard: (http://[^\s\"]+)/", 30)[1]
        self.port = urllib.parse.urlsplit(url).port
        return process, url

    def start_demo(self):
        """One that outlives its test, however slow that is."""
        process, url = self.start("demo", "--duration", "10m", "--rate", "60", "--bad-share", "2%")

        def flows():
            status = json.loads(self.get("/api/v1/status")[2])
            return status["dead_letters"] > 0 and status["lag_records"] is not None and status["devices"] > 0

        wait_until(flows, 60, "a dead letter and a window", process)
        return url

    def start_table(self, *more):
        path = self.folder / "t.sqlite"
        with SampleTable(path) as table:
            table.many_devices(300)
            table.dead_letter(7, "not_json", "byte 0: no value", b"k", b"\x00\xff")
        return self.start("dashboard", "--table", f"sqlite:{path}", *more)

    def get(self, target, method="GET", **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, target, headers=headers)
            response = connection.getresponse()
            return response.status, response.headers, response.read().decode()
        finally:
            connection.close()

    def run_tool(self, *command, **options):
        result = subprocess.run(command, capture_output=True, text=True, timeout=240, **options)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        return result.stdout


class Metrics(Served):
    def test_promtool_finds_nothing_wrong_with_a_running_consumer(self):
        self.start_demo()
        status, headers, text = self.get("/metrics")
        self.assertEqual(status, 200)
        self.assertEqual(headers["Content-Type"], "text/plain; version=0.0.4; charset=utf-8")
        self.run_tool("promtool", "check", "metrics", input=text)
        served = set(re.findall(r"(?m)^# TYPE (\S+)", text))
        asked = set(METRIC.findall(GRAFANA.read_text(encoding="utf-8") +
                                   (RULES / "culvert.rules.yml").read_text(encoding="utf-8")))
        asked = {re.sub(r"_(bucket|sum|count)$", "", name) if name not in served else name for name in asked}
        self.assertGreater(len(asked), 12)
        self.assertEqual(asked - served - LATER, set(), "dashboards or alerts ask for what is not served")
        documented = set(METRIC.findall((ROOT / "docs" / "operating.md").read_text(encoding="utf-8")))
        self.assertEqual(served - documented, set(), "docs/operating.md does not describe these")
        figures = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        self.assertGreater(float(figures["culvert_records_read_total"]), 0)
        self.assertEqual(float(figures["culvert_assigned_partitions"]), 4)
        lags = [name for name in figures if name.startswith("kafka_consumergroup_lag{")]
        self.assertEqual(len(lags), 4)

    def test_alerts_fire_when_they_should_and_only_then(self):
        self.run_tool("promtool", "check", "rules", "culvert.rules.yml", cwd=RULES)
        self.run_tool("promtool", "test", "rules", "culvert.rules.test.yml", cwd=RULES)
        rules = (RULES / "culvert.rules.yml").read_text(encoding="utf-8")
        tests = (RULES / "culvert.rules.test.yml").read_text(encoding="utf-8")
        for alert in re.findall(r"- alert: (\w+)", rules):
            self.assertRegex(tests, rf"(?s)alertname: {alert}\b[^}}]*?exp_alerts", f"{alert} is never seen to fire")


class Api(Served):
    @classmethod
    def setUpClass(cls):
        # Before anything is served: on a machine that has not got it yet this takes a minute.
        cls.tools = Toolchain().python_tools("api", ROOT / "tests" / "http" / "requirements.txt")

    def schemathesis(self, url, *more):
        # The stream of events has no end; it is tested in test_events.
        return self.run_tool(self.tools / "bin" / "schemathesis", "run", str(ROOT / "docs" / "openapi.yaml"),
                             "--url", url, "--max-examples", "25", "--exclude-path", "/api/v1/events",
                             "--exclude-checks", "unsupported_method", "--phases", "examples,coverage,fuzzing",
                             "--request-timeout", "20", "--seed", "20261126", "--no-color", *more, cwd=self.folder)

    def test_a_consumer_answers_as_the_document_says(self):
        self.schemathesis(self.start_demo())

    def test_a_table_answers_as_the_document_says(self):
        _, url = self.start_table()
        self.schemathesis(url)

    def test_document_is_served_as_it_is(self):
        self.start_table()
        self.assertEqual(self.get("/openapi.yaml")[2], (ROOT / "docs" / "openapi.yaml").read_text(encoding="utf-8"))

    def test_events(self):
        self.start_demo()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        self.addCleanup(connection.close)
        connection.request("GET", "/api/v1/events")
        response = connection.getresponse()
        self.assertEqual(response.headers["Content-Type"], "text/event-stream")
        seen = []
        while len(seen) < 3:
            line = response.readline().decode().rstrip("\n")
            if line.startswith("data: "):
                seen.append(json.loads(line[6:]))
        self.assertGreater(seen[2]["at"], seen[1]["at"])
        self.assertGreaterEqual(seen[2]["records_read"], seen[0]["records_read"])

    def test_health_says_ready_while_records_flow(self):
        self.start_demo()
        self.assertEqual(json.loads(self.get("/healthz")[2]), {"status": "ok"})
        self.assertEqual(json.loads(self.get("/readyz")[2]), {"status": "ready"})
        self.assertIn("librdkafka", json.loads(self.get("/version")[2]))

    def test_table_that_goes_away_and_comes_back_is_said_so(self):
        process, _ = self.start_table("--refresh", "250ms")
        self.assertEqual(self.get("/readyz")[0], 200)
        table = self.folder / "t.sqlite"
        broken = self.folder / "kept"
        shutil.copy(table, broken)
        table.write_bytes(b"no database at all" * 1000)
        wait_until(lambda: self.get("/readyz")[0] == 503, 30, "not ready", process)
        self.assertEqual(json.loads(self.get("/api/v1/status")[2])["state"], "unreachable")
        self.assertEqual(self.get("/healthz")[0], 200)
        shutil.copy(broken, self.folder / "copy")
        os.replace(self.folder / "copy", table)
        wait_until(lambda: self.get("/readyz")[0] == 200, 30, "ready again", process)

    def test_table_that_is_removed_is_said_so_and_the_one_made_anew_is_read(self):
        process, _ = self.start_table("--refresh", "250ms")
        self.assertEqual(self.get("/readyz")[0], 200)
        table = self.folder / "t.sqlite"
        for name in (table, f"{table}-wal", f"{table}-shm"):
            pathlib.Path(name).unlink(missing_ok=True)
        wait_until(lambda: self.get("/readyz")[0] == 503, 30, "not ready", process)
        status = json.loads(self.get("/api/v1/status")[2])
        self.assertEqual(status["state"], "unreachable")
        self.assertIn("No such file or directory", status["note"])
        with SampleTable(self.folder / "anew.sqlite") as anew:
            anew.device("made anew", 1)
        with contextlib.closing(sqlite3.connect(self.folder / "anew.sqlite")) as database:
            database.execute("UPDATE checkpoints SET next = 1, records = 1, folded = 1")
            database.commit()
        os.rename(self.folder / "anew.sqlite", table)
        wait_until(lambda: self.get("/readyz")[0] == 200, 30, "ready again", process)
        page = json.loads(self.get("/api/v1/devices")[2])
        self.assertEqual([row["name"] for row in page["rows"]], ["made anew"], "and nothing of the old one")
        process.wait_for("the table was made anew", 10)


class Vendored(Served):
    def test_files_that_are_not_ours_are_what_they_were(self):
        self.run_tool("sha256sum", "--strict", "-c", "SHA256SUMS", cwd=ROOT / "src" / "dashboard" / "page" / "vendor")


class Security(Served):
    def test_other_addresses_need_the_flag_and_a_token(self):
        for arguments in (["--listen", "0.0.0.0:0"], ["--listen", "0.0.0.0:0", "--listen-public"]):
            result = subprocess.run([CULVERT, "demo", *arguments], capture_output=True, text=True, timeout=30)
            self.assertEqual(result.returncode, 64, result.stderr)
            self.assertIn("--listen-token-file", result.stderr)

    def test_token_is_in_no_output(self):
        token = "c0ffee5eedb0a7ab1ec0ffee5eed"
        file = self.folder / "token"
        file.write_text(token, encoding="ascii")
        process, _ = self.start_table("--listen-token-file", str(file), "--log-level", "debug")
        self.assertEqual(self.get("/api/v1/configuration")[0], 401)
        status, _, text = self.get("/api/v1/configuration", Authorization=f"Bearer {token}")
        self.assertEqual(status, 200)
        self.assertNotIn(token, text)
        self.assertEqual(self.get("/api/v1/configuration", Authorization=f"Bearer {token}x")[0], 401)
        process.stop()
        self.assertNotIn(token, process.stdout() + process.stderr())

    def test_a_page_of_another_name_cannot_read(self):
        self.start_table()
        self.assertEqual(self.get("/api/v1/status", Host="rebound.example")[0], 403)
        self.assertEqual(self.get("/api/v1/status", Host=f"localhost:{self.port}")[0], 200)

    def test_nonsense_on_the_socket_does_not_disturb_it(self):
        self.start_table()
        for nonsense in (b"\x16\x03\x01" * 100, b"GET\r\n\r\n", b"\r\n" * 1000,
                         b"GET / HTTP/1.1\r\nHost: a\r\n" + b"a" * 99999,
                         b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", self.port), 20) as client:
                client.sendall(nonsense)
                client.shutdown(socket.SHUT_WR)
                client.settimeout(20)
                answer = client.recv(100)
                self.assertTrue(answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer)
        self.assertEqual(self.get("/healthz")[0], 200)


if __name__ == "__main__":
    unittest.main()
