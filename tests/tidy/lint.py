# SPDX-License-Identifier: Apache-2.0
"""clang-tidy over the product's sources (not the tests'), with .clang-tidy's checks; ends with 1 on any finding.

    tests/tidy/lint.py [--build build/dev] [PATH ..]       all of src, or only files below these paths

A file takes ten seconds or more, so one that was clean is not looked at again until it, a header of the project that it
includes, its compiler options or the checks change.  What was clean is remembered in the cache.
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMMAND = "clang-tidy-14"
FILE_SECONDS = 900
INCLUDE = re.compile(r'(?m)^#include "([^"]+)"')


def cache_directory():
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(os.environ.get("CULVERT_CACHE") or pathlib.Path(base, "culvert")) / "lint"


def with_headers(source):
    """The file and every header of the project that it includes, directly or not."""
    seen, waiting = set(), [source]
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        for name in INCLUDE.findall(path.read_text(encoding="utf-8")):
            found = [base / name for base in (path.parent, ROOT / "src") if (base / name).is_file()]
            waiting += found[:1]
    return sorted(seen)


def identity(entry, checks):
    """Changes whenever the verdict on a file may change."""
    digest = hashlib.sha256(checks)
    digest.update(entry["command"].replace(entry["directory"], "").replace(str(ROOT), "").encode())
    for path in with_headers(pathlib.Path(entry["file"])):
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:32]


def examine(build, source):
    """clang-tidy's findings on one file as text; empty if it is clean."""
    done = subprocess.run([COMMAND, "-p", str(build), "--quiet", "--extra-arg=-Wno-unknown-warning-option", source],
                          cwd=ROOT, capture_output=True, text=True, timeout=FILE_SECONDS, check=False)
    if done.returncode == 0:
        return ""
    return (done.stdout.strip() or done.stderr.strip()).replace(f"{ROOT}/", "")


def main():
    parser = argparse.ArgumentParser(description="clang-tidy over the product's sources")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "dev")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("below", nargs="*", type=pathlib.Path, default=[ROOT / "src"])
    options = parser.parse_args()
    commands = options.build / "compile_commands.json"
    if not commands.exists():
        sys.exit(f"{commands} is missing: cmake --preset dev")
    checks = (ROOT / ".clang-tidy").read_bytes()
    below = [path.resolve() for path in options.below]
    clean = cache_directory()
    clean.mkdir(parents=True, exist_ok=True)
    waiting = {}
    for entry in json.loads(commands.read_text(encoding="utf-8")):
        path = pathlib.Path(entry["file"])
        if path.is_relative_to(ROOT / "src") and not path.stem.endswith(("_test", "_bench")):
            if any(path.is_relative_to(folder) for folder in below) and not (clean / identity(entry, checks)).exists():
                waiting[str(path)] = identity(entry, checks)
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for source, found in zip(waiting, pool.map(lambda source: examine(options.build, source), waiting)):
            if found:
                failed += 1
                print(found, flush=True)
            else:
                (clean / waiting[source]).touch()
    print(f"lint: {len(waiting)} files examined, {failed} with findings", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
