# SPDX-License-Identifier: Apache-2.0
"""docs/tutorial.md's commands are real: every block marked `<!-- run -->` runs, one after the other, in one folder."""
import os
import pathlib
import re
import subprocess

from culvert_test.dynamodb import DynamoDbLocal
from culvert_test.kafka import KafkaCluster
from culvert_test.runner import CulvertTest, culvert_program, main
from culvert_test.workspace import build_directory

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")


class Tutorial(CulvertTest):
    def test_every_block_runs(self):
        kafka = self.own(KafkaCluster(secure=False))
        dynamodb = self.own(DynamoDbLocal())
        blocks = re.findall(r"<!-- run -->\n```sh\n(.*?)```", TUTORIAL, re.S)
        self.assertGreaterEqual(len(blocks), 5)
        script = "set -eu\n" + "".join(blocks)
        for shown, real in (("localhost:9092", kafka.admin_bootstrap), ("http://localhost:8000", dynamodb.endpoint),
                            ("build/release/culvert-lambda", str(build_directory() / "culvert-lambda"))):
            self.assertIn(shown, script)
            script = script.replace(shown, real)
        path = f"{culvert_program().parent}:{os.environ['PATH']}"
        done = subprocess.run(["bash", "-c", script], cwd=self.directory, capture_output=True, text=True, timeout=200,
                              env={**os.environ, "PATH": path}, check=False)
        self.assertEqual(done.returncode, 0, done.stdout[-4000:] + done.stderr[-4000:])
        proofs = re.findall(r"different=\d+ missing=\d+ extra=\d+", done.stdout)
        self.assertEqual(set(proofs), {"different=0 missing=0 extra=0"})
        self.assertEqual(len(re.findall(r"(?m)^No hop is broken", done.stdout)), 3)
        self.assertTrue((self.directory / "from-function.json").read_text(encoding="utf-8"))

    def test_commands_and_options_exist(self):
        """Also in the blocks that need AWS."""
        for line in re.findall(r"(?m)^culvert [^\n]*(?:\\\n[^\n]*)*", TUTORIAL):
            words = line.replace("\\\n", " ").split()
            name = words[1:3] if words[1] == "dead-letters" else words[1:2]
            shown = self.culvert(*name, "--help").stdout
            for word in words[1:]:
                if word.startswith("-"):
                    self.assertRegex(shown, rf"(^|[\s,]){re.escape(word)}[\s,]", line)


if __name__ == "__main__":
    main()
