# SPDX-License-Identifier: Apache-2.0
"""Where playwright-core is: installed once into the cache, as package-lock.json pins it (npm checks its sum)."""

import functools
import hashlib
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "infra" / "tests"))
from toolchain import cache_folder, locked  # noqa: E402


@functools.cache
def playwright():
    """A directory with node_modules/playwright-core in it."""
    sums = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()[:16]
    target = cache_folder() / "parts" / f"browser-{sums}"
    target.parent.mkdir(exist_ok=True)
    with locked("part-browser"):
        if target.is_dir():
            return target
        with tempfile.TemporaryDirectory(prefix="browser-", dir=target.parent, ignore_cleanup_errors=True) as work:
            for name in ("package.json", "package-lock.json"):
                shutil.copy(HERE / name, work)
            subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=work, check=True,
                           stdout=subprocess.DEVNULL, timeout=280)
            shutil.copytree(work, target)
    return target
