# SPDX-License-Identifier: Apache-2.0
"""Functions that are called by the clock: the one that follows the brokers' addresses.

Flow    aws_scheduler_schedule -> [Schedules] ═ Runtime API ═> the function's bootstrap, in the services' namespace,
        since it is in no VPC -> services.py (ListNodes, targets) -> cloud -> supervisor.
Owner   the supervisor calls look() all the time and applied() after each change.
Time    as the schedule says; `twin.py call NAME` calls at once.
Bounds  one call of a function at a time; one that takes longer than its time-out is ended with its process.
"""

import contextlib
import json
import queue
import re
import time

import namespaces
from culvert_test.function import RuntimeApi
from culvert_test.process import Process
from programs import TRUST, keys_of

SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}


def period_of(expression):
    """Seconds between two calls of rate(N unit)."""
    found = re.fullmatch(r"rate\((\d+) (second|minute|hour|day)s?\)", expression)
    if not found:
        raise ValueError(f"schedule {expression!r}: only rate(..) is kept here")
    return int(found[1]) * SECONDS[found[2]]


class Called:
    """One function and what calls it."""

    def __init__(self, twin, schedule, function, identity):
        self.twin, self.schedule, self.function, self.identity = twin, schedule, function, identity
        self.name = function["function_name"]
        self.period = period_of(schedule["schedule_expression"])
        self.next_at = time.monotonic() + self.period
        self.file = twin.folder / "run" / f"call-{self.name}"   # touched: call at once
        self.api, self.process, self.invocation = None, None, None
        self.outcome = None

    def look(self):
        """Calls when it is time, and takes the answer; whether something has changed."""
        if self.invocation is not None:
            return self._take_answer()
        if time.monotonic() < self.next_at and not self.file.exists():
            return False
        self.file.unlink(missing_ok=True)
        self.next_at = time.monotonic() + self.period
        self._start()
        self.invocation = self.api.invoke({}, seconds=int(self.function["timeout"]))
        self.deadline = time.monotonic() + int(self.function["timeout"])
        return False

    def _start(self):
        if self.process is not None and self.process.alive:
            return
        namespace = self.twin.fabric.namespace("services")
        if self.api is not None:
            self.api.stop()
        with namespaces.inside(namespace):
            self.api = RuntimeApi()
        self.api.start()
        variables = {
            **self.function.block("environment").get("variables", {}), **dict(keys_of(self.identity)),
            "AWS_REGION": self.function["region"], "AWS_LAMBDA_FUNCTION_NAME": self.name,
            "AWS_LAMBDA_RUNTIME_API": self.api.address, "AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_CA_BUNDLE": TRUST}
        settings = [f"{name}={value}" for name, value in variables.items()]
        bootstrap = self.twin.folder / "functions" / self.name / self.function["handler"]
        self.process = Process([*self.twin.fabric.inside("services"), "env", "-i", *settings, bootstrap],
                               name=f"function-{self.name}", directory=self.twin.folder / "logs")

    def _take_answer(self):
        if not self.invocation.answered:
            if time.monotonic() < self.deadline and self.process.alive:
                return False
            ended = not self.process.alive
            self.process.kill()
            return self._done("error", self._why_not() if ended else "it did not answer in time")
        try:
            kind, body = self.invocation.outcome(timeout=1)
        except (queue.Empty, ValueError) as error:
            return self._done("error", str(error))
        return self._done(kind, body)

    def _why_not(self):
        """What a function that ended without an answer had to say."""
        with contextlib.suppress(queue.Empty):
            return self.api.init_errors.get_nowait()
        return f"it ended with {self.process.returncode}"

    def _done(self, kind, body):
        self.invocation = None
        before, self.outcome = self.outcome, (kind, json.dumps(body))
        if kind == "error" and before != self.outcome:
            self.twin.note(f"{self.name} failed: {body}")
        return True

    def stop(self):
        if self.process is not None:
            self.process.kill()
        if self.api is not None:
            self.api.stop()


class Schedules:
    def __init__(self, twin):
        self._twin = twin
        self._called = {}

    def applied(self, applied, identities):
        wanted = {}
        for schedule in applied.of_type("aws_scheduler_schedule"):
            target = schedule.block("target")
            function = applied.one("aws_lambda_function", arn=target["arn"])
            caller = next(i for i in identities if i.role == target["role_arn"])
            if function is None or not caller.allows("lambda:InvokeFunction", target["arn"]):
                self._twin.note(f"{caller.role} may not call {target['arn']}")
                continue
            wanted[function["arn"]] = schedule, function, next(i for i in identities if i.role == function["role"])
        for arn in [a for a, called in self._called.items()
                    if wanted.get(a) != (called.schedule, called.function, called.identity)]:
            self._called.pop(arn).stop()
        for arn, parts in wanted.items():
            if arn not in self._called:
                self._called[arn] = Called(self._twin, *parts)

    def look(self):
        return any([called.look() for called in self._called.values()])

    def status(self):
        return [{"function": c.name, "every_seconds": c.period, "outcome": c.outcome} for c in self._called.values()]

    def stop(self):
        for called in self._called.values():
            called.stop()
