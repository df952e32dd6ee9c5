# SPDX-License-Identifier: Apache-2.0
"""lint.py's own test, with the real clang-tidy over a small tree: what it finds, and what it does not look at again."""

import contextlib
import io
import json
import os
import pathlib
import re
import shutil
import sys
import tempfile
import unittest
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import lint  # noqa: E402

CHECKS = lint.ROOT / ".clang-tidy"
SIZE = "#pragma once\nconstexpr int kSize = 1;\n"
# Both have a fail() of their own: they cannot stand in one text.
FIRST = ('#include "size.h"\n'
         "namespace {\nint fail() { return kSize; }\n}  // namespace\nint first() { return fail(); }\n")
SECOND = "namespace {\nint fail() { return 2; }\n}  // namespace\nint second() { return fail(); }\n"


@unittest.skipUnless(shutil.which(lint.COMMAND), f"{lint.COMMAND} is missing (scripts/install-deps test)")
class LintTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name).resolve()
        for name in ("src/model", "tests", "build"):
            (self.root / name).mkdir(parents=True)
        shutil.copy(CHECKS, self.root)
        self.write("src/model/size.h", SIZE)
        for patch in (mock.patch.object(lint, "ROOT", self.root),
                      mock.patch.dict(os.environ, {"CULVERT_CACHE": str(self.root / "cache")})):
            patch.start()
            self.addCleanup(patch.stop)

    def write(self, name, text):
        (self.root / name).write_text(text, encoding="utf-8")

    def lint(self, sources, *arguments):
        """The exit code, the files and checks of the findings, and how many files were looked at."""
        entries = [{"directory": str(self.root / "build"), "file": str(self.root / source),
                    "command": f"c++ -std=c++20 -I{self.root}/src/model -o {source}.o -c {self.root / source}"}
                   for source in sources]
        self.write("build/compile_commands.json", json.dumps(entries))
        out, err = io.StringIO(), io.StringIO()
        argv = ["lint.py", "--build", str(self.root / "build"), "--jobs", "2", *arguments]
        with mock.patch.object(sys, "argv", argv), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = lint.main()
        findings = re.findall(r"(?m)^(\S+?):\d+:\d+: error: .*\[([a-z-]+)", out.getvalue())
        return code, findings, int(re.search(r"lint: (\d+) files", err.getvalue())[1])

    def test_sources_that_cannot_stand_in_one_text_are_looked_at_by_themselves(self):
        self.write("src/model/first.cc", FIRST)
        self.write("src/model/second.cc", SECOND)
        self.assertEqual(self.lint(["src/model/first.cc", "src/model/second.cc"]), (0, [], 2))

    def test_a_finding_is_told_once_and_again_until_it_is_gone(self):
        finding = ("src/model/size.h", "bugprone-implicit-widening-of-multiplication-result")
        sources = ["src/model/first.cc", "src/model/second.cc", "tests/third.cc"]
        self.write("src/model/first.cc", FIRST)
        self.write("src/model/second.cc", SECOND)
        self.write("src/model/size.h", SIZE + "inline long area(int a) { return a * a; }\n")
        self.write("tests/third.cc", '#include "size.h"\nlong third() { return area(2); }\n')
        self.assertEqual(self.lint(sources), (1, [finding], 3))
        self.assertEqual(self.lint(sources), (1, [finding], 2))
        self.write("src/model/size.h", SIZE + "inline long area(long a) { return a * a; }\n")
        self.assertEqual(self.lint(sources), (0, [], 2))
        self.assertEqual(self.lint(sources), (0, [], 0))

    def test_a_finding_in_one_source_says_nothing_of_the_others(self):
        self.write("src/model/second.cc", SECOND)
        self.write("src/model/third.cc", "long third(int a) { return a * a; }\n")
        sources = ["src/model/second.cc", "src/model/third.cc"]
        finding = ("src/model/third.cc", "bugprone-implicit-widening-of-multiplication-result")
        self.assertEqual(self.lint(sources), (1, [finding], 2))
        self.assertEqual(self.lint(sources), (1, [finding], 1))

    def test_what_a_clean_file_includes_is_part_of_it(self):
        self.write("src/model/first.cc", FIRST)
        self.write("src/model/second.cc", SECOND)
        self.lint(["src/model/first.cc", "src/model/second.cc"])
        self.write("src/model/size.h", SIZE.replace("1", "3"))
        self.assertEqual(self.lint(["src/model/first.cc", "src/model/second.cc"]), (0, [], 1))

    def test_only_what_lies_below_the_paths_is_looked_at(self):
        self.write("src/model/second.cc", SECOND)
        self.write("tests/third.cc", "int third() { return 3; }\n")
        self.assertEqual(self.lint(["src/model/second.cc", "tests/third.cc"], str(self.root / "tests")), (0, [], 1))

    def test_a_source_that_does_not_compile_is_a_finding(self):
        self.write("src/model/second.cc", "static_assert(sizeof(int) == 1);\n")
        error = ("src/model/second.cc", "clang-diagnostic-error")
        self.assertEqual(self.lint(["src/model/second.cc"]), (1, [error], 1))


if __name__ == "__main__":
    unittest.main()
