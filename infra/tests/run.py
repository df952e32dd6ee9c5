#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Run the infrastructure tests: offline, without AWS, on the provider for tests (infra/twin/provider).

    run.py all                       everything below, in this order
    run.py fmt                       the layout of *.tf, and the generated READMEs and schema
    run.py provider                  the provider's own tests
    run.py validate                  every module, example and root
    run.py module-tests [NAME ..]    (or NAME/FILE) tests/*.tftest.hcl of every module and root
    run.py roots [NAME ..]           both accounts together: apply, apply again, accept, grow, move, destroy, refuse
    run.py policy [PATH ..]          every IAM policy as it is applied: what the programs call, and nothing else
    run.py mistakes [NN ..|quick]    seeded mistakes: each must turn the test red that its file names
    run.py lint                      tflint and checkov

Needs OpenTofu or Terraform >= 1.11 (built once if neither is on the PATH) and Go (from PyPI if need be).
Ends with 0 passed, 1 failed, 77 where a tool can neither be found nor made (skipped).
"""

import pathlib
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from report import Report   # noqa: E402  (the folder must be on the path first)
from toolchain import Broken, Missing, Toolchain   # noqa: E402
import layout   # noqa: E402
import lint   # noqa: E402
import mistakes   # noqa: E402
import modules   # noqa: E402
import policy   # noqa: E402
import roots   # noqa: E402

STEPS = {
    "fmt": layout.run,
    "provider": modules.run_provider_tests,
    "validate": modules.run_validate,
    "module-tests": modules.run_tests,
    "roots": roots.run,
    "policy": policy.run,
    "mistakes": mistakes.run,
    "lint": lint.run,
}


def main(arguments):
    if not arguments or arguments[0] not in (*STEPS, "all"):
        print(__doc__, file=sys.stderr)
        return 64
    toolchain = Toolchain()
    try:
        return run_steps(toolchain, list(STEPS) if arguments[0] == "all" else [arguments[0]], arguments[1:])
    finally:
        if toolchain.worlds is not None:
            toolchain.worlds.close()


def run_steps(toolchain, names, arguments):
    failed = 0
    for name in names:
        report = Report(name)
        started = time.monotonic()
        try:
            toolchain.binary()   # made once, or told once, before every case needs it
            STEPS[name](toolchain, report, arguments)
        except Missing as problem:
            print(f"SKIPPED {name}: {problem}")
            return 77
        except Broken as problem:
            print(f"FAILED  {name}: {problem}")
            return 1
        failed += report.finish(time.monotonic() - started)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
