# SPDX-License-Identifier: Apache-2.0
"""The dashboard in headless Chromium: content, live update, 10 000 devices, hostile names, reconnect, themes, login.

Screenshots are left in BUILD/screenshots.
"""

import contextlib
import json
import os
import pathlib
import queue
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from culvert_test.process import Process  # noqa: E402
from driver import playwright  # noqa: E402
from sample_table import SampleTable  # noqa: E402

CULVERT = os.environ.get("CULVERT_BIN", "build/release/culvert")
SHOTS = pathlib.Path(os.environ.get("CULVERT_BUILD", "build/release")) / "screenshots"
HERE = pathlib.Path(__file__).parent
TOKEN = "b1946ac92492d2347c6235b4d2611184"
HOSTILE = ["hostile <img src=x onerror=alert(1)>", "hostile <script>alert(1)</script>", "hostile \u202etxt.exe",
           "hostile \x00\x01\x1b[31m", "hostile & \"quoted\" 'single' `tick`", "hostile ../../etc/passwd?#%00",
           "hostile " + "long" * 60, "hostile \u2028 line", "hostile \U0001f41f " + "\u0301" * 20,
           "hostile javascript:alert(1)"]


class Browser:
    """page.mjs, whose requests to change something are carried out here."""

    def __init__(self, suite, url, actions, environment=None):
        self.actions = actions
        self.output = []
        self.process = subprocess.Popen(
            ["node", str(HERE / "page.mjs"), suite, url, str(SHOTS.resolve())], stdin=subprocess.PIPE, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={**os.environ, "PLAYWRIGHT": str(playwright()), **(environment or {})})
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def run(self, timeout=300):
        end = time.monotonic() + timeout
        try:
            while True:
                line = self.lines.get(timeout=max(0.1, end - time.monotonic()))
                if line is None:
                    break
                self.output.append(line)
                if line.startswith("do "):
                    what = line[3:].strip()
                    self.actions[what]()
                    self.process.stdin.write(f"done {what}\n")
                    self.process.stdin.flush()
            code = self.process.wait(timeout=30)
        except queue.Empty:
            self.process.kill()
            raise AssertionError(f"the browser did not finish in {timeout} s\n{''.join(self.output)}") from None
        finally:
            with contextlib.suppress(OSError):  # the browser's process may be gone
                self.process.stdin.close()
            self.process.stdout.close()
        if code != 0:
            raise AssertionError("".join(self.output))
        print("".join(line for line in self.output if not line.startswith("do ")), end="")


class Dashboard(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        SHOTS.mkdir(parents=True, exist_ok=True)

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="culvert-browser-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.processes = []
        self.addCleanup(lambda: [process.stop() for process in self.processes])

    def start(self, *arguments):
        process = Process([CULVERT, *arguments], env={"TMPDIR": str(self.folder)})
        self.processes.append(process)
        return process, process.wait_for(r"dashboard: (http://[^\s\"]+)", 30)[1]

    def test_demo_is_live_in_every_view_and_theme_and_finishes(self):
        demo, url = self.start("demo", "--duration", "150s", "--devices", "40", "--rate", "250")

        def finish():
            demo.signal(2)
            demo.wait_for(r"verify: ", 60)

        Browser("live,shots,finished", url, {"finish": finish}).run()
        # Who has pressed Ctrl-C does not wait for a page to be closed.
        self.assertEqual(demo.wait(30), 0, demo.tail())

    def test_ten_thousand_devices_hostile_names_and_reconnection(self):
        path = self.folder / "t.sqlite"
        with SampleTable(path) as table:
            table.many_devices(10_000)
            for at, name in enumerate(HOSTILE):
                table.device(name, 5_000 + at)
            table.hopping("device-0001", 60)
            table.dead_letter(7, "not_json", "byte 0: <b>no</b> value", b"k", b"<script>alert(2)</script>\x00\xff")
        arguments = ["dashboard", "--table", f"sqlite:{path}", "--refresh", "500ms"]
        server, url = self.start(*arguments)
        port = url.rsplit(":", 1)[1].rstrip("/")
        state = {"server": server}

        def change():
            with contextlib.closing(sqlite3.connect(path)) as database:
                SampleTable.add_late_reading(database, "device-0001")
                database.commit()

        def start():
            state["server"], _ = self.start(*arguments, "--listen", port)

        Browser("many,hostile,hopping,changed,reconnect", url, {
            "change": change, "stop": lambda: state["server"].stop(), "start": start,
            "freeze": lambda: state["server"].pause(), "thaw": lambda: state["server"].resume(),
        }, {"HOSTILE_NAMES": json.dumps(HOSTILE)}).run()

    def test_empty_table_says_so_and_a_token_guards_the_page(self):
        path = self.folder / "e.sqlite"
        with SampleTable(path):
            pass
        _, url = self.start("dashboard", "--table", f"sqlite:{path}")
        Browser("empty", url, {}).run()
        token = self.folder / "token"
        token.write_text(TOKEN + "\n")
        _, url = self.start("dashboard", "--table", f"sqlite:{path}", "--listen", "0.0.0.0:0", "--listen-public",
                            "--listen-token-file", str(token))
        Browser("login", url.replace("0.0.0.0", "127.0.0.1"), {}, {"TOKEN": TOKEN}).run()


if __name__ == "__main__":
    if shutil.which("node") is None or not pathlib.Path(os.environ.get("CHROMIUM", "/usr/bin/chromium")).exists():
        sys.exit("node and chromium are needed (scripts/install-deps test)")
    playwright()
    unittest.main()
