# SPDX-License-Identifier: Apache-2.0
"""A copy of the modules and roots in which OpenTofu or Terraform works, with a cloud of its own.

Flow    run.py -> [Workspace] -> tofu or terraform -> provider for tests -> cloud folder.
Owner   each step makes one, uses it, and lets it go (it is a context manager).
Time    copying takes milliseconds; the first init of a folder about a second.
Bounds  one folder under the system's temporary folder, removed at the end.
See     twin/provider/README.md for what the cloud models.
"""

import io
import json
import os
import pathlib
import shutil
import subprocess
import tarfile
import tempfile
import zipfile

from toolchain import INFRA

STREAM_ACCOUNT, ANALYTICS_ACCOUNT, OTHER_ACCOUNT = "111111111111", "222222222222", "333333333333"
# Dozens of short runs of two Go programs: collecting garbage as often as Go does by itself costs a third of them.
SELDOM_COLLECTED = {"GOGC": "800", "GOMEMLIMIT": "512MiB"}


def packages(folder):
    """Archives of the forms that `make lambda` and scripts/infra-program leave, always the same bytes and paths."""
    function, program = folder / "function.zip", folder / "culvert.tar.gz"
    script = b"#!/bin/sh\nexit 1\n"
    folder.mkdir(parents=True, exist_ok=True)
    if not function.exists():
        scratch = folder / f"function.{os.getpid()}"
        with zipfile.ZipFile(scratch, "w") as archive:
            entry = zipfile.ZipInfo("bootstrap", (2026, 1, 1, 0, 0, 0))
            entry.external_attr = 0o755 << 16
            archive.writestr(entry, script)
        scratch.replace(function)
    if not program.exists():
        scratch = folder / f"culvert.{os.getpid()}"
        with tarfile.open(scratch, "w:gz") as archive:
            entry = tarfile.TarInfo("bin/culvert")
            entry.mode, entry.size = 0o755, len(script)
            archive.addfile(entry, io.BytesIO(script))
        scratch.replace(program)
    return function, program


class Failed(Exception):
    """A command that was expected to succeed did not; the message is its output."""


class Workspace:
    def __init__(self, toolchain, source=INFRA, made_from=None, folder=None):
        """folder: of somebody who keeps it, and finds the same work there the next time; else a temporary one."""
        self.toolchain = toolchain
        self.folder = folder or pathlib.Path(tempfile.mkdtemp(prefix="culvert-infra-"))
        self.infra = self.folder / "infra"
        self.cloud = self.folder / "cloud"
        self.function_package, self.program_package = packages(toolchain.cache / "packages")
        if made_from is not None:
            shutil.copytree(made_from.folder, self.folder, symlinks=True, dirs_exist_ok=True)
            return
        for part in ("modules", "accounts"):
            if (self.infra / part).exists():
                continue
            shutil.copytree(source / part, self.infra / part,
                            ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder, ignore_errors=True)

    def fork(self):
        """Another workspace with the same states and the same world, from where it can go another way."""
        return Workspace(self.toolchain, made_from=self)

    def environment(self, account):
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("TF_", "AWS_"))}
        environment.update(
            SELDOM_COLLECTED, TF_CLI_CONFIG_FILE=str(self.toolchain.cli_config()), CHECKPOINT_DISABLE="1",
            TF_IN_AUTOMATION="1", TF_INPUT="0",
            CULVERT_TWIN_CLOUD=str(self.cloud), TF_VAR_function_package=str(self.function_package),
            TF_VAR_program_package=str(self.program_package))
        if account:
            environment["CULVERT_TWIN_ACCOUNT"] = account
        return environment

    def tofu(self, where, *arguments, account=None, variables=None, check=True, timeout=600):
        """Run one command in a folder of the copy; returns (code, output)."""
        environment = self.environment(account)
        for name, x in (variables or {}).items():
            if x is not None:   # null is what a variable is that nobody sets
                environment[f"TF_VAR_{name}"] = x if isinstance(x, str) else json.dumps(x)
        result = subprocess.run([self.toolchain.binary(), *arguments], cwd=self.infra / where, env=environment,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout)
        if check and result.returncode != 0:
            said = result.stdout[max(0, result.stdout.find("Error:")):]   # not the whole plan in front of it
            raise Failed(f"{where}: {' '.join(arguments[:2])} failed:\n{said}")
        return result.returncode, result.stdout

    def init(self, where):
        if not (self.infra / where / ".terraform").exists():
            self.tofu(where, "init", "-backend=false", "-no-color")

    def state(self, where):
        """What `show -json` says of a root's present state."""
        _, output = self.tofu(where, "show", "-json", "-no-color")
        return json.loads(output)

    def account(self, number):
        """What the cloud has in an account."""
        path = self.cloud / f"{number}.json"
        return json.loads(path.read_text()) if path.exists() else {"account": number, "records": {}}

    def change_by_hand(self, number, change):
        """Play somebody who changes things outside of any apply."""
        account = self.account(number)
        change(account["records"])
        (self.cloud / f"{number}.json").write_text(json.dumps(account))
