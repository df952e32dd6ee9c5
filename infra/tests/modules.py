# SPDX-License-Identifier: Apache-2.0
"""Each module and each root by itself: validate, and its own tests/*.tftest.hcl."""

import re
import subprocess
import time

from toolchain import INFRA, PROVIDER_SOURCE
from workspace import Workspace


def module_folders(infra=INFRA):
    return sorted(f"modules/{p.name}" for p in (infra / "modules").iterdir() if p.is_dir())


def root_folders(infra=INFRA):
    return sorted(f"accounts/{p.name}" for p in (infra / "accounts").iterdir() if p.is_dir())


def chosen(folders, names):
    """All folders, or those whose last part is named."""
    unknown = set(names) - {f.split("/")[-1] for f in folders}
    if unknown:
        raise SystemExit(f"no such module or root: {', '.join(sorted(unknown))}")
    return [f for f in folders if not names or f.split("/")[-1] in names]


def split_name(name):
    """NAME or NAME/FILE: one of its files of tests alone."""
    module, _, file = name.partition("/")
    return module, file


def run_provider_tests(toolchain, report, _names):
    result = subprocess.run([toolchain.go(), "test", "-v", "./..."], cwd=PROVIDER_SOURCE, text=True, timeout=900,
                            env=toolchain.go_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    ran = re.findall(r"^--- (PASS|FAIL): (\w+) \(([\d.]+)s\)", result.stdout, re.M)
    for verdict, name, seconds in ran:
        report.case(name, None if verdict == "PASS" else result.stdout, float(seconds))
    if result.returncode != 0 and all(verdict == "PASS" for verdict, _, _ in ran):
        report.case("go test", result.stdout)


def run_validate(toolchain, report, names, infra=INFRA):
    with Workspace(toolchain, infra) as workspace:
        folders = chosen(module_folders(infra) + root_folders(infra), names)
        for folder in folders:
            report.timed(folder, lambda: validate(workspace, folder))


def validate(workspace, folder):
    workspace.init(folder)
    code, output = workspace.tofu(folder, "validate", "-no-tests", "-no-color", check=False)
    return None if code == 0 and "Warning" not in output else output


def run_tests(toolchain, report, names, infra=INFRA):
    files = dict(split_name(name) for name in names)
    for folder in chosen(module_folders(infra) + root_folders(infra), list(files)):
        with Workspace(toolchain, infra) as workspace:
            test_folder(workspace, report, folder, files.get(folder.split("/")[-1], ""))


def test_folder(workspace, report, folder, file):
    started = time.monotonic()
    code, output = tofu_test(workspace, folder, file)
    runs = re.findall(r'^  run "(\w+)"\.\.\. (\w+)', output, re.M)
    for name, verdict in runs:
        report.case(f"{folder}: {name}", None if verdict == "pass" else output)
    if code != 0 and all(verdict == "pass" for _, verdict in runs):
        report.case(folder, output)   # it broke outside of any run, while tearing down for instance
    if not runs:
        report.case(folder, "no test ran:\n" + output)
    left = [key for account in ("111111111111", "222222222222", "333333333333")
            for key in workspace.account(account)["records"]]
    report.case(f"{folder}: destroy leaves nothing", None if not left else "left: " + ", ".join(left),
                time.monotonic() - started)


def tofu_test(workspace, folder, file):
    workspace.init(folder)
    only = [f"-filter=tests/{file}.tftest.hcl"] if file else []
    return workspace.tofu(folder, "test", "-no-color", *only, check=False)
