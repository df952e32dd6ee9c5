# SPDX-License-Identifier: Apache-2.0
"""tflint (rules of the language) and checkov (rules of AWS).  A new finding fails; what is accepted stands in the code,
as #checkov:skip=RULE:reason beside the resource."""

import json
import re
import subprocess

from modules import chosen, module_folders, root_folders
from toolchain import HERE, INFRA


def run(toolchain, report, names, infra=INFRA):
    folders = chosen(module_folders(infra) + root_folders(infra), names)
    for folder in folders:
        report.timed(f"tflint {folder}", lambda: tflint(toolchain, infra, folder))
    report.timed("checkov", lambda: checkov(toolchain, infra))
    report.timed("suppressions have reasons", lambda: reasons(infra))


def tflint(toolchain, infra, folder):
    result = subprocess.run([toolchain.tflint(), "--config", str(infra / ".tflint.hcl"), "--no-color",
                             "--call-module-type=none", f"--chdir={infra / folder}"],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
    return None if result.returncode == 0 and not result.stdout.strip() else result.stdout


def checkov(toolchain, infra):
    python = toolchain.python_tools("lint", HERE / "requirements-lint.txt") / "bin" / "python"
    command = [str(python), "-m", "checkov.main", "--framework", "terraform", "--download-external-modules", "false",
               "--skip-download", "--skip-path", "/examples/", "--skip-path", "/tests/", "--skip-path", "/twin/",
               "--quiet", "--compact", "--output", "json", "--directory", "."]
    result = subprocess.run(command, capture_output=True, text=True, timeout=600, cwd=infra,
                            env={"PATH": "/usr/bin:/bin", "HOME": str(toolchain.cache), "LOG_LEVEL": "ERROR"})
    try:
        report = json.loads(result.stdout)
        looked_at, failed = report["summary"]["passed"], report["results"]["failed_checks"]
    except (ValueError, KeyError, TypeError):
        return f"checkov said nothing that could be read:\n{result.stdout[-1500:]}{result.stderr[-1500:]}"
    if looked_at < 300 or report["summary"]["parsing_errors"]:
        return f"checkov did not look at everything: {report['summary']}"
    findings = {f"{f['check_id']} {f['file_path']}:{f['file_line_range'][0]} {f['resource']}: {f['check_name']}"
                for f in failed}   # a module that is called twice is found twice
    return "\n".join(sorted(findings)) or None


def reasons(infra):
    """A suppression says why, in words."""
    problems = []
    for path in sorted(infra.rglob("*.tf")):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            found = re.search(r"#\s*(checkov:skip|tflint-ignore)(.*)", line)
            if found and not re.fullmatch(r"=CKV2?_AWS_\d+:\S.{15,}", found[2]):
                problems.append(f"{path.relative_to(infra)}:{number}: {line.strip()}")
    return "\n".join(problems) or None
