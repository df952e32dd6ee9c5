# SPDX-License-Identifier: Apache-2.0
"""What ran, by name, and what it said: one line a case, details of failures only."""

import sys
import textwrap
import time


class Report:
    def __init__(self, step):
        self.step = step
        self.passed = 0
        self.failures = []

    def case(self, name, problem=None, seconds=None):
        """Record one case; a problem is the text that explains its failure."""
        took = "" if seconds is None else f"  {seconds:.1f} s"
        if problem is None:
            self.passed += 1
            print(f"ok      {self.step}: {name}{took}", flush=True)
            return
        self.failures.append(name)
        print(f"FAILED  {self.step}: {name}{took}", flush=True)
        print(textwrap.indent(problem.strip()[-6000:], "        "), flush=True)

    def timed(self, name, check):
        """Run a check that returns None or what is wrong; its exceptions are failures, too."""
        started = time.monotonic()
        try:
            problem = check()
        except Exception as error:   # a broken check must not hide the ones after it
            problem = f"{type(error).__name__}: {error}"
        self.case(name, problem, time.monotonic() - started)

    def finish(self, seconds):
        if self.passed == 0 and not self.failures:
            self.failures.append("nothing ran")
        print(f"{self.step}: {self.passed} passed, {len(self.failures)} failed in {seconds:.0f} s", flush=True)
        for name in self.failures:
            print(f"{self.step}: failed: {name}", file=sys.stderr)
        return len(self.failures)
