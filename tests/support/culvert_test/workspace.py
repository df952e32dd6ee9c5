# SPDX-License-Identifier: Apache-2.0
"""Where a test run keeps its files: one directory per process, removed at the end, its logs kept after a failure.

A run that was killed leaves its directory behind; the next run finds it by its free lock and removes it.
"""

import atexit
import fcntl
import os
import pathlib
import shutil
import sys
import tempfile

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]
PREFIX = "culvert-test-"
NEW_PREFIX = "culvert-new-test-"
LOG_SUFFIXES = {".log", ".out", ".err", ".properties", ".toml"}
LOG_BYTES_MAX = 4 << 20


class SupportError(Exception):
    """Something around the test went wrong (a server did not start, a part is missing): says what and the remedy."""


def build_directory():
    """The CMake build directory whose programs are under test."""
    named = os.environ.get("CULVERT_BUILD")
    if named:
        return pathlib.Path(named)
    return REPOSITORY / "build" / "release"


def cache_directory():
    named = os.environ.get("CULVERT_CACHE")
    if named:
        return pathlib.Path(named)
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "culvert"


class Workspace:
    def __init__(self):
        base = pathlib.Path(os.environ.get("CULVERT_TEST_TMP") or tempfile.gettempdir())
        self._sweep(base)
        # Under a name that no other run sweeps until the lock is held: one that starts now would find the lock free.
        new = pathlib.Path(tempfile.mkdtemp(prefix=NEW_PREFIX, dir=base))
        self._lock = open(new / "lock", "w", encoding="ascii")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.root = new.rename(base / (PREFIX + new.name.removeprefix(NEW_PREFIX)))
        self.failures = []
        self._owner_pid = os.getpid()
        atexit.register(self._finish)

    @staticmethod
    def _sweep(base):
        for old in base.glob(PREFIX + "*"):
            try:
                with open(old / "lock", "r+", encoding="ascii") as lock:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(old, ignore_errors=True)
            except OSError:
                continue  # in use, just being made, or another user's

    def directory(self, name):
        """A new empty directory of that name (numbered if the name is taken)."""
        safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in name)
        for n in range(10_000):
            path = self.root / (safe if n == 0 else f"{safe}-{n}")
            try:
                path.mkdir()
                return path
            except FileExistsError:
                continue
        raise SupportError(f"too many directories named {safe} in {self.root}")

    def failed(self, test_id):
        """Notes a failure: the logs will be kept."""
        self.failures.append(test_id)

    def _finish(self):
        if os.getpid() != self._owner_pid:
            return
        if self.failures:
            self._keep_logs()
        shutil.rmtree(self.root, ignore_errors=True)

    def _keep_logs(self):
        build = build_directory()
        parent = build / "test-logs" if build.is_dir() else pathlib.Path(tempfile.gettempdir()) / "culvert-test-logs"
        parent.mkdir(parents=True, exist_ok=True)
        kept = pathlib.Path(tempfile.mkdtemp(prefix=self.failures[0].split(".")[-1] + "-", dir=parent))
        for path in sorted(self.root.rglob("*")):
            if path.suffix in LOG_SUFFIXES and path.is_file():
                target = kept / path.relative_to(self.root)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(tail_bytes(path, LOG_BYTES_MAX))
        print(f"\nlogs of the failed test: {kept}", file=sys.stderr)


def tail_bytes(path, count):
    """The last `count` bytes of a file."""
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - count))
        return file.read()


_current = None


def workspace():
    """The workspace of this process, made at its first use."""
    global _current
    if _current is None:
        _current = Workspace()
    return _current
