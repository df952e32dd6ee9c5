# SPDX-License-Identifier: Apache-2.0
"""The layout of *.tf, and everything that is generated from them or for them: it must be what it would be today."""

import re
import subprocess
import sys

from modules import module_folders, root_folders
from readme_tables import readme_of
from toolchain import INFRA, PROVIDER_SOURCE

FILES_OF_A_MODULE = ("README.md", "main.tf", "variables.tf", "outputs.tf", "versions.tf")


def run(toolchain, report, _names, infra=INFRA):
    report.timed("formatted", lambda: formatted(toolchain, infra))
    for folder in module_folders(infra) + root_folders(infra):
        report.timed(f"{folder}: README is up to date", lambda: readme_up_to_date(infra, folder))
        report.timed(f"{folder}: complete", lambda: complete(infra, folder))
        report.timed(f"{folder}: tests for both programs", lambda: for_both_programs(infra, folder))
    report.timed("provider schema is up to date", schema_up_to_date)
    report.timed("every used type is in the provider's schema and the other way round", lambda: types_match(infra))


def formatted(toolchain, infra):
    result = subprocess.run([toolchain.binary(), "fmt", "-check", "-recursive", "-diff", "-no-color"], cwd=infra,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60,
                            env={"PATH": "/usr/bin:/bin", "HOME": str(toolchain.cache), "CHECKPOINT_DISABLE": "1"})
    return None if result.returncode == 0 else result.stdout


def readme_up_to_date(infra, folder):
    path = infra / folder / "README.md"
    if path.exists() and path.read_text() == readme_of(infra / folder):
        return None
    return f"{path.relative_to(infra)} is not what infra/tests/readme_tables.py makes of the code: run it"


def complete(infra, folder):
    missing = [name for name in FILES_OF_A_MODULE if not (infra / folder / name).exists()]
    if not list((infra / folder / "tests").glob("*.tftest.hcl")):
        missing.append("tests/*.tftest.hcl")
    if folder.startswith("modules/") and not (infra / folder / "examples" / "minimal" / "main.tf").exists():
        missing.append("examples/minimal/main.tf")
    problems = [f"{folder} has no {name}" for name in missing]
    for name in ("variables.tf", "outputs.tf"):
        text = (infra / folder / name).read_text()
        for kind, block in re.findall(r'^(variable|output) "(\w+)" \{', text, re.M):
            body = text.split(f'{kind} "{block}" {{', 1)[1].split("\n}\n", 1)[0]
            if "description =" not in re.sub(r" +=", " =", body):
                problems.append(f"{folder}: {kind} {block} has no description")
            if kind == "variable" and not re.search(r"^  type +=", body, re.M):
                problems.append(f"{folder}: variable {block} has no type")
    return "\n".join(problems) or None


def for_both_programs(infra, folder):
    """Terraform lets a condition name an earlier run, OpenTofu does not: let it name the variable that holds it."""
    problems = []
    for path in sorted((infra / folder / "tests").glob("*.tftest.hcl")):
        for block in re.findall(r"^  assert \{\n(.*?)^  \}\n", path.read_text(), re.M | re.S):
            problems += [f"{path.relative_to(infra)}: a condition names {found}, which OpenTofu does not know there"
                         for found in re.findall(r"\brun\.\w+[\w.]*", block)]
    return "\n".join(problems) or None


def schema_up_to_date():
    result = subprocess.run([sys.executable, PROVIDER_SOURCE / "schema" / "generate.py", "--check"], text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=900)
    if result.returncode == 77:
        print("        (the bindings cannot be had here: the committed schema is used as it is)")
        return None
    return None if result.returncode == 0 else result.stdout


def types_match(infra):
    used = set()
    for path in [*(infra / "modules").rglob("*.tf"), *(infra / "accounts").rglob("*.tf")]:
        used |= set(re.findall(r'^(resource|data|ephemeral) "(aws_\w+)"', path.read_text(), re.M))
    listed = set()
    for line in (PROVIDER_SOURCE / "schema" / "types.txt").read_text().splitlines():
        words = line.split("#")[0].split()
        if words:
            listed.add((words[0], words[1]))
    problems = [f"used, but not in types.txt: {kind} {name}" for kind, name in sorted(used - listed)]
    problems += [f"in types.txt, but not used: {kind} {name}" for kind, name in sorted(listed - used)]
    return "\n".join(problems) or None
