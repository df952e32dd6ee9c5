# SPDX-License-Identifier: Apache-2.0
"""Help, options, configuration and exit codes of the culvert program, as a user meets them."""

import json
import os
import pty
import re
import select
import subprocess
import tempfile
import unittest
from pathlib import Path

CULVERT = os.environ.get("CULVERT_BIN", "build/dev/culvert")


def run(*arguments, environment=None, **options):
    """The finished process; its environment is small and known."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "ASAN_OPTIONS") if name in os.environ}
    return subprocess.run([CULVERT, *arguments], capture_output=True, text=True, timeout=30,
                          env={**inherited, **(environment or {})}, **options)


def run_on_terminal(*arguments, environment=None):
    """Everything the process writes to a pseudo terminal, and its exit code."""
    leader, follower = pty.openpty()
    process = subprocess.Popen([CULVERT, *arguments], stdin=follower, stdout=follower, stderr=follower,
                               env={"TERM": "xterm", **(environment or {})})
    os.close(follower)
    output = b""
    try:
        while select.select([leader], [], [], 30)[0]:
            try:
                part = os.read(leader, 65536)
            except OSError:  # the other side is closed
                break
            if not part:
                break
            output += part
        return output.decode(), process.wait(timeout=30)
    finally:
        process.kill()
        process.wait()
        os.close(leader)


def commands():
    """The names of all commands, read from `culvert --help`."""
    text = run("--help").stdout
    listed = text.split("\nrun\n")[1] if "\nrun\n" in text else text.split("\ncheck\n")[1]
    return re.findall(r"^  ([a-z-]+(?: [a-z-]+)?)  ", listed, re.MULTILINE)


class Help(unittest.TestCase):
    def test_program_help_groups_commands(self):
        result = run("--help")
        self.assertEqual(result.returncode, 0)
        self.assertEqual(result.stderr, "")
        self.assertRegex(result.stdout, r"(?m)^check\n(  .*\n)*  version  ")

    def test_no_command_is_a_usage_error_with_help(self):
        result = run()
        self.assertEqual(result.returncode, 64)
        self.assertIn("Usage: culvert COMMAND", result.stderr)
        self.assertEqual(result.stdout, "")

    def test_every_command_explains_itself(self):
        self.assertIn("version", commands())
        for name in commands():
            with self.subTest(command=name):
                result = run(*name.split(), "--help")
                self.assertEqual(result.returncode, 0, result.stderr)
                self.assertEqual(result.stderr, "")
                self.assertIn(f"Usage: culvert {name}", result.stdout)
                for part in ("\nExamples\n", f"\n  culvert {name}", "\nExit codes\n", "--config FILE", "  64 "):
                    self.assertIn(part, result.stdout)
                self.assertEqual([line for line in result.stdout.splitlines() if len(line) > 120], [])
                self.assertEqual(run("help", *name.split()).stdout, result.stdout)

    def test_help_wins_over_everything_else_that_is_wrong(self):
        self.assertEqual(run("version", "--nonsense", "--help").returncode, 0)

    def test_no_colour_unless_on_a_terminal(self):
        for name in commands():
            self.assertNotIn("\x1b", run(*name.split(), "--help").stdout)


class Usage(unittest.TestCase):
    def test_unknown_command_has_a_near_word(self):
        result = run("verzion")
        self.assertEqual(result.returncode, 64)
        self.assertIn("unknown command 'verzion' (did you mean 'version'?)", result.stderr)

    def test_unknown_flag_has_a_near_word_in_every_command(self):
        for name in commands():
            with self.subTest(command=name):
                result = run(*name.split(), "--log-leve", "debug")
                self.assertEqual(result.returncode, 64)
                self.assertIn("unknown option '--log-leve' (did you mean '--log-level'?)", result.stderr)
                self.assertIn(f"see culvert {name} --help", result.stderr)
                self.assertEqual(result.stdout, "")

    def test_bad_values_name_option_and_choices(self):
        result = run("version", "--format", "jsn")
        self.assertEqual(result.returncode, 64)
        self.assertIn("--format: 'jsn' is not one of text, json (did you mean 'json'?)", result.stderr)

    def test_stray_arguments_and_missing_values(self):
        self.assertEqual(run("version", "stray").returncode, 64)
        result = run("version", "--format")
        self.assertEqual(result.returncode, 64)
        self.assertIn("'--format' needs a value", result.stderr)

    def test_all_that_is_missing_is_said_at_once(self):
        result = run("consume", "-t", "readings")
        self.assertEqual(result.returncode, 64)
        self.assertIn("missing: -b, --bootstrap-server HOST:PORT,..; -G, --group GROUP; --table ", result.stderr)

    def test_addresses_and_tables_that_cannot_be(self):
        for brokers, said in (("localhost:abc", "has the port 'abc'"), ("a:1,b:70000", "has the port '70000'"),
                              ("a:1,,b:2", "names no host")):
            result = run("tail", "-b", brokers, "-t", "readings")
            self.assertEqual(result.returncode, 64)
            self.assertIn(said, result.stderr)
        result = run("query", "--table", "windows.db")
        self.assertEqual(result.returncode, 64)
        self.assertIn("(did you mean sqlite:windows.db?)", result.stderr)

    def test_kafka_properties_that_culvert_owns_leave_no_table_behind(self):
        for setting, reason in (("partition.assignment.strategy=cooperative-sticky", "cooperative rebalancing"),
                                ("group.protocol=consumer", "`classic` only"), ("no.such.property=1", "is unknown")):
            with self.subTest(setting), tempfile.TemporaryDirectory() as directory:
                result = run("consume", "-b", "localhost:1", "-t", "readings", "-G", "windows", "--table",
                             f"sqlite:{directory}/windows.db", "-X", setting)
                self.assertEqual(result.returncode, 78, result.stderr)
                self.assertIn(reason, result.stderr)
                self.assertEqual(os.listdir(directory), [])

    def test_first_word_of_several_commands(self):
        result = run("dead-letters", "--help")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertEqual(len(re.findall(r"(?m)^  culvert dead-letters (list|redrive) ", result.stdout)), 2)
        result = run("dead-letters", "lst")
        self.assertEqual((result.returncode, result.stdout), (64, ""))
        self.assertIn("unknown command 'dead-letters lst' (did you mean 'list'?)", result.stderr)

    def test_option_before_the_command(self):
        result = run("--log-level", "debug", "version")
        self.assertEqual(result.returncode, 64)
        self.assertIn("before a command", result.stderr)


class Version(unittest.TestCase):
    def test_text_and_json_say_the_same(self):
        parts = json.loads(run("version", "--format", "json").stdout)
        self.assertRegex(parts["culvert"], r"^\d+\.\d+\.\d+$")
        for name in ("librdkafka", "sqlite", "openssl", "build", "compiler"):
            self.assertTrue(parts[name], name)
        text = run("--version").stdout
        for name, value in parts.items():
            self.assertRegex(text, rf"(?m)^{re.escape(name)} +{re.escape(value)}$")


class Precedence(unittest.TestCase):
    """defaults < file < environment < flags, seen through `version --format`."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def file(self, text):
        path = self.folder / "culvert.toml"
        path.write_text(text)
        return str(path)

    def is_json(self, *arguments, environment=None):
        result = run("version", *arguments, environment=environment)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout.startswith("{")

    def test_each_source_wins_over_the_one_before(self):
        json_file = self.file('[version]\nformat = "json"\n')
        self.assertFalse(self.is_json())
        self.assertTrue(self.is_json("--config", json_file))
        text = {"CULVERT_VERSION__FORMAT": "text"}
        self.assertFalse(self.is_json("--config", json_file, environment=text))
        self.assertTrue(self.is_json("--config", json_file, "--format", "json", environment=text))

    def test_config_named_by_the_environment(self):
        path = self.file('[common]\nformat = "json"\n')
        self.assertTrue(self.is_json(environment={"CULVERT_COMMON__CONFIG": path}))

    def test_mistakes_in_files_name_file_line_and_near_word(self):
        path = self.file('[version]\n\nfromat = "json"\n')
        result = run("version", "--config", path)
        self.assertEqual(result.returncode, 78)
        self.assertIn(f"{path}: line 3: fromat: unknown key 'fromat' in [version] (did you mean 'format'?)",
                      result.stderr)
        result = run("version", "--config", self.file("[versoin]\n"))
        self.assertEqual(result.returncode, 78)
        self.assertIn("unknown section [versoin] (did you mean 'version'?)", result.stderr)
        result = run("version", "--config", self.file("[version]\nformat = [\n"))
        self.assertEqual(result.returncode, 78)
        result = run("version", "--config", str(self.folder / "absent.toml"))
        self.assertEqual(result.returncode, 78)
        self.assertIn("absent.toml: cannot be read", result.stderr)

    def test_mistakes_in_the_environment(self):
        result = run("version", environment={"CULVERT_VERSION__FROMAT": "json"})
        self.assertEqual(result.returncode, 78)
        self.assertIn("CULVERT_VERSION__FROMAT: unknown key 'fromat'", result.stderr)
        result = run("version", environment={"CULVERT_VERSION__FORMAT": "xml"})
        self.assertEqual(result.returncode, 78)


class Streams(unittest.TestCase):
    def test_a_full_disk_is_an_io_error(self):
        with open("/dev/full", "w") as full:
            result = subprocess.run([CULVERT, "version"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=30)
        self.assertEqual(result.returncode, 74)
        self.assertIn("stdout: cannot be written: No space left on device", result.stderr)

    def test_a_reader_that_went_away_is_no_message(self):
        reader, writer = os.pipe()
        os.close(reader)
        process = subprocess.run([CULVERT, "version"], stdout=writer, stderr=subprocess.PIPE, timeout=30)
        os.close(writer)
        self.assertEqual(process.returncode, 128 + 13)
        self.assertEqual(process.stderr, b"")

    def test_errors_are_text_on_a_terminal_and_json_elsewhere(self):
        with open("/dev/full", "w") as full:
            line = subprocess.run([CULVERT, "version"], stdout=full, stderr=subprocess.PIPE, text=True,
                                  timeout=30).stderr
        self.assertEqual(json.loads(line)["level"], "error")
        output, code = run_on_terminal("version")
        self.assertEqual(code, 0)
        self.assertIn("culvert", output)


if __name__ == "__main__":
    unittest.main()
