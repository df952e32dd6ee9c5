# SPDX-License-Identifier: Apache-2.0
"""Child processes that cannot outlive the test, with bounded waits.

A child ends by stop() or kill(), by its own pid; whatever is left is killed when the test process ends: by atexit on
a normal end, a failure, SIGINT or SIGTERM, and by the kernel (PR_SET_PDEATHSIG) if the test itself is killed.
"""

import atexit
import contextlib
import ctypes
import os
import pathlib
import queue
import re
import signal
import subprocess
import sys
import threading
import time

from .workspace import SupportError, tail_bytes, workspace

TAIL_BYTES = 4_000

PR_SET_PDEATHSIG = 1

_prctl = ctypes.CDLL(None, use_errno=True).prctl
_own_pid = os.getpid()
_living = set()
_living_lock = threading.Lock()


def _die_with_parent():
    """Runs in the child before exec.  If the parent is gone already, the signal would never come."""
    if _prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0 or os.getppid() != _own_pid:
        os._exit(125)


class _Spawner:
    """Starts all children from one thread that lives as long as this process.

    The kernel sends the parent-death signal when the *thread* that started the child ends, so a child started from a
    short-lived worker thread would die with that.
    """

    def __init__(self):
        self._requests = queue.SimpleQueue()
        threading.Thread(target=self._serve, name="spawner", daemon=True).start()

    def _serve(self):
        while True:
            args, options, reply = self._requests.get()
            try:
                reply.put(subprocess.Popen(args, preexec_fn=_die_with_parent, **options))
            except (OSError, subprocess.SubprocessError) as error:
                reply.put(error)

    def spawn(self, args, **options):
        reply = queue.SimpleQueue()
        self._requests.put((args, options, reply))
        result = reply.get()
        if isinstance(result, Exception):
            raise SupportError(f"cannot start {args[0]}: {result}") from result
        return result


_spawner = None
_spawner_lock = threading.Lock()


def _spawn(args, **options):
    global _spawner
    with _spawner_lock:
        if _spawner is None:
            _spawner = _Spawner()
            atexit.register(_kill_all)
            if threading.current_thread() is threading.main_thread():
                if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
                    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    return _spawner.spawn(args, **options)


def _kill_all():
    with _living_lock:
        left = list(_living)
    for process in left:
        process.kill()


def wait_until(probe, timeout, what, process=None, interval=0.02):
    """Calls probe() until it returns something true, and returns that.

    Fails with SupportError after `timeout` seconds, or at once when `process` has ended; OSError from the probe
    (connection refused, reset) counts as "not yet" and is shown in the failure.
    """
    end = time.monotonic() + timeout
    last = None
    while True:
        try:
            result = probe()
            if result:
                return result
        except OSError as error:
            last = error
        if process is not None and not process.alive:
            raise SupportError(f"{process.name} ended with {process.returncode} before {what}\n{process.tail()}")
        if time.monotonic() >= end:
            detail = f" (last: {last})" if last else ""
            log = "\n" + process.tail() if process is not None else ""
            raise SupportError(f"not within {timeout} s: {what}{detail}{log}")
        time.sleep(interval)


class Process:
    """One child; its output goes to files NAME.out and NAME.err in `directory`."""

    def __init__(self, args, name=None, directory=None, env=None, cwd=None, stdin=None):
        self.args = [str(a) for a in args]
        self.name = name or os.path.basename(self.args[0])
        self.directory = directory or workspace().directory(self.name)
        self.stdout_path = self.directory / f"{self.name}.out"
        self.stderr_path = self.directory / f"{self.name}.err"
        with open(self.stdout_path, "ab") as out, open(self.stderr_path, "ab") as err:
            self._popen = _spawn(
                self.args, stdin=subprocess.DEVNULL if stdin is None else stdin, stdout=out, stderr=err, cwd=cwd,
                env={**os.environ, **env} if env else None)
        with _living_lock:
            _living.add(self)

    @property
    def pid(self):
        return self._popen.pid

    @property
    def stdin(self):
        """The writing end, if started with stdin=subprocess.PIPE."""
        return self._popen.stdin

    @property
    def returncode(self):
        """None while it runs; -N if signal N ended it."""
        code = self._popen.poll()
        if code is not None:
            with _living_lock:
                _living.discard(self)
        return code

    @property
    def alive(self):
        return self.returncode is None

    def stdout(self):
        return self.stdout_path.read_text(encoding="utf-8", errors="replace")

    def stderr(self):
        return self.stderr_path.read_text(encoding="utf-8", errors="replace")

    def tail(self):
        parts = []
        for path in (self.stdout_path, self.stderr_path):
            text = tail_bytes(path, TAIL_BYTES).decode("utf-8", errors="replace").strip()
            if text:
                parts.append(f"--- end of {path.name}:\n{text}")
        return "\n".join(parts) or f"--- {self.name} wrote nothing"

    def wait(self, timeout):
        """The exit code; SupportError if it still runs after `timeout` seconds (it is not ended then)."""
        try:
            self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise SupportError(f"{self.name} still runs after {timeout} s\n{self.tail()}") from None
        return self.returncode

    def wait_for(self, pattern, timeout):
        """Waits until its output (either stream) matches a regular expression; returns the match."""
        expression = re.compile(pattern)
        return wait_until(lambda: expression.search(self.stdout()) or expression.search(self.stderr()), timeout,
                          f"{self.name} writes /{pattern}/", process=self)

    def signal(self, number):
        self._popen.send_signal(number)

    def pause(self):
        """Returns when every thread has stopped: the signal reaches them one after the other."""
        self.signal(signal.SIGSTOP)
        wait_until(self._stopped, 10, f"all threads of {self.name} have stopped", process=self)

    def _stopped(self):
        states = []
        for stat in pathlib.Path(f"/proc/{self.pid}/task").glob("*/stat"):
            with contextlib.suppress(FileNotFoundError):  # a thread that has just ended
                states.append(stat.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[0])
        return all(state == "T" for state in states)

    def resume(self):
        self.signal(signal.SIGCONT)

    def stop(self, timeout=30):
        """SIGTERM, then SIGKILL after `timeout` seconds; returns the exit code (-9: had to be killed)."""
        if self.alive:
            self.signal(signal.SIGTERM)
            self.signal(signal.SIGCONT)  # a paused process would never see the SIGTERM
            try:
                self._popen.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
        return self.returncode

    def kill(self):
        if self.alive:
            self._popen.kill()
            self._popen.wait()
        return self.returncode
