# SPDX-License-Identifier: Apache-2.0
"""produce -> a real Kafka -> consume -> verify, and everything that is done to it in between."""
import contextlib
import json
import re
import signal
import socket
import sqlite3
import time
from pathlib import Path

from culvert_test.process import wait_until
from culvert_test.runner import main
from kafka_case import USER, KafkaCase

HARD = ("--disorder", "5s", "--late-share", "0.002", "--bad-share", "0.001")


class Consume(KafkaCase):
    def test_table_agrees_with_an_independent_group_by(self):
        """The same records by another client, grouped by another program."""
        self.make_topic()
        self.produce("--devices", 50, "--disorder", "5s", count=40_000)
        self.consume_to_end()
        self.verify()
        with sqlite3.connect(":memory:") as other:
            other.execute("CREATE TABLE record(value TEXT)")
            other.executemany("INSERT INTO record VALUES (?)", ((v.decode(),) for v in self.records_by_kcat()))
            expected = other.execute("""
                SELECT json_extract(value, '$.device_id') AS device, substr(json_extract(value, '$.timestamp'), 1, 16)
                       AS minute, count(*), round(avg(json_extract(value, '$.temperature')), 4),
                       min(json_extract(value, '$.temperature')), max(json_extract(value, '$.temperature'))
                FROM record GROUP BY device, minute ORDER BY device, minute""").fetchall()
        rows = [json.loads(line) for line in self.query().splitlines()]
        actual = [(r["device_id"], r["window_start"][:16], r["count"], round(r["avg_temp"], 4), r["min_temp"],
                   r["max_temp"]) for r in rows]
        self.assertEqual(len(actual), len(expected))
        for ours, theirs in zip(actual, expected, strict=True):
            self.assertEqual(ours[:3], theirs[:3])
            self.assertAlmostEqual(ours[3], theirs[3], delta=0.00011)
            self.assertEqual(ours[4:], theirs[4:])

    def test_hard_stream_is_exact_and_a_replay_changes_no_byte(self):
        self.make_topic()
        self.produce("--devices", 200, *HARD, count=150_000)
        self.consume_to_end()
        self.verify()
        before, letters = self.query(), self.dead_letters()
        self.assertGreater(len(letters), 100)
        replay = self.consume_to_end("--replay-from", "earliest")
        self.assertEqual(self.query(), before)
        self.assertEqual(self.dead_letters(), letters)
        self.assertIn('"filtered":150000', replay.stderr)
        self.verify()

    def test_hopping_windows_and_final_emission(self):
        self.make_topic(2)
        self.produce("--devices", 20, *HARD, count=40_000)
        self.consume_to_end("--window", "60s", "--advance", "20s", "--emit", "final")
        self.verify()

    def test_killed_at_random_moments(self):
        self.make_topic()
        self.produce("--devices", 100, *HARD, count=300_000)
        for round_number in range(5):
            # The group waits out a killed member's session before the next one is given the partitions.
            process = self.start_consumer(f"killed{round_number}", "--flush-interval", "50ms",
                                          "-X", "session.timeout.ms=6000")
            self.wait_checkpointed(1, 60, "the first checkpoint", process)
            before = self.checkpointed()
            target = min(before + self.random.randrange(1, 20_000), 300_000)
            self.wait_checkpointed(target, 60, "some progress", process)
            process.kill()
        self.consume_to_end()
        self.verify()

    def test_two_members_one_killed_the_other_takes_over(self):
        self.make_topic()
        producer = self.start_culvert("produce", *self.kafka, "--devices", 100, "--rate", 8000, "--duration", "20s",
                                      *HARD, name="producer")
        options = ("--flush-interval", "100ms", "-X", "session.timeout.ms=6000")
        first = self.start_consumer("first", *options)
        second = self.start_consumer("second", *options)
        for member in (first, second):
            member.wait_for("partitions assigned.*[12]}", 60)
        self.wait_checkpointed(20_000, 60, "both members flushed", first)
        first.kill()
        self.assertEqual(producer.wait(120), 0)
        self.assertEqual(second.stop(), 0)
        self.consume_to_end()
        self.verify()

    def test_stopped_member_wakes_as_a_zombie(self):
        self.make_topic()
        self.produce("--devices", 100, *HARD, count=100_000)
        options = ("--flush-interval", "50ms", "-X", "session.timeout.ms=6000")
        zombie = self.start_consumer("zombie", *options)
        self.wait_checkpointed(1000, 60, "the first member flushed", zombie)
        self.pause_between_transactions(zombie)
        try:
            self.produce("--devices", 100, *HARD, count=50_000)
            owner = self.start_consumer("owner", *options)
            self.wait_checkpointed(150_000, 90, "the new owner read everything", owner)
        finally:
            zombie.resume()
        self.produce("--devices", 100, *HARD, count=20_000)
        self.wait_checkpointed(170_000, 90, "both go on", owner)
        self.assertEqual(zombie.stop(), 0)
        self.assertEqual(owner.stop(), 0)
        self.verify()

    def pause_between_transactions(self, process):
        """A process that is stopped with the file's lock in its hands keeps it, and nobody else could go on."""
        def paused_without_lock():
            process.pause()
            try:
                with contextlib.closing(sqlite3.connect(self.table.removeprefix("sqlite:"), timeout=0)) as connection:
                    connection.execute("BEGIN IMMEDIATE")
                return True
            except sqlite3.OperationalError:
                process.resume()
                return False

        wait_until(paused_without_lock, 30, f"{process.name} holds no lock", process=process)

    def test_sigterm_leaves_nothing_to_read_again(self):
        self.make_topic()
        self.produce("--devices", 50, count=50_000)
        process = self.start_consumer("consumer", "--flush-interval", "1h")
        self.wait_checkpointed(0, 60, "the table is there", process)
        process.wait_for('"records":50000', 60)
        self.assertEqual(process.stop(), 0)
        self.assertEqual(self.checkpointed(), 50_000)
        again = self.consume_to_end()
        self.assertIn('"records":0,', again.stderr.splitlines()[-1])
        self.assertEqual(self.cluster.group_offsets(self.topic, self.topic),
                         self.cluster.end_offsets(self.topic))
        self.verify()

    def test_stop_does_not_wait_for_a_table_that_somebody_keeps_locked(self):
        self.make_topic(2)
        self.produce("--devices", 20, *HARD, count=1_000)
        consumer = self.start_consumer("consumer", "--flush-interval", "50ms")
        self.wait_checkpointed(1_000, 60, "everything is in the table", consumer)
        with contextlib.closing(sqlite3.connect(self.table.removeprefix("sqlite:"), isolation_level=None)) as holder:
            holder.execute("BEGIN IMMEDIATE")
            self.produce("--devices", 20, *HARD, count=1_000)
            consumer.wait_for("a flush did not finish and is tried again.*database is locked", 60)
            time.sleep(3)  # the next flush waits by now, and the one after it would begin just before the stop's end
            begun = time.monotonic()
            self.assertEqual(consumer.stop(timeout=30), 0, consumer.tail())
            self.assertLess(time.monotonic() - begun, 12, consumer.tail())
        self.assertEqual(self.checkpointed(), 1_000)
        self.consume_to_end()
        self.verify()

    def test_service_manager_is_told_and_a_signal_shows_the_state(self):
        self.make_topic()
        self.produce("--devices", 50, count=10_000)
        heard = []
        name = f"\0culvert-{self.id()}-{self.random.randrange(1 << 30)}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(name)
            manager.setblocking(False)

            def said(wanted):
                try:
                    while True:
                        heard.append(manager.recv(4096).decode())
                except BlockingIOError:
                    return any(re.search(wanted, text) for text in heard)

            process = self.start_culvert(
                *self.consumer_options("--flush-interval", "100ms"), name="service",
                env={"NOTIFY_SOCKET": name.replace("\0", "@"), "WATCHDOG_USEC": "2000000"})
            wait_until(lambda: said("^READY=1$"), 60, "it is ready", process)
            wait_until(lambda: said("WATCHDOG=1\nSTATUS=.*lag 0, 4 partitions"), 60, "it has caught up", process)
            count = len(heard)
            wait_until(lambda: said("$^") or len(heard) >= count + 3, 60, "signs of life", process)
            process.signal(signal.SIGUSR1)
            state = json.loads(process.wait_for(r'.*"message":"state".*', 60)[0])
            self.assertEqual((state["records"], state["checkpointed"], state["lag"]), (10_000, 10_000, 0))
            self.assertEqual(len(re.findall(r"(?:^|; )\d assignment=\d+ reading position=(\d+) next=\1 checkpoint=\1 "
                                            r"end=\1 watermark=2", state["partitions"])), 4, state["partitions"])
            self.assertEqual(process.stop(), 0)
            self.assertTrue(said("^STOPPING=1$"))
        self.verify()

    def test_topic_made_anew_is_refused_with_the_remedy(self):
        self.make_topic(1)
        self.produce(count=5_000)
        self.consume_to_end()
        self.cluster.delete_topic(self.topic)
        self.cluster.create_topic(self.topic, 1)
        self.produce(count=6_000)
        refused = self.consume_to_end(expect=65)
        self.assertIn("--generation 2", refused.stderr)
        self.consume_to_end("--generation", 2)
        path = self.table.removeprefix("sqlite:")
        with sqlite3.connect(path) as table:
            self.assertEqual(table.execute("SELECT sum(count) FROM items").fetchone()[0], 11_000)

    def test_table_that_is_removed_ends_the_consumer_and_is_made_anew_from_the_log(self):
        self.make_topic(2)
        self.produce("--devices", 20, *HARD, count=2_000)
        consumer = self.start_consumer("consumer", "--flush-interval", "50ms")
        self.wait_checkpointed(2_000, 60, "everything is in the table", consumer)
        path = Path(self.table.removeprefix("sqlite:"))
        path.unlink()
        self.produce("--devices", 20, *HARD, count=1_000)
        self.assertEqual(consumer.wait(60), 74, consumer.tail())
        self.assertRegex(consumer.stderr(), r"windows\.db': the file was removed, renamed or replaced while it was in")
        self.assertLessEqual(sum(self.cluster.group_offsets(self.topic, self.topic).values()), 2_000,
                             "nothing was committed that went into the lost file")
        refused = self.consume_to_end(expect=74)
        self.assertRegex(refused.stderr, r"the file is not there, but its log .*windows\.db-wal is")
        for left in ("-wal", "-shm"):
            Path(f"{path}{left}").unlink()
        self.consume_to_end()
        self.assertEqual(self.checkpointed(), 3_000)
        self.verify()

    def test_topic_made_anew_under_a_running_consumer_is_refused(self):
        """The client goes on at its position in the new log, if that is long enough by then, and says nothing."""
        self.make_topic(1)
        consumer = self.start_consumer("consumer", "--flush-interval", "100ms")
        self.produce(count=1_000)
        self.wait_checkpointed(1_000, 60, "all is folded", consumer)
        consumer.signal(signal.SIGSTOP)
        self.cluster.delete_topic(self.topic)
        self.cluster.create_topic(self.topic, 1)
        self.produce(count=3_000)
        consumer.signal(signal.SIGCONT)
        self.assertEqual(consumer.wait(90), 65, consumer.tail())
        self.assertRegex(consumer.tail(), "made anew.*--generation 2")

    def readings(self, count, device):
        return [json.dumps({"device_id": device, "timestamp": f"2023-05-01T12:{i // 60:02}:{i % 60:02}Z",
                            "temperature": i}) for i in range(count)]

    def test_what_transactions_aborted_is_in_no_window(self):
        """Nor does a marker, which takes an offset, hold anything up: at the end of the log, either."""
        self.make_topic(1)
        self.cluster.transact(self.topic, 0, self.readings(40, 1))
        self.cluster.transact(self.topic, 0, self.readings(30, 2), abort=True)
        consumer = self.start_consumer("consumer", "--flush-interval", "50ms")
        self.wait_checkpointed(72, 60, "the first two are dealt with", consumer)
        self.cluster.transact(self.topic, 0, self.readings(20, 3), abort=True)
        self.wait_checkpointed(93, 60, "nothing but aborted records and a marker came", consumer)
        self.cluster.transact(self.topic, 0, self.readings(10, 4))
        self.wait_checkpointed(104, 60, "all is dealt with", consumer)
        self.assertEqual(consumer.stop(), 0)
        self.consume_to_end("--replay-from", "earliest")
        rows = [json.loads(line) for line in self.query().splitlines()]
        self.assertEqual([(row["device_id"], row["count"]) for row in rows], [(1, 40), (4, 10)])
        self.assertEqual(self.cluster.end_offsets(self.topic), {0: 104})
        self.cluster.transact(self.topic, 0, self.readings(5, 5), abort=True)
        self.consume_to_end()
        self.assertEqual(self.checkpointed(), 110, "its end is reached although nothing is there to read")
        self.verify()

    def test_a_log_without_times_of_its_producers(self):
        """LogAppendTime: the broker's clock is the record's timestamp, so nothing is judged by what a sensor says."""
        self.cluster.create_topic(self.topic, 1, {"message.timestamp.type": "LogAppendTime"})
        self.cluster.acl(USER, ["READ", "WRITE", "DESCRIBE"], topic=self.topic)
        self.cluster.acl(USER, ["READ"], group=self.topic)
        self.produce("--devices", 5, *HARD, count=3_000)
        self.consume_to_end()
        before = self.query()
        self.assertEqual(self.checkpointed(), 3_000)
        self.consume_to_end("--replay-from", "earliest")
        self.assertEqual(self.query(), before)
        self.verify()

    def test_a_partition_that_is_added_later_is_read_from_its_beginning(self):
        """Also with --start latest: all of it came after the start, however long the group takes to hear of it."""
        self.make_topic(1)
        self.produce(count=500)
        consumer = self.start_consumer("consumer", "--flush-interval", "100ms", "--start", "latest",
                                       "-X", "topic.metadata.refresh.interval.ms=3000")
        self.wait_checkpointed(500, 60, "the start is stored", consumer)
        self.cluster.add_partitions(self.topic, 3)
        self.produce("--devices", 100, count=3_000)
        self.wait_checkpointed(3_500, 60, "all that came since is folded", consumer)
        self.assertEqual(consumer.stop(), 0)
        path = self.table.removeprefix("sqlite:")
        with sqlite3.connect(path) as table:
            self.assertEqual(table.execute("SELECT sum(count) FROM items").fetchone()[0], 3_000)

    def test_other_definition_is_refused_before_anything_is_written(self):
        self.make_topic(1)
        self.produce(count=1_000)
        self.consume_to_end()
        before = self.query()
        refused = self.consume_to_end("--window", "30s", expect=65)
        self.assertIn("size: table has 1m, now 30s", refused.stderr)
        self.assertEqual(self.query(), before)


if __name__ == "__main__":
    main()
