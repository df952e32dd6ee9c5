# SPDX-License-Identifier: Apache-2.0
"""A real Kafka -> culvert bridge -> a function that writes down what it gets, and fails in every way a function can."""
import base64
import http.server
import json
import os
import pathlib
import signal
import threading
import time

from bridge_case import FUNCTION, UUID, BridgeCase
from culvert_test.process import wait_until
from culvert_test.runner import main

PROVISIONED = ("--mode", "provisioned")


class Bridge(BridgeCase):
    # ---- what is delivered

    def test_everything_once_in_order_and_within_the_limits(self):
        self.make_topic(4)
        self.produce("--devices", 50, count=3_000)
        done = self.bridge_to_end("--concurrency", 3, "--batch-size", 40, "--batching-window", "200ms",
                                  "--env", "DELAY_MS=5")
        calls = self.calls()
        ends = self.cluster.end_offsets(self.topic)
        everything = {(p, offset): 1 for p, end in ends.items() for offset in range(end)}
        self.assertEqual(self.delivered(calls), everything)
        self.assertEqual(self.offsets(), ends)
        self.assert_in_order(calls)
        self.assert_one_at_a_time(calls)
        self.assertLessEqual(max(len(call.records) for call in calls), 40)
        self.assertIn(len({call.pid for call in calls}), (2, 3), "as many instances as there was work for")
        for call in calls:
            self.assertLessEqual(len({p % 3 for p in call.partitions}), 1, "partitions are dealt to pollers")
        figures = self.stopped(done.stderr)
        self.assertEqual((figures["records"], figures["batches"], figures["invocations"]),
                         (3_000, len(calls), len(calls)))
        self.assertLessEqual(figures["cold_starts"], 3)
        self.assertEqual(figures["crashes"], 0, "ending an instance is no crash")
        again = self.bridge_to_end()
        self.assertEqual(self.stopped(again.stderr)["records"], 0, "the group's position is where the log ends")

    def test_the_event_says_all_that_the_record_has(self):
        self.make_topic(2)
        self.put(0, ["plain"])
        self.put(0, ["with headers"], headers=["trace=h\x7f", "empty=", "trace=again"], key="kéy")
        self.put(1, ["x"])
        # Full with all three: however far apart the partitions' fetches come, they are one batch.
        self.bridge_to_end("--event-source", "msk", "--event-source-arn", "arn:aws:kafka:r:1:cluster/c/x",
                           "--batch-size", 3, "--batching-window", "60s")
        self.assertEqual(len(self.calls()), 1)
        event = self.calls()[0].event
        self.assertEqual((event["eventSource"], event["eventSourceArn"], event["bootstrapServers"]),
                         ("aws:kafka", "arn:aws:kafka:r:1:cluster/c/x", self.cluster.bootstrap))
        plain, rich = event["records"][f"{self.topic}-0"]
        now = time.time() * 1000
        for offset, record in enumerate((plain, rich)):
            self.assertEqual((record["topic"], record["partition"], record["offset"], record["timestampType"]),
                             (self.topic, 0, offset, "CREATE_TIME"))
            self.assertLess(abs(now - record["timestamp"]), 600_000)
        self.assertNotIn("key", plain)
        self.assertEqual(plain["headers"], [])
        self.assertEqual(base64.b64decode(rich["key"]).decode(), "kéy")
        self.assertEqual(rich["headers"], [{"trace": [104, 127]}, {"empty": []}, {"trace": list(b"again")}])
        self.assertEqual(event["records"][f"{self.topic}-1"][0]["value"], "eA==")

    def test_a_batch_that_is_not_full_waits_for_the_window(self):
        self.make_topic(1)
        bridge = self.start_bridge("--batching-window", "8s", "--batch-size", 10)
        bridge.wait_for("partitions assigned", 60)
        self.put(0, ["first"])
        self.put(0, ["second"])
        call = self.wait_calls(1, bridge)[0]
        self.assertEqual(len(call.records), 2, "the second one came inside the first one's window")
        self.put(0, [f"full {n}" for n in range(20)])
        sent = time.monotonic()
        calls = self.wait_calls(3, bridge)
        self.assertLess(calls[2].begun - sent, 7.9, "a full batch does not wait")
        self.assertEqual([len(call.records) for call in calls], [2, 10, 10])
        self.assertEqual(bridge.stop(), 0)

    def test_start_latest_keeps_its_place_before_the_first_batch(self):
        self.make_topic(1)
        self.put(0, ["old"])
        self.bridge_to_end("--start", "latest")
        self.assertEqual(self.offsets(), {0: 1})
        self.put(0, ["new"])
        self.bridge_to_end("--start", "latest")
        self.assertEqual(self.delivered(self.calls()), {(0, 1): 1})

    def test_an_endpoint_instead_of_a_process(self):
        self.make_topic(1)
        self.put(0, ["one", "two", "three"])
        seen = []

        class Endpoint(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                seen.append((self.path, json.loads(body)))
                failing = len(seen) == 1
                answer = b'{"errorMessage":"once","errorType":"E"}' if failing else b"null"
                self.send_response(503 if len(seen) == 2 else 200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                """Nothing on stderr."""

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        url = f"http://127.0.0.1:{server.server_port}"
        figures = self.stopped(self.bridge_to_end(function=url).stderr)
        self.assertEqual([path for path, _ in seen], ["/2015-03-31/functions/function/invocations"] * 3)
        self.assertEqual([sum(map(len, event["records"].values())) for _, event in seen], [3, 3, 3])
        self.assertEqual((figures["function_errors"], figures["unreachable"], figures["retries"]), (1, 1, 2))
        self.assertEqual(self.offsets(), {0: 3})

    # ---- what fails

    def test_errors_crashes_and_timeouts_bring_the_batch_again(self):
        self.make_topic(2)
        self.put(0, ["a", "error:1", "b", "crash:1", "c"])
        self.put(1, ["d", "hang:1", "e"])
        done = self.bridge_to_end("--timeout", "5s", "--concurrency", 2, "--batching-window", "300ms")
        calls = self.calls()
        self.assertEqual(self.delivered(calls), {(p, n): 1 for p, count in ((0, 5), (1, 3)) for n in range(count)})
        self.assert_in_order(calls)
        self.assert_one_at_a_time(calls)
        figures = self.stopped(done.stderr)
        self.assertEqual((figures["function_errors"], figures["crashes"], figures["timeouts"]), (1, 1, 1))
        self.assertEqual(figures["retries"], 3)
        self.assertIn("Task timed out after 5.00 seconds", done.stderr)
        self.assertIn("Runtime exited with error: exit status 3", done.stderr)
        self.assertIn("Recording.Error: {\\\"errorMessage\\\": \\\"as asked\\\"", done.stderr)
        self.assertEqual(self.offsets(), {0: 5, 1: 3})

    def test_partial_failures_bring_the_rest_again(self):
        self.make_topic(1)
        self.put(0, ["a", "b", "stumble:1", "c", "stranger:1", "d", "malformed:1"])
        done = self.bridge_to_end(*PROVISIONED, "--report-batch-item-failures", "--batch-size", 7)
        sent = [[offset for _, offset in call.records] for call in self.calls()]
        rest = [2, 3, 4, 5, 6]
        self.assertEqual(sent, [[0, 1, *rest], rest, rest, rest])
        self.assertIn("no record of the batch is", done.stderr)
        self.assertIn("the response is neither an object nor null", done.stderr)
        self.assertEqual(self.stopped(done.stderr)["partial_failures"], 1)
        self.assertEqual(self.offsets(), {0: 7})

    def test_bisecting_isolates_a_bad_record_and_its_document_is_exact(self):
        self.make_topic(2)
        self.put(0, ["a", "b", "c", "poison:x", "d", "e", "f", "g"])
        self.put(1, ["h"])
        target = self.directory / "discarded"
        done = self.bridge_to_end(*PROVISIONED, "--bisect", "--maximum-retry-attempts", 1, "--on-failure", target,
                                  "--batch-size", 9)
        calls = self.calls()
        self.assertEqual(set(self.delivered(calls)), {(0, n) for n in range(8) if n != 3} | {(1, 0)})
        self.assert_in_order(calls)
        self.assertEqual(self.offsets(), {0: 8, 1: 1})
        files = sorted(target.iterdir())
        self.assertEqual(len(files), 1, files)
        self.assertRegex(files[0].name, rf"^\d{{4}}-\d\d-\d\dT\d\d\.\d\d\.\d\d\.\d{{3}}Z-{UUID}\.json$")
        document = json.loads(files[0].read_text(encoding="utf-8"))
        event = json.loads(document.pop("payload"))
        self.assertEqual(self.values(event), {(0, 3): "poison:x"})
        alone = [call for call in calls if call.records == [(0, 3)]]
        self.assertEqual(len(alone), 2, "the first attempt and one more")
        self.assertEqual(event, alone[0].event)
        record = event["records"][f"{self.topic}-0"][0]
        context = document.pop("requestContext")
        self.assertEqual(context["requestId"], alone[1].request)
        self.assertEqual(context["functionArn"], "arn:aws:lambda:us-east-1:000000000000:function:bootstrap")
        self.assertEqual(context["condition"], "RetryAttemptsExhausted")
        self.assertEqual(context["approximateInvokeCount"], sum((0, 3) in call.records for call in calls))
        self.assertLess(abs(self.seconds(document.pop("timestamp")) - time.time()), 600)
        info = document.pop("KafkaBatchInfo")
        self.assertLess(abs(self.seconds(info["recordInfo"].pop("timestamp")) - record["timestamp"] / 1000), 0.002)
        self.assertEqual(info, {"batchSize": 1, "eventSourceArn": None, "bootstrapServers": self.cluster.bootstrap,
                                "payloadSize": alone[0].bytes, "recordInfo": {"offset": "3"}})
        self.assertEqual(document, {"version": "1.0", "responseContext": {
            "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"}})
        figures = self.stopped(done.stderr)
        self.assertEqual((figures["discarded_records"], figures["discarded_batches"]), (1, 1))

    @staticmethod
    def seconds(text):
        return time.mktime(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone + int(text[20:23]) / 1000

    def test_a_topic_for_what_was_discarded(self):
        self.make_topic(1)
        other = f"{self.topic}-failed"
        self.cluster.create_topic(other, 1)
        self.cluster.acl("app", ["WRITE", "DESCRIBE"], topic=other)
        self.put(0, ["poison:1", "fine"])
        self.bridge_to_end(*PROVISIONED, "--on-failure", f"topic:{other}", "--maximum-retry-attempts", 2,
                           "--batch-size", 2)
        self.assertEqual(len(self.calls()), 3, "once and twice more")
        self.topic, topic = other, self.topic
        documents = [json.loads(value) for value in self.records_by_kcat()]
        self.topic = topic
        self.assertEqual(len(documents), 1)
        self.assertEqual(self.values(json.loads(documents[0]["payload"])), {(0, 0): "poison:1", (0, 1): "fine"})
        self.assertEqual(self.offsets(), {0: 2})
        refused = self.bridge_to_end(*PROVISIONED, "--on-failure", f"topic:{self.topic}", expect=64)
        self.assertIn("would feed itself", refused.stderr)

    def test_an_on_demand_mapping_never_gives_up(self):
        self.make_topic(1)
        self.put(0, ["poison:1"])
        bridge = self.start_bridge("--batching-window", "0s")
        self.wait_calls(6, bridge)
        self.assertEqual(bridge.stop(), 0)
        self.assertEqual(self.offsets(), {0: 0}, "only where it began")
        for option in (["--bisect"], ["--maximum-retry-attempts", 3], ["--maximum-record-age", "1h"],
                       ["--report-batch-item-failures"], ["--on-failure", "x"]):
            refused = self.bridge_to_end(*option, expect=64)
            self.assertIn(f"{option[0]} needs --mode provisioned", refused.stderr)

    def test_a_record_above_six_megabytes_is_discarded_and_its_neighbours_come(self):
        self.make_topic(1)
        self.cluster.alter_topic(self.topic, {"max.message.bytes": 20_000_000})
        large = self.directory / "large"
        large.write_bytes(b"x" * 5_000_000)  # in base64 it is above the limit
        self.put(0, ["before"])
        self.put_file(0, large)
        self.put(0, ["after"])
        target = self.directory / "discarded"
        done = self.bridge_to_end(*PROVISIONED, "--maximum-retry-attempts", 0, "--on-failure", target)
        self.assertEqual(self.delivered(self.calls()), {(0, 0): 1, (0, 2): 1})
        document = json.loads(next(target.iterdir()).read_text(encoding="utf-8"))
        self.assertEqual(document["responseContext"]["statusCode"], 413)
        self.assertEqual(len(self.values(json.loads(document["payload"]))[(0, 1)]), 5_000_000)
        self.assertIn("too large for an invocation", done.stderr)
        self.assertEqual(self.stopped(done.stderr)["too_large"], 1)

    # ---- chaos

    def test_chaos_repeats_recuts_and_reorders_and_loses_nothing(self):
        self.make_topic(3)
        self.produce("--devices", 30, count=2_000)
        done = self.bridge_to_end("--chaos", "recut,duplicate,reverse-halves,drop-reply", "--seed", self.seed,
                                  "--concurrency", 2, "--batch-size", 25, "--batching-window", "100ms")
        calls = self.calls()
        delivered = self.delivered(calls)
        ends = self.cluster.end_offsets(self.topic)
        self.assertEqual(set(delivered), {(p, offset) for p, end in ends.items() for offset in range(end)})
        self.assertEqual(self.offsets(), ends)
        figures = self.stopped(done.stderr)
        self.assertIn(f'"message":"chaos","seed":{self.seed}', done.stderr)
        for name in ("duplicated", "reversed", "replies_dropped"):
            self.assertGreater(figures[name], 2, name)
        self.assertGreater(max(delivered.values()), 1, "some came more than once")
        self.assertGreater(len({tuple(call.records) for call in calls if (0, 100) in call.records} |
                               {len(call.records) for call in calls}), 5, "cut in many ways")
        overlapping = [(a, b) for a in calls for b in calls if a.records == b.records and a.begun < b.begun < a.ended]
        self.assertTrue(overlapping, "one was sent twice at once")
        firsts = [min(offset for p, offset in call.records if p == 0) for call in calls if 0 in call.partitions]
        self.assertNotEqual(firsts, sorted(firsts))

    def test_without_chaos_nothing_is_repeated(self):
        self.make_topic(1)
        self.produce("--devices", 3, count=300)
        figures = self.stopped(self.bridge_to_end("--batch-size", 10).stderr)
        self.assertEqual([figures[name] for name in ("duplicated", "reversed", "replies_dropped", "retries")], [0] * 4)
        self.assertEqual(max(self.delivered(self.calls()).values()), 1)

    # ---- beginning and end

    def alive(self, pid):
        try:
            return pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
        except (FileNotFoundError, ProcessLookupError):
            return False

    def test_killed_it_leaves_no_process_and_goes_on_from_the_committed_position(self):
        self.make_topic(1)
        # The script stays, so the function is a grandchild that no parent-death signal of the kernel reaches.
        self.write_function(f"python3 -B {FUNCTION}\nexit $?")
        count = 400  # far from done when the kill comes, however late that is on a busy machine
        self.put(0, [f"v{n}" for n in range(count)])
        bridge = self.start_bridge("--batch-size", 4, "--env", "DELAY_MS=150", "-X", "session.timeout.ms=6000")
        self.wait_calls(4, bridge)
        wait_until(lambda: self.offsets().get(0, 0) >= 8, 30, "two batches are committed", bridge)
        function = self.calls()[0].pid
        self.assertTrue(self.alive(function))
        bridge.kill()
        wait_until(lambda: not self.alive(function), 10, "the function has ended with the bridge")
        committed = self.offsets()[0]
        before = len(self.calls())
        self.bridge_to_end("--batch-size", 4)
        calls = self.calls()
        self.assertEqual(calls[before].records[0], (0, committed), "it goes on where it had committed")
        self.assertEqual(set(self.delivered(calls)), {(0, n) for n in range(count)})
        self.assertEqual(self.offsets(), {0: count})

    def test_sigterm_lets_a_batch_end_and_leaves_the_group(self):
        self.make_topic(1)
        self.put(0, ["wait:go", "b"])
        bridge = self.start_bridge("--batch-size", 1)
        self.wait_calls(1, bridge)
        bridge.signal(signal.SIGTERM)
        bridge.wait_for('"message":"stopping"', 30)
        (self.recording / "go").touch()
        self.assertEqual(bridge.wait(30), 0)
        self.assertTrue(self.calls()[0].succeeded, "what was under way ended in order")
        self.assertEqual(self.offsets(), {0: 1})
        self.assertEqual(len(self.calls()), 1)

    def test_sigterm_does_not_wait_for_a_function_that_hangs(self):
        self.make_topic(1)
        self.put(0, ["hang:1"])
        bridge = self.start_bridge("--freeze")
        pid = self.wait_calls(1, bridge)[0].pid
        self.assertEqual(bridge.stop(timeout=30), 0)  # it would hang for an hour
        self.assertFalse(self.alive(pid))
        self.assertIn("come again at the next start", bridge.stderr())

    def test_a_second_member_takes_over_half_and_nothing_is_lost(self):
        self.make_topic(4)
        self.put(0, ["go"])
        options = ("--env", "DELAY_MS=20", "--batch-size", 5, "--batching-window", "50ms")
        first = self.start_bridge(*options, name="first")
        self.wait_calls(1, first)
        second = self.start_bridge(*options, name="second")
        second.wait_for('partitions assigned.*"count":2', 60)
        self.produce("--devices", 40, count=600)
        ends = self.cluster.end_offsets(self.topic)
        wait_until(lambda: self.offsets() == ends, 60, "all is committed", first)
        self.assertEqual((first.stop(), second.stop()), (0, 0))
        calls = self.calls()
        self.assertEqual(set(self.delivered(calls)), {(p, n) for p, end in ends.items() for n in range(end)})
        self.assert_in_order(calls)
        self.assert_one_at_a_time(calls)
        self.assertEqual(len({call.pid for call in calls}), 2)

    def test_what_cannot_be_started_is_told_at_once(self):
        text = self.directory / "text"
        text.write_text("no program", encoding="utf-8")
        refused = self.bridge_to_end(function=text, expect=78)
        self.assertIn(str(text), refused.stderr)
        os.chmod(text, 0o755)
        self.assertIn("cannot be started", self.bridge_to_end(function=text, expect=78).stderr)


if __name__ == "__main__":
    main()
