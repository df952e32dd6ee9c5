# SPDX-License-Identifier: Apache-2.0
"""Base of the tests that run the culvert program.

    class Consume(CulvertTest):
        def test_something(self):
            done = self.culvert("version", expect=0)
            self.assertIn("culvert", done.stdout)

    if __name__ == "__main__":
        main()
"""

import os
import pathlib
import shlex
import subprocess
import time
import unittest

from .process import Process
from .workspace import SupportError, build_directory, workspace

SHOWN_BYTES = 6_000
SLOW_SECONDS = 2


def culvert_program():
    """The program under test: CULVERT_BIN, or that of the build directory."""
    program = pathlib.Path(os.environ.get("CULVERT_BIN") or build_directory() / "culvert")
    if not os.access(program, os.X_OK):
        raise SupportError(f"{program} is missing (cmake --build {build_directory()} --target culvert)")
    return program


class Completed:
    """A program that has ended."""

    def __init__(self, args, code, stdout, stderr):
        self.args = args
        self.code = code
        self.stdout = stdout
        self.stderr = stderr

    def __str__(self):
        def shown(name, text):
            more = len(text) - SHOWN_BYTES
            cut = f"[{more} characters more]{text[-SHOWN_BYTES:]}" if more > 0 else text
            return f"--- {name}:\n{cut.rstrip()}" if cut.strip() else f"--- {name}: nothing"

        streams = f"{shown('stdout', self.stdout)}\n{shown('stderr', self.stderr)}"
        return f"{shlex.join(self.args)}\nexit code {self.code}\n{streams}"


class CulvertTest(unittest.TestCase):
    """Gives each test an empty directory `self.directory`; after a failure the logs of the whole run are kept."""

    maxDiff = 4_000

    def run(self, result=None):
        result = result if result is not None else self.defaultTestResult()
        before = len(result.failures) + len(result.errors)
        started = time.monotonic()
        outcome = super().run(result)
        if time.monotonic() - started > SLOW_SECONDS and getattr(result, "showAll", False):
            result.stream.writeln(f"    took {time.monotonic() - started:.1f} s")
        if len(result.failures) + len(result.errors) > before:
            workspace().failed(self.id())
        return outcome

    def setUp(self):
        self.directory = workspace().directory(self.id().split(".", 1)[-1])

    @classmethod
    def shared(cls, part):
        """Starts a part for all tests of the class (call it in setUpClass); it is stopped after the last one."""
        cls.addClassCleanup(part.stop)
        try:
            return part.start()
        except BaseException:
            workspace().failed(f"{cls.__name__}.setUpClass")
            raise

    def own(self, part):
        """Starts a part for this test only."""
        self.addCleanup(part.stop)
        return part.start()

    def culvert(self, *args, timeout=120, expect=0, stdin=None, env=None):
        """Runs the program to its end.  expect: the exit code, a collection of allowed ones, or None for any."""
        command = [str(culvert_program()), *map(str, args)]
        try:
            done = subprocess.run(command, input=stdin, capture_output=True, timeout=timeout, cwd=self.directory,
                                  env={**os.environ, **(env or {})}, text=True, errors="replace", check=False)
        except subprocess.TimeoutExpired as error:
            partial = [(stream or b"").decode(errors="replace") for stream in (error.stdout, error.stderr)]
            self.fail(f"still running after {timeout} s: {Completed(command, None, *partial)}")
        completed = Completed(command, done.returncode, done.stdout, done.stderr)
        allowed = {expect} if isinstance(expect, int) else expect
        if allowed is not None and done.returncode not in allowed:
            self.fail(f"exit code {done.returncode}, expected {expect}: {completed}")
        return completed

    def start_culvert(self, *args, name="culvert", env=None, stdin=None, program=None):
        """Starts the program and returns its Process; it is killed at the end of the test if still running."""
        process = Process([program or culvert_program(), *args], name=name, env=env, stdin=stdin, cwd=self.directory,
                          directory=workspace().directory(f"{self.directory.name}-{name}"))
        self.addCleanup(process.kill)
        return process


def main():
    """Runs the tests of the calling file; a failure of the surroundings (a part that does not start) is an error."""
    unittest.main(verbosity=2)
