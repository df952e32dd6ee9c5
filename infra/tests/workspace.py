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


class Failed(Exception):
    """A command that was expected to succeed did not; the message is its output."""


class Workspace:
    def __init__(self, toolchain, source=INFRA):
        self.toolchain = toolchain
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="culvert-infra-"))
        self.infra = self.folder / "infra"
        for part in ("modules", "accounts"):
            shutil.copytree(source / part, self.infra / part,
                            ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*"))
        for schema in source.glob("*.schema.json"):
            shutil.copy(schema, self.infra)
        self.clouds = 0
        self.cloud = None
        self.new_cloud()
        self.function_package = self._package("function.zip", "bootstrap")
        self.program_package = self._program()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder, ignore_errors=True)

    def new_cloud(self):
        """An empty world: no account has anything."""
        self.clouds += 1
        self.cloud = self.folder / f"cloud-{self.clouds}"

    def _package(self, name, member):
        """An archive of the form that `make lambda` leaves: an executable at its root."""
        path = self.folder / name
        with zipfile.ZipFile(path, "w") as archive:
            entry = zipfile.ZipInfo(member, (2026, 1, 1, 0, 0, 0))
            entry.external_attr = 0o755 << 16
            archive.writestr(entry, "#!/bin/sh\nexit 1\n")
        return path

    def _program(self):
        """An archive of the form that scripts/infra-program leaves."""
        path = self.folder / "culvert.tar.gz"
        with tarfile.open(path, "w:gz") as archive:
            entry = tarfile.TarInfo("bin/culvert")
            entry.mode, script = 0o755, b"#!/bin/sh\nexit 1\n"
            entry.size = len(script)
            archive.addfile(entry, io.BytesIO(script))
        return path

    def environment(self, account):
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("TF_", "AWS_"))}
        environment.update(
            TF_CLI_CONFIG_FILE=str(self.toolchain.cli_config()), CHECKPOINT_DISABLE="1", TF_IN_AUTOMATION="1",
            TF_INPUT="0", CULVERT_TWIN_CLOUD=str(self.cloud), TF_VAR_function_package=str(self.function_package),
            TF_VAR_program_package=str(self.program_package))
        if account:
            environment["CULVERT_TWIN_ACCOUNT"] = account
        return environment

    def tofu(self, where, *arguments, account=None, variables=None, check=True, timeout=600):
        """Run one command in a folder of the copy; returns (code, output)."""
        environment = self.environment(account)
        for name, x in (variables or {}).items():
            environment[f"TF_VAR_{name}"] = x if isinstance(x, str) else json.dumps(x)
        result = subprocess.run([self.toolchain.binary(), *arguments], cwd=self.infra / where, env=environment,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout)
        if check and result.returncode != 0:
            raise Failed(f"{where}: {' '.join(arguments[:2])} failed:\n{result.stdout}")
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
