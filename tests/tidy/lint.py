# SPDX-License-Identifier: Apache-2.0
"""clang-tidy over all C++ sources, with .clang-tidy's checks; ends with 1 on any finding.

    tests/tidy/lint.py [--build build/release] [--jobs N] [PATH ..]     the whole tree, or only files below these paths

Most of clang-tidy's time goes into the headers of the standard library, Boost and fmt.  Sources of one folder that are
compiled alike are therefore included into one text and examined together; where two of them cannot stand in one text
(both have a `fail()` of their own), each is examined by itself.  A file that was clean is not looked at again until it,
a header of the project that it includes, its compiler options or the checks change: the cache remembers.
"""

import argparse
import collections
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMMAND = "clang-tidy-14"
FOLDERS = ("src", "tests", "fuzz", "bench")
TOGETHER = 16
GROUP_SECONDS = 3600
INCLUDE = re.compile(r'(?m)^#include "([^"]+)"')
FINDING = re.compile(r"(?m)^(?=\S+:\d+:\d+: (?:error|warning):)")


def cache_directory():
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(os.environ.get("CULVERT_CACHE") or pathlib.Path(base, "culvert")) / "lint"


def include_folders(entry):
    words = shlex.split(entry["command"])
    return [pathlib.Path(word[2:]) for word in words if word.startswith(f"-I{ROOT}")]


def with_headers(entry):
    """The file and every header of the project that it includes, directly or not."""
    folders = include_folders(entry)
    seen, waiting = set(), [pathlib.Path(entry["file"])]
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        for name in INCLUDE.findall(path.read_text(encoding="utf-8")):
            found = [base / name for base in (path.parent, *folders) if (base / name).is_file()]
            waiting += found[:1]
    return sorted(seen)


def identity(entry, checks):
    """Changes whenever the verdict on a file may change."""
    digest = hashlib.sha256(checks)
    digest.update(entry["command"].replace(entry["directory"], "").replace(str(ROOT), "").encode())
    for path in with_headers(entry):
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:32]


def options_of(entry):
    """The command without what differs from source to source."""
    words = shlex.split(entry["command"])
    own = {entry["file"], entry.get("output") or words[words.index("-o") + 1]}
    return tuple(word for word in words if word not in own)


def first_entries(commands):
    """The first command of each source, as some are compiled for several programs; the product's before the tests'."""
    first = {}
    for entry in json.loads(commands.read_text(encoding="utf-8")):
        if any(pathlib.Path(entry["file"]).is_relative_to(ROOT / folder) for folder in FOLDERS):
            first.setdefault(entry["file"], entry)
    return sorted(first.values(), key=lambda entry: pathlib.Path(entry["file"]).stem.endswith(("_test", "_bench")))


def groups_of(entries):
    alike = collections.defaultdict(list)
    for entry in entries:
        alike[pathlib.Path(entry["file"]).parent, options_of(entry)].append(entry)
    for same in alike.values():
        for at in range(0, len(same), TOGETHER):
            yield same[at:at + TOGETHER]


def examine(group):
    """clang-tidy's findings on some files as text; empty if they are clean, None if they cannot stand in one text."""
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(group[0]["file"])
        if len(group) > 1:
            source = pathlib.Path(folder, "together.cc")
            source.write_text("".join(f'#include "{entry["file"]}"\n' for entry in group), encoding="utf-8")
        words = [str(source) if word == group[0]["file"] else word for word in shlex.split(group[0]["command"])]
        entry = {"directory": group[0]["directory"], "file": str(source), "command": shlex.join(words)}
        pathlib.Path(folder, "compile_commands.json").write_text(json.dumps([entry]), encoding="utf-8")
        done = subprocess.run(
            [COMMAND, "-p", folder, "--quiet", f"--config-file={ROOT / '.clang-tidy'}",
             f"--header-filter=^{ROOT}/({'|'.join(FOLDERS)})/", "--extra-arg=-Wno-unknown-warning-option",
             *(["--checks=-bugprone-suspicious-include"] if len(group) > 1 else []), str(source)],
            cwd=ROOT, capture_output=True, text=True, timeout=GROUP_SECONDS, check=False)
    if done.returncode == 0:
        return ""
    if len(group) > 1 and "[clang-diagnostic-error" in done.stdout:
        return None
    return (done.stdout.strip() or done.stderr.strip()).replace(f"{ROOT}/", "")


def without_findings(group, found):
    """Those of a group that are clean: none if a finding is in what several include."""
    at_fault = {str(ROOT / finding.split(":", 1)[0]) for finding in FINDING.split(found) if finding.strip()}
    return [entry for entry in group if entry["file"] not in at_fault] if at_fault <= {e["file"] for e in group} else []


class Findings:
    """Prints each finding once: a header's come with every file that includes it."""

    def __init__(self):
        self._printed = set()

    def __bool__(self):
        return bool(self._printed)

    def show(self, text):
        for finding in FINDING.split(text):
            if finding.strip() and finding not in self._printed:
                self._printed.add(finding)
                print(finding.rstrip(), flush=True)


def examine_all(waiting, jobs, clean):
    """True if there are no findings.  waiting: pairs of a command and the name that a clean file has in the cache."""
    names = {entry["file"]: name for entry, name in waiting}
    findings = Findings()
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        running = {pool.submit(examine, group): group for group in groups_of([entry for entry, _ in waiting])}
        while running:
            done, _ = concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED)
            for future in done:
                group, found = running.pop(future), future.result()
                if found is None:
                    running |= {pool.submit(examine, [entry]): [entry] for entry in group}
                    continue
                findings.show(found)
                for entry in without_findings(group, found):
                    (clean / names[entry["file"]]).touch()
    return not findings


def main():
    parser = argparse.ArgumentParser(description="clang-tidy over all C++ sources")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "release")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("below", nargs="*", type=pathlib.Path, default=[ROOT / folder for folder in FOLDERS])
    options = parser.parse_args()
    commands = options.build / "compile_commands.json"
    if not commands.exists():
        sys.exit(f"{commands} is missing: scripts/build release 2")
    checks = (ROOT / ".clang-tidy").read_text(encoding="utf-8")
    checks = "".join(line for line in checks.splitlines(True) if not line.lstrip().startswith("#")).encode()
    below = [path.resolve() for path in options.below]
    clean = cache_directory()
    clean.mkdir(parents=True, exist_ok=True)
    waiting = []
    for entry in first_entries(commands):
        if any(pathlib.Path(entry["file"]).is_relative_to(path) for path in below):
            name = identity(entry, checks)
            if not (clean / name).exists():
                waiting.append((entry, name))
    began = time.monotonic()
    well = examine_all(waiting, options.jobs, clean)
    print(f"lint: {len(waiting)} files examined in {time.monotonic() - began:.0f} s: {'clean' if well else 'findings'}",
          file=sys.stderr)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
