# SPDX-License-Identifier: Apache-2.0
"""The Debian package: made, judged by lintian, installed into an empty root, and each of its parts used."""
import gzip
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from culvert_test.runner import CulvertTest, main

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
HERE = ROOT / "tests" / "packaging"
BUILD = pathlib.Path(os.environ["CULVERT_BUILD"])


def run(*command, expect=0, timeout=400, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=timeout, check=False,
                          errors="replace", **options)
    if expect is not None and done.returncode != expect:
        raise AssertionError(f"{command}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


class Package(CulvertTest):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.mkdtemp(prefix="culvert-package-")
        cls.addClassCleanup(shutil.rmtree, folder)
        cls.folder = pathlib.Path(folder)
        made = run(ROOT / "scripts" / "package-deb", BUILD, cls.folder)
        cls.deb = pathlib.Path(made.stdout.strip())
        # An empty root, with a package database of its own: what the package needs is looked at below.
        cls.root = cls.folder / "root"
        for name in ("updates", "info"):
            (cls.root / "var/lib/dpkg" / name).mkdir(parents=True)
        (cls.root / "var/lib/dpkg/status").touch()
        cls.dpkg("-i", cls.deb)
        cls.program = cls.root / "usr/bin/culvert"
        cls.share = cls.root / "usr/share"

    @classmethod
    def dpkg(cls, *arguments):
        log = cls.folder / "dpkg.log"
        return run("dpkg", f"--root={cls.root}", "--force-not-root,depends", f"--log={log}", *arguments)

    def commands(self):
        """Every command, as the help names it."""
        shown = run(self.program, "--help").stdout
        found = re.findall(r"^  ([a-z-]+(?: [a-z-]+)?)  ", shown.split("\nrun\n", 1)[1], re.M)
        self.assertIn("consume", found)
        self.assertNotIn("generate", found)
        return found

    # ---- the package as a whole

    def test_lintian_has_nothing_to_say(self):
        done = run("lintian", "--allow-root", "--fail-on", "error,warning,info", self.deb, expect=None)
        self.assertEqual((done.returncode, done.stdout), (0, ""), done.stderr)

    def test_same_sources_make_the_same_bytes(self):
        again = run(ROOT / "scripts" / "package-deb", BUILD, self.folder / "again")
        self.assertEqual(pathlib.Path(again.stdout.strip()).read_bytes(), self.deb.read_bytes())

    def test_program_runs_and_every_library_it_needs_is_in_its_dependencies(self):
        self.assertRegex(run(self.program, "version").stdout, r"^culvert +\d")
        fields = run("dpkg-deb", "-f", self.deb, "Depends").stdout
        named = {word.split()[0] for word in fields.split(",")}
        needed = re.findall(r"\(NEEDED\).*\[(.*)\]", run("readelf", "-d", self.program).stdout)
        self.assertGreater(len(needed), 3)
        resolved = dict(re.findall(r"^\s*(\S+) => (\S+)", run("ldd", self.program).stdout, re.M))
        # /usr/lib and /lib are one; the database may know either.  The loader comes with the C library.
        paths = [resolved[library].removeprefix("/usr") for library in needed if not library.startswith("ld-linux")]
        owners = run("dpkg-query", "-S", *[f"*{path}" for path in paths]).stdout.splitlines()
        for path in paths:
            self.assertTrue({line.split(":")[0] for line in owners if line.endswith(path)} & named, f"{path}: {owners}")

    def test_database_agrees_and_removal_leaves_nothing(self):
        self.assertEqual(self.dpkg("-V", "culvert").stdout, "")
        other = self.folder / "other"
        shutil.copytree(self.root, other, symlinks=True)
        run("dpkg", f"--root={other}", "--force-not-root,depends", f"--log={self.folder}/dpkg.log", "-P", "culvert")
        self.assertEqual([p for p in other.rglob("*") if not p.is_dir() and "var/lib/dpkg" not in str(p)], [])

    # ---- its parts

    def test_every_command_has_a_manual_page_that_says_what_its_help_says(self):
        pages = self.share / "man/man1"
        wanted = {"culvert.1.gz"} | {f"culvert-{name.replace(' ', '-')}.1.gz" for name in self.commands()}
        self.assertEqual({page.name for page in pages.iterdir()}, wanted)
        for name in self.commands():
            page = pages / f"culvert-{name.replace(' ', '-')}.1.gz"
            text = run("man", "--local-file", "--encoding=utf8", page, env={**os.environ, "MANWIDTH": "120"}).stdout
            shown = run(self.program, *name.split(), "--help").stdout
            for option in set(re.findall(r"^ +(?:-\w, )?(--[a-z-]+)", shown, re.M)):
                self.assertRegex(text, rf"{option}\b", f"{name}: {option}")
            for example in re.findall(r"^  (culvert .*)", shown.replace(" \\\n", ""), re.M):
                self.assertIn(" ".join(example.split()), " ".join(text.split()))

    def test_manual_pages_render_without_a_warning(self):
        for page in (self.share / "man/man1").iterdir():
            done = run("man", "--warnings=all", "--local-file", "--encoding=utf8", page,
                       env={**os.environ, "MANWIDTH": "80"})
            self.assertEqual(done.stderr, "", page.name)
            plain = self.directory / page.stem
            plain.write_bytes(gzip.decompress(page.read_bytes()))
            lint = run("mandoc", "-T", "lint", "-W", "warning", plain, expect=None).stdout
            # Pages carry no date, so that the same sources make the same bytes.
            self.assertEqual([line for line in lint.splitlines() if "missing date" not in line], [])

    def test_bash_completes(self):
        script = self.share / "bash-completion/completions/culvert"
        self.assertEqual(run("shellcheck", "-s", "bash", script).stdout, "")

        def offered(line):
            return run("bash", "--norc", HERE / "bash_complete.bash", script, line, cwd=self.directory).stdout.split()

        (self.directory / "windows.db").touch()
        self.assertLessEqual({name.split()[0] for name in self.commands()}, set(offered("culvert ")))
        self.assertEqual(offered("culvert consu"), ["consume"])
        self.assertEqual(offered("culvert consume --flush-"), ["--flush-interval"])
        self.assertEqual(offered("culvert consume --emit "), ["early", "final"])
        self.assertIn("list", offered("culvert dead-letters "))
        self.assertEqual(offered("culvert dead-letters list --form"), ["--format"])
        self.assertEqual(offered("culvert query --table sqli"), ["sqlite:"])
        self.assertEqual(offered("culvert query --table sqlite:wind"), ["windows.db"])
        self.assertEqual(offered("culvert query --config wind"), ["windows.db"])

    def test_zsh_completes(self):
        folder = self.share / "zsh/vendor-completions"
        (self.directory / "windows.db").touch()
        for line, wanted in (("culvert ", "consume"), ("culvert consume --flush-", "--flush-interval"),
                             ("culvert consume --emit ", "early"), ("culvert dead-letters list --form", "--format"),
                             ("culvert query --table sqli", "sqlite:"),
                             ("culvert query --table sqlite:wind", "windows.db")):
            with self.subTest(line):
                shown = run("zsh", "-f", HERE / "zsh_complete.zsh", folder, line, cwd=self.directory).stdout
                self.assertIn(wanted, [text.strip() for text in shown.splitlines()], shown)
                self.assertNotIn("not found", shown)

    def test_fish_completes(self):
        script = self.share / "fish/vendor_completions.d/culvert.fish"
        (self.directory / "windows.db").touch()

        def offered(line):
            done = run("fish", "-N", "-c", f"source {script}; complete -C '{line}'", cwd=self.directory,
                       env={**os.environ, "HOME": str(self.directory)})
            self.assertEqual(done.stderr, "")
            return [text.split("\t")[0] for text in done.stdout.splitlines()]

        self.assertLessEqual({name.split()[0] for name in self.commands()}, set(offered("culvert ")))
        self.assertEqual(offered("culvert consume --flush-"), ["--flush-interval"])
        self.assertEqual(offered("culvert consume --emit "), ["early", "final"])
        self.assertEqual(offered("culvert dead-letters list --form"), ["--format"])
        self.assertEqual(offered("culvert query --table sqli"), ["sqlite:"])
        self.assertEqual(offered("culvert query --table sqlite:wind"), ["sqlite:windows.db"])

    def test_unit_is_sound_and_confined(self):
        unit = self.directory / "culvert-consume@.service"
        text = (self.root / "lib/systemd/system/culvert-consume@.service").read_text(encoding="utf-8")
        # The program and its pages are not installed in this machine's own root.
        self.assertEqual(text.count("ExecStart=culvert "), 1)
        text = re.sub(r"^Documentation=.*\n", "", text, flags=re.M)
        unit.write_text(text.replace("ExecStart=culvert ", f"ExecStart={self.program} "), encoding="utf-8")
        done = run("systemd-analyze", "verify", "--man=no", unit, expect=None)
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))
        run("systemd-analyze", "security", "--offline=yes", "--threshold=20", unit)  # 2.0 of 10
        shown = run(self.program, "consume", "--help").stdout
        restarts = re.search(r"^RestartPreventExitStatus=(.*)$", text, re.M)[1].split()
        for code in restarts:
            self.assertRegex(shown, rf"(?m)^  {code} ", "a code that consume does not have")

    def test_alerts_and_dashboard_speak_of_metrics_that_there_are(self):
        rules = self.share / "culvert/prometheus/culvert.rules.yml"
        self.assertIn("SUCCESS", run("promtool", "check", "rules", rules).stdout)
        dashboard = (self.share / "culvert/grafana/culvert.json").read_text(encoding="utf-8")
        self.assertGreater(len(json.loads(dashboard)["panels"]), 3)
        described = (self.share / "doc/culvert/operating.md.gz")
        metrics = gzip.decompress(described.read_bytes()).decode()
        for name in set(re.findall(r"\b(?:culvert|kafka)_[a-z_]+", rules.read_text(encoding="utf-8") + dashboard)):
            self.assertIn(re.sub("_(bucket|sum|count)$", "", name), metrics)

    def test_example_configuration_is_read(self):
        example = self.share / "doc/culvert/examples/culvert.toml"
        text = example.read_text(encoding="utf-8")
        shown = run(self.program, "consume", "--help").stdout
        options = set(re.findall(r"^ +(?:-\w, )?--([a-z-]+)", shown, re.M)) - {"config", "help"}
        self.assertEqual(set(re.findall(r"^(?:# )?([a-z-]+) = ", text.split("[kafka]")[0], re.M)), options)
        # Read without a complaint, up to a table whose folder is not there.
        done = self.culvert("consume", "--config", example, "--table", "sqlite:missing/windows.db", expect=74)
        self.assertIn("missing/windows.db", done.stderr)
        for_all = self.directory / "all.toml"
        for_all.write_text(re.sub(r'^# ([a-z-]+ = "?(?:[0-9][a-zA-Z0-9]*|early|false|earliest)"?)$', r"\1", text,
                                  flags=re.M), encoding="utf-8")
        self.assertGreater(len(re.findall(r"^[a-z]", for_all.read_text(encoding="utf-8"), re.M)), 12)
        self.culvert("consume", "--config", for_all, "--table", "sqlite:missing/windows.db", expect=74)


if __name__ == "__main__":
    main()
