# SPDX-License-Identifier: Apache-2.0
"""Both roots applied in the twin's folder: stream, analytics, acceptance, as two teams would.

Flow    infra/accounts, infra/modules -> [Deployed] -> states/NAME.json, cloud/.
Owner   `twin.py up` and `twin.py apply`; the supervisor only reads what they leave.
Time    some 10 seconds; the first time on a machine minutes, since provider and tofu may have to be built.
Bounds  works on a copy: nothing is written into the source tree.
"""

import json
import os
import pathlib
import subprocess
import sys
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
sys.path[:0] = [str(HERE.parent / "tests"), str(REPOSITORY / "tests" / "support")]

from accounts import Deployment, handed_over   # noqa: E402  (the folders must be on the path first)
from culvert_test.workspace import SupportError   # noqa: E402
from toolchain import Toolchain   # noqa: E402
from workspace import Workspace   # noqa: E402

ROOTS = ("stream", "analytics")


def packages(folder, program, function):
    """What `make lambda` and scripts/infra-program leave, of the programs that were built here."""
    archive, zipped = folder / "packages" / "culvert.tar.gz", folder / "packages" / "culvert-lambda.zip"
    archive.parent.mkdir(exist_ok=True)
    # In the twin's folder, as everything that `down` must find when this process was killed.
    packed = subprocess.run([REPOSITORY / "scripts" / "infra-program", program.resolve(), archive], cwd=folder,
                            capture_output=True, text=True, timeout=120)
    if packed.returncode != 0:
        raise SupportError(f"packing the sensors' program failed: {packed.stderr.strip()}")
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as out:
        entry = zipfile.ZipInfo("bootstrap", (2026, 1, 1, 0, 0, 0))
        entry.external_attr = 0o755 << 16
        entry.compress_type = zipfile.ZIP_DEFLATED
        out.writestr(entry, function.read_bytes())
    return zipped, archive


class Deployed:
    def __init__(self, folder):
        self.folder = folder
        self.workspace = Workspace(Toolchain(), folder=folder)
        self.deployment = Deployment(self.workspace)
        self._variables = folder / "variables.json"
        if self._variables.exists():
            for root, variables in json.loads(self._variables.read_text()).items():
                getattr(self.deployment, root).variables = variables

    def apply(self, variables=None, say=lambda text: None):
        """Three applies; `variables` (root -> name -> value) stay for the next time.

        accepted_endpoints, where it is given, is what the stream root gets: nothing else is accepted this time."""
        given = (variables or {}).get("stream", {}).get("accepted_endpoints")
        for root in ROOTS:
            getattr(self.deployment, root).variables.update((variables or {}).get(root, {}))
        say("applying infra/accounts/stream")
        stream = self.deployment.stream.apply()
        say("applying infra/accounts/analytics")
        analytics = self.deployment.analytics.apply(**handed_over(stream))
        if given is not None:
            say("accepting no endpoints but those that were given; an apply without them accepts all")
        elif analytics["accepted_endpoints"]:
            say("accepting its endpoints in infra/accounts/stream")
            self.deployment.stream.apply(accepted_endpoints={"analytics": analytics["accepted_endpoints"]})
        self.keep()

    def keep(self):
        """Leaves both states for the supervisor, and the variables for the next apply."""
        self._variables.write_text(json.dumps({r: getattr(self.deployment, r).variables for r in ROOTS}, indent=1))
        states = self.folder / "states"
        states.mkdir(exist_ok=True)
        for name in ROOTS:
            root = getattr(self.deployment, name)
            _, shown = root.command("show", "-json", "-no-color", root.state_file)
            scratch = states / f"{name}.json.new"
            scratch.write_text(shown)
            os.replace(scratch, states / f"{name}.json")

    def patch(self, file, reverse=False):
        """Applies a patch of infra/ to the twin's copy, or takes it back."""
        command = ["git", "apply", "-p1", *(["--reverse"] if reverse else []), str(pathlib.Path(file).resolve())]
        subprocess.run(command, cwd=self.folder, check=True, capture_output=True, timeout=60,
                       env={"PATH": "/usr/bin:/bin", "GIT_CEILING_DIRECTORIES": str(self.folder)})
