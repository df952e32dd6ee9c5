# SPDX-License-Identifier: Apache-2.0
"""The demo as a newcomer meets it: embedded broker, sensors, consumer and table in one process."""

import fcntl
import os
import pathlib
import pty
import re
import select
import signal
import sqlite3
import struct
import subprocess
import tempfile
import termios
import unittest

CULVERT = os.environ.get("CULVERT_BIN", "build/dev/culvert")


class Demo(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.environment = {**os.environ, "TMPDIR": folder.name}

    def demo(self, *arguments):
        return subprocess.run([CULVERT, "demo", *arguments], capture_output=True, text=True, timeout=60,
                              env=self.environment)

    @staticmethod
    def figures(line):
        return {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)", line)}

    def last_figures(self, stdout):
        return self.figures([line for line in stdout.splitlines() if line.startswith("demo: ")][-1])

    def table(self, stdout):
        return pathlib.Path(re.search(r"^table: sqlite:(.+)$", stdout, re.MULTILINE)[1])

    def test_everything_sent_is_in_the_table_which_is_all_that_is_left(self):
        result = self.demo("--duration", "3s")
        self.assertEqual(result.returncode, 0, result.stderr)
        last = self.last_figures(result.stdout)
        self.assertEqual(last["sent"], 600)
        self.assertEqual(last["stored"], 600)
        table = self.table(result.stdout)
        with sqlite3.connect(f"file:{table}?mode=ro", uri=True) as database:
            dead_letters = database.execute("select count(*) from dead_letters").fetchone()[0]
            folded = database.execute("select sum(count) from items").fetchone()[0]
        self.assertEqual(dead_letters, last["dead_letters"])
        self.assertEqual(folded, 600 - dead_letters)
        left = {path for path in self.folder.rglob("*") if path.is_file()}
        self.assertEqual({path.name.removesuffix("-wal").removesuffix("-shm") for path in left}, {table.name})

    def test_piped_output_is_plain_lines(self):
        result = self.demo("--duration", "1s")
        self.assertNotIn("\x1b", result.stdout + result.stderr)
        for line in result.stdout.splitlines():
            self.assertRegex(line, r"^(dashboard: |demo: |table: |verify: |next: |\s*culvert )")

    def test_a_table_that_exists_is_not_touched(self):
        table = self.folder / "mine.sqlite"
        table.write_text("mine")
        result = self.demo("--table", f"sqlite:{table}")
        self.assertEqual(result.returncode, 64)
        self.assertIn("the file exists", result.stderr)
        self.assertEqual(table.read_text(), "mine")

    def test_more_than_the_broker_keeps_is_refused(self):
        for arguments in (["--rate", "50k"], ["--rate", "max"], ["--window", "7s", "--advance", "2s"]):
            with self.subTest(arguments=arguments):
                self.assertIn(self.demo(*arguments).returncode, (64, 78))

    def test_ctrl_c_stops_in_order(self):
        process = subprocess.Popen([CULVERT, "demo", "--duration", "60s"], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, env=self.environment)
        self.addCleanup(process.kill)
        for line in process.stdout:
            if self.figures(line).get("stored", 0) > 0:
                break
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=30)  # the 60 s are not over
        self.assertEqual(process.returncode, 0, stderr)
        last = self.last_figures(stdout)
        self.assertEqual(last["stored"], last["sent"])

    def test_a_second_signal_ends_at_once(self):
        process = subprocess.Popen([CULVERT, "demo", "--duration", "60s"], stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL, text=True, env=self.environment)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.kill)
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        self.assertIn(process.wait(timeout=30), (128 + signal.SIGINT, 128 + signal.SIGTERM))


class LiveTable(unittest.TestCase):
    """On a terminal, whose size changes while the demo runs."""

    def watch(self, environment=None):
        with tempfile.TemporaryDirectory() as folder:
            leader, follower = pty.openpty()
            self.resize(leader, 20, 100)
            process = subprocess.Popen([CULVERT, "demo", "--duration", "4s"], stdin=follower, stdout=follower,
                                       stderr=follower, env={"TERM": "xterm", "TMPDIR": folder, **(environment or {})})
            os.close(follower)
            output, resized = b"", False
            try:
                while select.select([leader], [], [], 30)[0]:
                    try:
                        output += os.read(leader, 65536)
                    except OSError:  # closed: the demo has ended
                        break
                    if not resized and self.drawn(output) > 9:
                        self.resize(leader, 10, 50)
                        resized = True
                return output.decode(), process.wait(timeout=30)
            finally:
                process.kill()
                process.wait()
                os.close(leader)

    @staticmethod
    def drawn(output):
        """Lines of the last table that was drawn whole: another one has begun."""
        tables = [part for part in output.split(b"\x1b[J")[:-1] if b"window (UTC)" in part]
        return tables[-1].count(b"\r\n") if tables else 0

    @staticmethod
    def resize(descriptor, rows, columns):
        fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def test_the_table_follows_the_terminals_size(self):
        output, code = self.watch()
        self.assertEqual(code, 0, output)
        frames = [frame for frame in output.split("\x1b[J") if "window (UTC)" in frame]
        self.assertGreater(len(frames), 5)
        shown = [[re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", line) for line in frame.split("\r\n")] for frame in frames]
        self.assertLessEqual(max(len(lines) for lines in shown), 19)
        self.assertGreater(max(len(lines) for lines in shown), 9)
        self.assertLessEqual(len(shown[-1]), 9)
        self.assertLessEqual(max(len(line) for line in shown[-1]), 49)
        self.assertTrue(any("more windows" in line for line in shown[-1]))
        self.assertIn("table: sqlite:", output.rsplit("\x1b[J", 1)[-1])

    def test_no_colour_when_asked(self):
        output, code = self.watch({"NO_COLOR": "1"})
        self.assertEqual(code, 0, output)
        self.assertEqual(re.findall(r"\x1b\[[0-9;]*m", output), [])


if __name__ == "__main__":
    unittest.main()
