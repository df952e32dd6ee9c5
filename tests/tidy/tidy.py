# SPDX-License-Identifier: Apache-2.0
"""The style test: prints FILE:LINE: RULE: MESSAGE for every breach and ends with 1 if there is one.

    tests/tidy/tidy.py                 the whole tree
    tests/tidy/tidy.py src/model       only below these paths
    tests/tidy/tidy.py --no-tools      without clang-format and shellcheck

A line that must break a rule says so, with a reason, on itself or on the line before:

    // tidy: allow(no-float): a deliberately wrong variant that the tests must notice
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import rules  # noqa: E402

FORMAT_VERSION = "14"
CHUNK_FILES = 24
MARKER = re.compile(r"(?://|#|--) tidy: allow\(([\w-]+)\)(:?)[ \t]*([^\n]*)")
REASON_CHARACTERS_MIN = 10
NOT_TEXT_BYTES = 8_000


def list_files(root):
    """Tracked and new files, without ignored ones; all files where there is no git."""
    if (root / ".git").exists():
        listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=root,
                                check=True, capture_output=True, timeout=60).stdout.decode()
        paths = {pathlib.PurePosixPath(name) for name in listed.split("\0") if name}
    else:
        paths = {pathlib.PurePosixPath(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    return sorted(path for path in paths if (root / path).is_file() and not (root / path).is_symlink())


def read(root, path):
    """The file's text, or None if it is not text (or test data, which is whatever it is)."""
    if "corpus" in path.parts or path.suffix in (".bin", ".png", ".zip"):
        return None
    data = (root / path).read_bytes()
    if b"\0" in data[:NOT_TEXT_BYTES]:
        return None
    return data.decode("utf-8", errors="replace")


def allowances(file):
    """Line -> rules allowed there, and findings about the markers themselves."""
    allowed, findings = {}, []
    if file.is_about_rules:
        return allowed, findings
    for number, line in enumerate(file.lines, 1):
        match = MARKER.search(line)
        if not match:
            continue
        name, colon, reason = match.groups()
        if name not in rules.RULES:
            findings.append((number, "marker", f"no rule is called {name}: " + ", ".join(sorted(rules.RULES))))
        elif not colon or len(reason.strip()) < REASON_CHARACTERS_MIN:
            findings.append((number, "marker", f"allow({name}) without a reason: `tidy: allow({name}): why`"))
        else:
            target = number if line[:match.start()].strip() else number + 1
            allowed.setdefault(target, {})[name] = number
    return allowed, findings


def check_file(file):
    """[(line, rule, message)]"""
    allowed, findings = allowances(file)
    used = set()
    for name, rule in rules.RULES.items():
        for line, message in rule(file):
            if name in allowed.get(line, {}):
                used.add((line, name))
            else:
                findings.append((line, name, message))
    for line, names in allowed.items():
        for name, number in names.items():
            if (line, name) not in used:
                findings.append((number, "marker", f"allow({name}) allows nothing: remove it"))
    return findings


def clang_format():
    """The command of the one version whose layout is the project's: versions differ."""
    for command in (f"clang-format-{FORMAT_VERSION}", "clang-format"):
        try:
            shown = subprocess.run([command, "--version"], capture_output=True, text=True, timeout=20,
                                   check=True).stdout
        except (OSError, subprocess.SubprocessError):
            continue
        if f"version {FORMAT_VERSION}." in shown:
            return command
    return None


def check_format(root, paths):
    """Findings of clang-format, one per file: where its layout first differs."""
    command = clang_format()
    if command is None:
        return [(pathlib.PurePosixPath(".clang-format"), 1, "format",
                 f"clang-format {FORMAT_VERSION} is missing (scripts/install-deps test)")]

    def check(chunk):
        done = subprocess.run([command, "--dry-run", "-Werror", *map(str, chunk)], cwd=root, capture_output=True,
                              text=True, timeout=300, check=False)
        return re.findall(r"(?m)^([^:\n]+):(\d+):\d+: error: code should be clang-formatted", done.stderr)

    chunks = [paths[at:at + CHUNK_FILES] for at in range(0, len(paths), CHUNK_FILES)]
    first = {}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for found in pool.map(check, chunks):
            for name, line in found:
                first.setdefault(name, int(line))
    return [(pathlib.PurePosixPath(name), line, "format", f"not laid out by .clang-format: {command} -i {name}")
            for name, line in sorted(first.items())]


def check_shell(root, files):
    scripts = [file.path for file in files
               if re.match(r"#!.*\b(?:ba)?sh\b", file.lines[0]) and file.suffix != ".tftpl"]
    if not scripts:
        return []
    try:
        done = subprocess.run(["shellcheck", "-x", "-P", "SCRIPTDIR", "-f", "gcc", *map(str, scripts)], cwd=root,
                              capture_output=True, text=True, timeout=300, check=False)
    except FileNotFoundError:
        return [(scripts[0], 1, "shell", "shellcheck is missing (scripts/install-deps test)")]
    return [(pathlib.PurePosixPath(name), int(line), "shell", message)
            for name, line, message in re.findall(r"(?m)^([^:\n]+):(\d+):\d+: \w+: (.*)$", done.stdout)]


def check_tree(root, below=(), tools=True):
    """All findings of a tree as (path, line, rule, message), in order."""
    paths = list_files(root)
    texts = {path: read(root, path) for path in paths}
    tree = rules.Tree(cmake={str(path): text for path, text in texts.items()
                             if (path.name == "CMakeLists.txt" or path.suffix == ".cmake") and text is not None},
                      executable=frozenset(path for path in paths if os.access(root / path, os.X_OK)))
    wanted = [path for path in paths if not below or any(path.is_relative_to(folder) for folder in below)]
    files = [rules.File(path, texts[path], tree) for path in wanted if texts[path] is not None]
    findings = [(file.path, *finding) for file in files for finding in check_file(file)]
    if tools:
        findings += check_format(root, [file.path for file in files if file.is_cpp])
        findings += check_shell(root, files)
    return len(files), sorted(findings, key=lambda finding: finding[:3])


def main():
    parser = argparse.ArgumentParser(description="The style test")
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[2])
    parser.add_argument("--no-tools", action="store_true", help="without clang-format and shellcheck")
    parser.add_argument("below", nargs="*", help="only files below these paths (relative to the root)")
    options = parser.parse_args()
    count, findings = check_tree(options.root, options.below, not options.no_tools)
    for path, line, rule, message in findings:
        print(f"{path}:{line}: {rule}: {message}")
    print(f"{len(findings)} findings in {count} files", file=sys.stderr)
    return 1 if findings or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
