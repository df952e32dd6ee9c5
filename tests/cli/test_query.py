# SPDX-License-Identifier: Apache-2.0
"""query and dead-letters on a table that this test writes itself, after schema.sql and docs/formats.md alone."""

import base64
import contextlib
import csv
import io
import json
import os
import pty
import re
import sqlite3
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

CULVERT = os.environ.get("CULVERT_BIN", "build/dev/culvert")
SCHEMA = Path("src/adapters/sqlite/schema.sql")
MINUTE = 60_000
START = 1_795_449_420_000  # 2026-11-23T15:57:00Z


def definition(key_type="number", value_name="temp"):
    return ("windows=tumbling size=1m advance=1m out_of_orderness=10s allowed_lateness=1h max_future=1h "
            "device_field=device_id timestamp_field=timestamp value_field=temperature timestamp_unit=text "
            f"key_type={key_type} record_bytes_max=1048576 value_name={value_name}")


class Table:
    """A culvert table in a file, written by another program."""

    def __init__(self, path, key_type="number", value_name="temp"):
        self.path = path
        self.database = sqlite3.connect(path)
        schema = SCHEMA.read_text().replace("@KEY_TYPE@", "INTEGER" if key_type == "number" else "TEXT")
        self.database.executescript(schema.replace("@VALUE@", value_name))
        self.database.executemany("INSERT INTO meta VALUES (?, ?)",
                                  [("schema_version", "1"), ("culvert_version", "0.0.0"), ("key_type", key_type),
                                   ("definition", definition(key_type, value_name))])
        self.database.execute(f"PRAGMA application_id = {0x43554c56}")
        self.database.execute("PRAGMA user_version = 1")

    def item(self, device, start, values, fences):
        """Values in millionths."""
        count, total = len(values), sum(values)
        squares = sum(value * value for value in values)
        mean = round(total / count)
        self.database.execute(
            "INSERT INTO items (device_id, window_start, window_end, count, sum, sum_squares, min_micro, max_micro, "
            "mean_micro, stddev_micro, fences) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?)",
            (device, start, start + MINUTE, count, total, squares if squares < 2**63 else str(squares), min(values),
             max(values), mean, fences))

    def checkpoint(self, partition, max_event_time):
        self.database.execute(
            "INSERT INTO checkpoints VALUES ('telemetry', 1, ?, 0, 100, '', ?, ?, 100, 100, 0, 0, ?, 'early', '')",
            (partition, max_event_time, max_event_time, definition()))

    def dead_letter(self, offset, reason, detail, key, value):
        self.database.execute("INSERT INTO dead_letters VALUES ('telemetry', 1, 0, ?, ?, ?, ?, ?, ?)",
                              (offset, START, reason, detail, key, value))

    def close(self):
        self.database.commit()
        self.database.close()


def run_into_a_slow_pipe(*arguments):
    """What comes out of a pipe that is emptied slowly, and what stands on the terminal that stderr is."""
    leader, follower = pty.openpty()
    process = subprocess.Popen([CULVERT, *arguments], stdout=subprocess.PIPE, stderr=follower, stdin=subprocess.DEVNULL,
                               env={**os.environ, "TERM": "xterm"})
    os.close(follower)
    os.set_blocking(leader, False)
    output, shown = b"", b""
    try:
        while part := process.stdout.read1(65_536):
            output += part
            time.sleep(0.03)
            with contextlib.suppress(BlockingIOError, OSError):  # nothing new; or the terminal is closed
                shown += os.read(leader, 65_536)
        return process.wait(timeout=30), output.decode(), shown.decode()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        os.close(leader)


def run(*arguments):
    return subprocess.run([CULVERT, *arguments], capture_output=True, timeout=30)


class WithFolder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="culvert-query-")
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "t.sqlite")

    def rows(self, *arguments):
        result = run("query", "--table", f"sqlite:{self.path}", "--format", "json", *arguments)
        self.assertEqual(result.returncode, 0, result.stderr)
        return [json.loads(line) for line in result.stdout.decode().splitlines()]


class Query(WithFolder):
    def setUp(self):
        super().setUp()
        table = Table(self.path)
        table.item(10, START, [21_500_000, 22_000_000], "telemetry@1/0:12")
        table.item(9, START + MINUTE, [1_000_000_000_000_000] * 10, "telemetry@1/0:13")
        table.item(9, START, [-1], "telemetry@1/0:14 telemetry@1/1:3")
        table.checkpoint(0, START + 2 * MINUTE + 9_999)
        table.checkpoint(1, START + MINUTE + 10_000)
        table.close()

    def test_json_is_ordered_exact_and_says_what_is_closed(self):
        rows = self.rows()
        self.assertEqual([(row["device_id"], row["window_start"], row["state"]) for row in rows],
                         [(9, "2026-11-23T15:57:00.000Z", "closed"), (9, "2026-11-23T15:58:00.000Z", "open"),
                          (10, "2026-11-23T15:57:00.000Z", "closed")])
        self.assertEqual(list(rows[0]), ["device_id", "window_start", "window_stop", "avg_temp", "min_temp", "max_temp",
                                         "sum_temp", "stddev_temp", "count", "sumsq", "state"])
        self.assertEqual(rows[2] | {"state": ""},
                         {"device_id": 10, "window_start": "2026-11-23T15:57:00.000Z",
                          "window_stop": "2026-11-23T15:58:00.000Z", "avg_temp": 21.75, "min_temp": 21.5,
                          "max_temp": 22, "sum_temp": 43.5,
                          "stddev_temp": 0.25, "count": 2, "sumsq": 946.25, "state": ""})

    def test_numbers_are_decimal_text_beyond_double_precision(self):
        result = run("query", "--table", f"sqlite:{self.path}", "--format", "json").stdout.decode()
        self.assertIn('"min_temp":-0.000001,', result)
        self.assertIn('"sumsq":0.000000000001,', result)
        self.assertIn('"sum_temp":10000000000,', result)
        self.assertIn('"sumsq":10000000000000000000,', result)

    def test_device_and_time_filters_are_half_open(self):
        self.assertEqual(len(self.rows("--device", "9")), 2)
        self.assertEqual(self.rows("--device", "11"), [])
        second = "2026-11-23T15:58:00Z"
        self.assertEqual([row["device_id"] for row in self.rows("--from", second)], [9])
        self.assertEqual([row["device_id"] for row in self.rows("--to", second)], [9, 10])
        result = run("query", "--table", f"sqlite:{self.path}", "--from", second, "--to", second)
        self.assertEqual(result.returncode, 64)

    def test_device_of_the_other_type_is_a_usage_error(self):
        result = run("query", "--table", f"sqlite:{self.path}", "--device", "pump")
        self.assertEqual(result.returncode, 64)
        self.assertIn(b"whole numbers", result.stderr)

    def test_csv_agrees_with_json(self):
        result = run("query", "--table", f"sqlite:{self.path}", "--format", "csv")
        rows = list(csv.DictReader(io.StringIO(result.stdout.decode())))
        text = run("query", "--table", f"sqlite:{self.path}", "--format", "json").stdout.decode()
        self.assertEqual(rows, [json.loads(line, parse_int=str, parse_float=str) for line in text.splitlines()])
        self.assertEqual([row["avg_temp"] for row in rows], ["-0.000001", "1000000000", "21.75"])

    def test_table_is_aligned(self):
        lines = run("query", "--table", f"sqlite:{self.path}").stdout.decode().splitlines()
        self.assertEqual(len(lines), 4)
        self.assertRegex(lines[0], r"^device +window start +window stop +count +avg temp +min +max +stddev +state$")
        self.assertEqual({line.index("2026") for line in lines[1:]}, {lines[0].index("window start")})

    def test_the_view_agrees(self):
        database = sqlite3.connect(self.path)
        database.row_factory = sqlite3.Row
        seen = [dict(row) for row in database.execute("SELECT * FROM windows ORDER BY device_id, window_start")]
        for row, item in zip(self.rows(), seen, strict=True):
            for name in ("device_id", "window_start", "window_stop", "avg_temp", "min_temp", "max_temp", "count"):
                self.assertEqual(row[name], item[name], name)
        database.close()

    def test_a_terminal_shows_how_far_a_query_into_a_file_has_come(self):
        path = self.path + "-many"
        table = Table(path)
        many = 10_000
        for number in range(many):
            table.item(number % 100, START + number // 100 * MINUTE, [number], "telemetry@1/0:100")
        table.checkpoint(0, START)
        table.close()
        code, output, shown = run_into_a_slow_pipe("query", "--table", f"sqlite:{path}", "--format", "json")
        self.assertEqual(code, 0, shown)
        self.assertEqual(output.count("\n"), many)
        self.assertNotIn("\x1b", output)
        steps = [int(step) for step in re.findall(r"of 10\D000 \((\d+) %\)", shown)]
        self.assertGreaterEqual(len(steps), 3, shown)
        self.assertEqual(steps, sorted(steps))
        self.assertLess(steps[0], steps[-1])

    def test_reading_leaves_the_file_and_its_folder_as_they_were(self):
        before = Path(self.path).read_bytes()
        run("query", "--table", f"sqlite:{self.path}")
        self.assertEqual(Path(self.path).read_bytes(), before)
        self.assertEqual(os.listdir(os.path.dirname(self.path)), ["t.sqlite"])


class TextKeys(WithFolder):
    def test_hostile_device_names_are_text_and_escaped(self):
        names = ["1", "10", "9", "a\x1b[31m\nb", "caf\u00e9", '"quoted", with comma', "\u202egnp.exe", "nul\0byte"]
        table = Table(self.path, "string", "load")
        for name in names:
            table.item(name, START, [1], "telemetry@1/0:12")
        table.close()
        rows = self.rows()
        self.assertEqual([row["device_id"] for row in rows], sorted(names, key=str.encode))
        self.assertIn("avg_load", rows[0])
        self.assertEqual(self.rows("--device", "9")[0]["device_id"], "9")
        shown = run("query", "--table", f"sqlite:{self.path}").stdout
        self.assertNotIn(b"\x1b", shown)
        self.assertNotIn("\u202e".encode(), shown)
        self.assertEqual(len(shown.splitlines()), len(names) + 1)
        parsed = list(csv.reader(io.StringIO(
            run("query", "--table", f"sqlite:{self.path}", "--format", "csv").stdout.decode().replace("\0", "0"),
            newline="")))
        self.assertEqual({row[0] for row in parsed[1:]}, {name.replace("\0", "0") for name in names})


class DeadLetters(WithFolder):
    def setUp(self):
        super().setUp()
        table = Table(self.path)
        table.dead_letter(5, "tombstone", "", None, None)
        table.dead_letter(3, "not_json", "at byte 0", b"key", b"\xff\x1b[2J" + b"x" * 1000)
        table.close()

    def test_json_holds_every_byte(self):
        result = run("dead-letters", "list", "--table", f"sqlite:{self.path}", "--format", "json")
        self.assertEqual(result.returncode, 0, result.stderr)
        first, second = [json.loads(line) for line in result.stdout.decode().splitlines()]
        self.assertEqual(base64.b64decode(first["value_base64"]), b"\xff\x1b[2J" + b"x" * 1000)
        self.assertEqual(second, {"topic": "telemetry", "generation": 1, "partition": 0, "offset": 5,
                                  "timestamp": START, "reason": "tombstone",
                                  "detail": "", "key_base64": None, "value_base64": None})

    def test_table_shows_hostile_bytes_escaped_and_cut(self):
        shown = run("dead-letters", "list", "--table", f"sqlite:{self.path}").stdout
        self.assertNotIn(b"\x1b", shown)
        self.assertIn(rb"\xff\x1b[2Jxxx", shown)
        self.assertIn("…".encode(), shown)
        self.assertIn(b"telemetry@1/0:5", shown)
        self.assertIn(b"(tombstone)", shown)


class Refusals(WithFolder):
    def test_missing_foreign_and_newer_files_say_what_to_do(self):
        for make, code, text in ((lambda: None, 74, "No such file"),
                                 (lambda: Path(self.path).write_bytes(b"not a database" * 99), 65, "name another file"),
                                 (lambda: (os.remove(self.path), self.foreign()), 65, "not a culvert table"),
                                 (lambda: (os.remove(self.path), self.newer()), 65, "schema version 2")):
            make()
            for command in (["query"], ["dead-letters", "list"]):
                result = run(*command, "--table", f"sqlite:{self.path}")
                self.assertEqual(result.returncode, code, result.stderr)
                self.assertIn(text, result.stderr.decode())
                self.assertEqual(result.stdout, b"")

    def foreign(self):
        database = sqlite3.connect(self.path)
        database.execute("CREATE TABLE t (a)")
        database.close()

    def newer(self):
        table = Table(self.path)
        table.database.execute("PRAGMA user_version = 2")
        table.close()


if __name__ == "__main__":
    unittest.main()
