# SPDX-License-Identifier: Apache-2.0
"""The style test's own test: every rule fires on what it is against, on the right line, and not on its neighbour."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import cpp  # noqa: E402
import rules  # noqa: E402
import tidy  # noqa: E402

SPDX = "// SPDX-License-Identifier: Apache-2.0\n"
HEADER = SPDX + ("// What it is.\n//\n// Flow    in -> [this] -> out.\n// Owner   one.\n// Time    none.\n"
                 "// Bounds  none.\n// See     nothing.\n#pragma once\n")
HEADER_LINES = HEADER.count("\n")


class Tree:
    """A temporary source tree in which every .cc is known to CMake, and every script may be started, unless it is
    named in `unknown`."""

    def __init__(self, files, unknown=()):
        self._files = {**files}
        self._unknown = unknown
        sources = [pathlib.PurePosixPath(path) for path in files if path.endswith(".cc") and path not in unknown]
        for path in sources:
            cmake = str(path.parent / "CMakeLists.txt")
            self._files.setdefault(cmake, "# SPDX-License-Identifier: Apache-2.0\n")
            self._files[cmake] += f"culvert_library(x SOURCES {path.name})\n"

    def findings(self, tools=False):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for name, text in self._files.items():
                path = root / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8", newline="")
                if text.startswith("#!") and name not in self._unknown:
                    path.chmod(0o755)
            _, findings = tidy.check_tree(root, tools=tools)
        return [(str(path), line, rule) for path, line, rule, _ in findings]


class RuleTest(unittest.TestCase):
    def fires(self, rule, path, text, line, unknown=()):
        self.assertIn(rule, rules.RULES)
        self.assertEqual(Tree({path: text}, unknown).findings(), [(path, line, rule)])

    def silent(self, path, text):
        self.assertEqual(Tree({path: text}).findings(), [])

    def source(self, body, path="src/model/a.cc"):
        """A source whose first line of `body` is line 2."""
        return path, SPDX + body + "\n"

    # ---- where things may be

    def test_layers_include_downwards_only(self):
        for path, target in (("src/model/a.cc", "window/assigner.h"), ("src/decode/a.cc", "window/assigner.h"),
                             ("src/window/a.cc", "decode/decoder.h"), ("src/pipeline/a.cc", "adapters/http/client.h"),
                             ("src/adapters/kafka/a.cc", "app/cli/log.h"), ("src/model/a_test.cc", "decode/decoder.h")):
            with self.subTest(path=path, target=target):
                self.fires("layer", path, SPDX + f'#include "{target}"\n', 2)
        for path, target in (("src/pipeline/a.cc", "window/assigner.h"), ("src/app/a.cc", "adapters/kafka/consumer.h"),
                             ("src/adapters/kafka/a.cc", "pipeline/ports.h")):
            with self.subTest(path=path, target=target):
                self.silent(path, SPDX + f'#include "{target}"\n')

    def test_adapters_meet_only_http_aws_and_the_clock(self):
        self.fires("layer", "src/adapters/kafka/a.cc", SPDX + '#include "adapters/dynamodb/table.h"\n', 2)
        self.fires("layer", "src/adapters/http/a.cc", SPDX + '#include "adapters/aws/sigv4.h"\n', 2)
        self.silent("src/adapters/dynamodb/a.cc", SPDX + '#include "adapters/aws/sigv4.h"\n')
        self.silent("src/adapters/aws/a.cc", SPDX + '#include "adapters/http/client.h"\n')
        self.silent("src/adapters/kafka/a.cc", SPDX + '#include "adapters/kafka/b.h"\n')

    def test_only_tests_include_fakes(self):
        self.fires("layer", "src/pipeline/a.cc", SPDX + '#include "fakes/memory_table.h"\n', 2)
        self.silent("src/pipeline/a_test.cc", SPDX + '#include "fakes/memory_table.h"\n')
        self.silent("src/pipeline/a_bench.cc", SPDX + '#include "fakes/memory_table.h"\n')

    def test_the_core_does_no_io_and_knows_no_clock_thread_or_environment(self):
        for body in ("#include <thread>", "#include <fstream>", "#include <librdkafka/rdkafka.h>",
                     "#include <openssl/evp.h>", 'void f() { std::cout << "x"; }', 'int f() { return printf("x"); }',
                     'auto f() { return std::getenv("HOME"); }', "auto f() { return Clock::steady_clock::now(); }"):
            with self.subTest(body=body):
                self.fires("pure-core", *self.source(body), 2)
        self.silent(*self.source("#include <thread>", "src/model/a_test.cc"))
        self.silent(*self.source("#include <thread>", "src/app/a.cc"))
        self.silent(*self.source("// std::cout is not used here\nint fprintf_count = 0;"))

    def test_the_wall_clock_is_read_in_its_adapter_only(self):
        body = "auto f() { return std::chrono::system_clock::now(); }"
        self.fires("wall-clock", *self.source(body, "src/app/a.cc"), 2)
        self.fires("wall-clock", *self.source("auto f() { return time(nullptr); }", "src/adapters/aws/a.cc"), 2)
        self.silent(*self.source(body, "src/adapters/clock/clock.cc"))
        self.silent(*self.source(body, "src/app/a_test.cc"))

    def test_a_static_program_does_not_ask_the_machines_resolver(self):
        body = "int f() { return getaddrinfo(a, b, c, d); }"
        self.fires("resolver", *self.source(body, "src/adapters/lambda/a.cc"), 2)
        self.fires("resolver", *self.source("asio::ip::tcp::resolver r;", "src/adapters/http/a.cc"), 2)
        self.silent(*self.source("// getaddrinfo() is not used", "src/adapters/http/a.cc"))

    def test_no_floating_point_where_sums_are_exact(self):
        for layer in ("model", "window", "pipeline"):
            self.fires("no-float", *self.source("double mean = 0;", f"src/{layer}/a.cc"), 2)
        self.silent(*self.source("double mean = 0;", "src/window/a_test.cc"))
        self.silent(*self.source("double mean = 0;", "src/decode/a.cc"))
        self.silent(*self.source('// a double\nauto name = "float";'))

    def test_every_source_is_known_to_cmake(self):
        self.fires("cmake", "src/model/a.cc", SPDX, 1, unknown=["src/model/a.cc"])
        self.fires("cmake", "tests/broker/a.cc", SPDX, 1, unknown=["tests/broker/a.cc"])
        cmake = "# SPDX-License-Identifier: Apache-2.0\nforeach(x a b)\n  f(${x}_test.cc)\nendforeach()\n"
        loop = {"tests/CMakeLists.txt": cmake, "tests/a_test.cc": SPDX, "tests/c_test.cc": SPDX}
        found = Tree(loop, unknown=loop).findings()
        self.assertEqual(found, [("tests/c_test.cc", 1, "cmake")])
        other = {"src/model/a.cc": SPDX, "src/model/aa.cc": SPDX}
        self.assertEqual(Tree(other, unknown=["src/model/a.cc"]).findings(), [("src/model/a.cc", 1, "cmake")])

    # ---- how much

    def test_long_lines(self):
        self.fires("line-length", *self.source("// " + "x" * 118), 2)
        self.silent(*self.source("// " + "x" * 117))

    def test_long_functions(self):
        def function(head, lines):
            return head + "\n" + "  f();\n" * (lines - 2) + "}"

        heads = ("void a() {", "TEST(Suite, Case) {", "Foo::Foo(int a, Options options = {}) : a_{a}, b_(1) {",
                 "auto a(int b) -> std::vector<int> {", "template <class T, typename = int>\nvoid a() const noexcept {",
                 "bool operator==(const A& a, const A& b) {", "auto a = [](int b) {")
        for head in heads:
            with self.subTest(head=head):
                extra = head.count("\n")
                self.fires("function-length", *self.source(function(head, 101 - extra), "src/app/a.cc"), 2)
                self.silent(*self.source(function(head, 100 - extra), "src/app/a.cc"))

    def test_what_is_not_a_function_may_be_long(self):
        entries = "  {1, 2},\n" * 150
        for head in ("constexpr int kTable[][2] = {", "namespace culvert {", "struct Foo final : Bar<int(int)> {",
                     "enum class Foo : int {", "const std::map<int, int> table(make({"):
            closing = "}))" if head.endswith("({") else "}"
            with self.subTest(head=head):
                self.silent(*self.source(f"{head}\n{entries}{closing};", "src/app/a.cc"))

    def test_members_of_a_class_are_functions_too(self):
        body = "class A {\n public:\n  void a() {\n" + "    f();\n" * 99 + "  }\n};"
        self.fires("function-length", *self.source(body, "src/app/a.cc"), 4)

    def test_braces_in_comments_strings_and_characters_do_not_count(self):
        text = 'void a() {\n  f("}", \'}\', R"x(}\n)")x", 1\'000);  // }\n  /* } */\n}\nvoid b() {\n}\n'
        self.assertEqual([(name, last - first + 1) for first, last, name in cpp.functions(cpp.code_only(text))],
                         [("a", 5), ("b", 2)])

    def test_long_files(self):
        self.fires("file-length", *self.source("\n".join("// x" for _ in range(600)), "src/app/a.cc"), 601)
        self.silent(*self.source("\n".join("// x" for _ in range(599)), "src/app/a.cc"))

    # ---- what a file must have

    def test_the_licence_line(self):
        self.fires("spdx", "src/model/a.cc", "int a;\n", 1)
        self.fires("spdx", "scripts/run", "#!/bin/sh\necho a\n", 2)
        self.fires("spdx", "infra/main.tf", "locals {}\n", 1)
        self.silent("scripts/run", "#!/bin/sh\n# SPDX-License-Identifier: Apache-2.0\necho a\n")

    def test_the_header_comment(self):
        self.silent("src/model/a.h", HEADER)
        self.fires("header-comment", "src/model/a.h", HEADER.replace("// Bounds  none.\n", ""), 1)
        self.fires("header-comment", "src/model/a.h", HEADER.replace("// Owner   one.\n// Time    none.\n",
                                                                     "// Time    none.\n// Owner   one.\n"), 1)
        self.fires("header-comment", "src/model/a.h", HEADER.replace("// Time    none.", "// Time"), 1)

    def test_pragma_once(self):
        self.fires("pragma-once", "src/model/a.h", HEADER.replace("#pragma once\n", ""), 1)

    def test_white_space(self):
        self.fires("whitespace", *self.source("int a;\tint b;"), 2)
        self.fires("whitespace", *self.source("int a; "), 2)
        self.fires("whitespace", *self.source("int a;\r"), 2)
        self.fires("whitespace", "src/model/a.cc", SPDX + "int a;", 2)
        self.fires("whitespace", "src/model/a.cc", SPDX + "int a;\n\n", 3)
        self.silent("Makefile", "# SPDX-License-Identifier: Apache-2.0\nall:\n\techo a\n")
        self.silent("docs/a.md", "two spaces end a paragraph's line  \n")

    # ---- what a file must not have

    def test_todo_needs_a_kind(self):
        self.fires("todo", *self.source("// TODO: later"), 2)
        self.fires("todo", *self.source("// TODO(someone): later"), 2)
        self.fires("todo", *self.source("// FIXME"), 2)
        self.fires("todo", "tests/a.py", "# SPDX-License-Identifier: Apache-2.0\n# TODO\n", 2)
        self.silent(*self.source('// TODO(perf): a wider load\nauto text = "TODO";'))

    def test_an_exception_does_not_disappear(self):
        self.fires("silent-catch", *self.source("void f() {\n  try {\n    g();\n  } catch (...) {\n  }\n}"), 5)
        self.fires("silent-catch", *self.source("void f() try {\n  g();\n} catch (...) {  // so what\n}"), 4)
        self.fires("silent-catch", *self.source("void f() try {\n  g();\n} catch (const E& e) {\n}"), 4)
        self.silent(*self.source("void f() try {\n  g();\n} catch (const Ended&) {  // how a task is told to end\n}"))
        self.silent(*self.source("void f() try {\n  g();\n} catch (...) {\n  count();\n  throw;\n}"))
        python = "# SPDX-License-Identifier: Apache-2.0\ntry:\n    f()\nexcept {}:\n    {}\n"
        self.fires("silent-catch", "tests/a.py", python.format("OSError", "pass"), 4)
        self.fires("silent-catch", "tests/a.py", python.format("", "print()").replace("except :", "except:"), 4)
        self.silent("tests/a.py", python.format("OSError as error", "print(error)"))

    def test_assert_is_not_for_products(self):
        self.fires("assert", *self.source("void f() { assert(x); }"), 2)
        self.silent(*self.source("static_assert(sizeof(int) == 4);\nvoid f() { my_assert(x); }"))

    def test_headers_open_no_namespaces(self):
        self.fires("using-namespace", "src/model/a.h", HEADER + "using namespace std;\n", HEADER_LINES + 1)
        self.silent(*self.source("using namespace std::chrono_literals;"))

    def test_nothing_is_ended_by_name(self):
        script = "#!/bin/sh\n# SPDX-License-Identifier: Apache-2.0\n{} java\n"
        for command in ("pkill", "killall"):
            self.fires("kill-by-name", "scripts/run", script.format(command), 3)
        self.silent("scripts/run", script.format('kill "$pid" #'))

    def test_nothing_private_and_no_registry_by_name(self):
        self.fires("private", "docs/a.md", "see /root/notes\n", 1)
        self.fires("private", "docs/a.md", "cd /work/project\n", 1)
        self.fires("private", "docs/a.md", "a\nls /home/me/x\n", 2)
        self.fires("private", "scripts/a.md", "deb http://deb.debian.org/debian x main\n", 1)
        self.silent("docs/a.md", "build/work/x, $HOME/work/x and ./root/x\n")

    def test_scripts_may_be_started(self):
        script = "#!/bin/sh\n# SPDX-License-Identifier: Apache-2.0\n"
        self.fires("executable", "scripts/run", script, 1, unknown=("scripts/run",))
        self.silent("scripts/run", script)
        self.assertEqual(Tree({"a/run.sh.tftpl": script}, unknown=("a/run.sh.tftpl",)).findings(), [])

    # ---- markers

    def test_a_marker_with_a_reason_allows_one_line(self):
        allowed = "double a;  // tidy: allow(no-float): a wrong variant on purpose"
        self.silent(*self.source(allowed))
        self.silent(*self.source("// tidy: allow(no-float): a wrong variant on purpose\ndouble a;"))
        self.fires("no-float", *self.source(allowed + "\ndouble b;"), 3)

    def test_a_marker_without_reason_or_rule_or_use_is_a_finding(self):
        path = "src/model/a.cc"
        for marker in ("allow(no-float)", "allow(no-float): x", "allow(floats): a good long reason"):
            with self.subTest(marker=marker):
                found = Tree({path: SPDX + f"double a;  // tidy: {marker}\n"}).findings()
                self.assertEqual(found, [(path, 2, "marker"), (path, 2, "no-float")])
        found = Tree({path: SPDX + "int a;  // tidy: allow(no-float): a good long reason\n"}).findings()
        self.assertEqual(found, [(path, 2, "marker")])

    # ---- the whole

    def test_every_rule_has_a_case_here(self):
        tested = pathlib.Path(__file__).read_text(encoding="utf-8")
        self.assertEqual([name for name in rules.RULES if f'fires("{name}"' not in tested], [])

    def test_layout_and_shell_are_checked_by_their_tools(self):
        style = "# SPDX-License-Identifier: Apache-2.0\nBasedOnStyle: Google\nColumnLimit: 120\n"
        files = {".clang-format": style, "src/model/a.cc": SPDX + "int  a ;\n",
                 "scripts/run": "#!/bin/sh\n# SPDX-License-Identifier: Apache-2.0\necho $1\n"}
        self.assertEqual(Tree(files).findings(tools=True),
                         [("scripts/run", 3, "shell"), ("src/model/a.cc", 2, "format")])

    def test_the_command_prints_findings_and_ends_with_1(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "src" / "model" / "a.h"
            path.parent.mkdir(parents=True)
            path.write_text(HEADER + "double a;\n", encoding="utf-8")
            command = [sys.executable, "-B", str(pathlib.Path(tidy.__file__)), "--root", folder, "--no-tools"]
            bad = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
            path.write_text(HEADER, encoding="utf-8")
            good = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        self.assertRegex(bad.stdout, rf"^src/model/a\.h:{HEADER_LINES + 1}: no-float: double .* use Micro")
        self.assertEqual((bad.returncode, good.returncode, good.stdout), (1, 0, ""))


if __name__ == "__main__":
    unittest.main()
