# SPDX-License-Identifier: Apache-2.0
"""Seeded mistakes: each patch of mistakes/ must turn the test red that it names, and for the reason that it names.

A patch begins with three lines:
    Mistake: what is wrong
    Caught-by: arguments of run.py
    Because: text that the failing test must say

Flow    mistakes/NN-name.patch -> a patched copy of infra/ -> the named test -> caught, or a failure of this step.
Time    two side by side, 4 minutes of processor time in all.
"""

import concurrent.futures
import contextlib
import io
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

import layout
import lint
import modules
import policy
import roots
from report import Report
from toolchain import HERE, INFRA

FOLDER = HERE / "mistakes"
HEADER = re.compile(r"Mistake: (.+)\nCaught-by: (.+)\nBecause: (.+)\n")
SIDE_BY_SIDE = 2
# One of each kind that is caught within a second or two: by a contract, a plan, the schema, an account's rules.
QUICK = ("06", "11", "30", "33", "35", "36", "37", "39")


def run(toolchain, report, names):
    """names: beginnings of patches' names; "quick" stands for QUICK; none: all."""
    patches = sorted(FOLDER.glob("*.patch"))
    if len(patches) < 20:
        report.case("at least twenty mistakes", f"there are {len(patches)}")
    if "quick" in names:   # the run in which a change of the modules is seen first
        report.timed("every patch still applies", lambda: all_apply(patches))
    wanted = [n for name in names for n in (QUICK if name == "quick" else (name,))]
    chosen = [p for p in patches if not wanted or p.name.startswith(tuple(wanted))]
    toolchain.cli_config()   # what all need is made once, before they are on their own
    with concurrent.futures.ProcessPoolExecutor(SIDE_BY_SIDE) as pool:
        for patch, seeded in [(p, pool.submit(timed_seed, toolchain, p)) for p in chosen]:
            mistake, problem, seconds = seeded.result()
            report.case(f"{patch.stem}: {mistake}", problem, seconds)


def all_apply(patches):
    with tempfile.TemporaryDirectory(prefix="culvert-mistake-") as scratch:
        copy_to(scratch)
        problems = [f"{patch.name} no longer applies: {said}" for patch in patches
                    if (said := git_apply(scratch, patch, "--check")) is not None]
    return "\n".join(problems) or None


def copy_to(scratch):
    copy = pathlib.Path(scratch) / "infra"
    for part in ("modules", "accounts"):
        shutil.copytree(INFRA / part, copy / part, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*"))
    shutil.copy(INFRA / ".tflint.hcl", copy)
    return copy


def git_apply(scratch, patch, *options):
    """None, or why it does not apply."""
    done = subprocess.run(["git", "apply", "-p1", *options, str(patch)], cwd=scratch, capture_output=True, text=True,
                          timeout=60, env={"PATH": "/usr/bin:/bin", "GIT_CEILING_DIRECTORIES": scratch})
    return None if done.returncode == 0 else done.stderr


def timed_seed(toolchain, patch):
    started = time.monotonic()
    try:
        return *seed(toolchain, patch), time.monotonic() - started
    finally:
        forget_worlds(toolchain)


def forget_worlds(toolchain):
    if toolchain.worlds is not None:
        toolchain.worlds.close()
        toolchain.worlds = None


def seed(toolchain, patch):
    """(what the mistake is and what caught it, None or why it was not caught)."""
    header = HEADER.match(patch.read_text())
    if not header:
        return "?", f"{patch.name} does not begin with Mistake, Caught-by and Because"
    mistake, caught_by, because = header.groups()
    with tempfile.TemporaryDirectory(prefix="culvert-mistake-") as scratch:
        copy = copy_to(scratch)
        if said := git_apply(scratch, patch):
            return mistake, f"the patch no longer applies: {said}"
        failures, output = run_step(toolchain, caught_by.split(), copy)
    said = " ".join(re.sub(r"[│╷╵]", " ", output).split())   # messages are wrapped and framed
    if not failures:
        return mistake, f"not caught: {caught_by} is green"
    if because not in said:
        return mistake, f"{caught_by} is red, but does not say {because!r}:\n{output[-3000:]}"
    return f"{mistake}; caught by {failures[0]}: {because}", None


def run_step(toolchain, arguments, infra):
    """One step on a changed copy: the names of its failures, and everything it said."""
    step, *names = arguments
    forget_worlds(toolchain)
    inner, output = Report(step), io.StringIO()
    with contextlib.redirect_stdout(output):
        if step == "roots":
            roots.run(toolchain, inner, names, infra)
        elif step == "policy":
            toolchain.worlds = roots.Worlds(toolchain, infra, accepted=False)
            policy.run(toolchain, inner, names, infra)
        elif step == "module-tests":
            modules.run_tests(toolchain, inner, names, infra)
        elif step == "validate":
            modules.run_validate(toolchain, inner, names, infra)
        elif step == "lint":
            lint.run(toolchain, inner, names, infra)
        elif step == "fmt":
            layout.run(toolchain, inner, names, infra)
        else:
            raise ValueError(f"no step {step}")
    return inner.failures, output.getvalue()
