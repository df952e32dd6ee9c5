# SPDX-License-Identifier: Apache-2.0
"""README's commands are real: the targets, commands and options exist, and the demo ends as shown."""
import pathlib
import re
import shlex
import subprocess

from culvert_test.runner import CulvertTest, main

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def command_lines():
    for block in re.findall(r"```sh\n(.*?)```", README, re.S):
        for line in block.splitlines():
            yield shlex.split(line, comments=True)


class Readme(CulvertTest):
    def test_make_targets_exist(self):
        targets = [words[1] for words in command_lines() if words[0] == "make"]
        self.assertIn("demo", targets)
        for target in targets + re.findall(r"`make ([a-z-]+)`", README):
            done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, timeout=60,
                                  check=False)
            self.assertEqual(done.returncode, 0, f"make {target}: {done.stderr}")

    def test_commands_and_options_exist(self):
        checked = 0
        for words in command_lines():
            if words[0] != "culvert":
                continue
            name = words[1:3] if words[1] == "dead-letters" else words[1:2]
            shown = self.culvert(*name, "--help").stdout
            for word in words[1:]:
                if word.startswith("-"):
                    self.assertRegex(shown, rf"(^|[\s,]){re.escape(word)}[\s,]", f"{' '.join(words)}: {word}")
            checked += 1
        self.assertGreaterEqual(checked, 5)

    def test_demo_ends_as_shown(self):
        done = self.culvert("demo", "--duration", "3s", timeout=90)
        shown = re.search(r"^verify: .*$", README, re.M)[0]
        ended = re.search(r"^verify: .*$", done.stdout, re.M)[0]
        self.assertEqual(re.sub(r"\d+", "N", ended), re.sub(r"\d+", "N", shown))
        self.assertIn("different=0 missing=0 extra=0", ended)
        table = re.search(r"^table: sqlite:(.*)$", done.stdout, re.M)[1]
        folder = pathlib.Path(table).parent
        self.assertTrue(pathlib.Path(table).is_file())
        for left in folder.iterdir():
            left.unlink()
        folder.rmdir()


if __name__ == "__main__":
    main()
