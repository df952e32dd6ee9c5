# SPDX-License-Identifier: Apache-2.0
"""Servers made of jars: fetched once by scripts/fetch-part, started fast.

A JVM spends most of its start loading classes.  The first graceful stop of a part writes an archive of the classes it
used (class data sharing) into the cache; later starts map that: Kafka is ready in about half the time.
"""

import functools
import hashlib
import os
import pathlib
import subprocess
import tempfile
import zipfile

from .workspace import REPOSITORY, SupportError, cache_directory, workspace

FETCH_SECONDS = 900


@functools.lru_cache(maxsize=None)
def part_directory(part):
    """The directory with the part's jars; fetches them if they are not in the cache."""
    script = REPOSITORY / "scripts" / "fetch-part"
    done = subprocess.run([script, part], capture_output=True, text=True, timeout=FETCH_SECONDS, check=False)
    if done.returncode != 0:
        raise SupportError(f"{script} {part} failed with exit code {done.returncode}:\n{done.stderr}")
    return pathlib.Path(done.stdout.splitlines()[-1])


@functools.lru_cache(maxsize=None)
def _java_version():
    try:
        return subprocess.run(["java", "-version"], capture_output=True, text=True, check=True, timeout=30).stderr
    except (OSError, subprocess.SubprocessError) as error:
        raise SupportError(f"java does not run (scripts/install-deps test installs it): {error}") from error


class JarPart:
    """How to start a main class of a part."""

    def __init__(self, part):
        self.directory = part_directory(part)
        self.jars = sorted(self.directory.glob("*.jar"))
        # The JVM refuses an archive made with another JVM, other jars or other times of theirs.
        identity = _java_version() + "".join(f"{jar} {jar.stat().st_mtime_ns}\n" for jar in self.jars)
        self._key = hashlib.sha256(identity.encode()).hexdigest()[:12]

    def cache_file(self, kind, *inputs):
        """A name in the cache for something derived from this part and `inputs`."""
        key = hashlib.sha256("\0".join([self._key, *inputs]).encode()).hexdigest()[:12]
        return cache_directory() / "parts" / f"{self.directory.name}.{key}.{kind}"

    def command(self, main_class, arguments, heap_mb, properties=None, quick=True, archive=None, further_jars=()):
        """quick: only the quick compiler, right for short functional tests, wrong for measuring throughput.
        further_jars: behind the part's own."""
        options = [f"-Xmx{heap_mb}m", "-Xms64m", "-XX:+UseSerialGC", "-XX:-UsePerfData"]
        if quick:
            options.append("-XX:TieredStopAtLevel=1")
        if archive is not None:
            options += archive.options()
        options += [f"-D{name}={value}" for name, value in (properties or {}).items()]
        classpath = os.pathsep.join(str(jar) for jar in (*self.jars, *further_jars))
        return ["java", *options, "-cp", classpath, main_class, *map(str, arguments)]


class ClassArchive:
    """The class archive of one main class: mapped if it exists, otherwise recorded by the first who start it."""

    def __init__(self, part, main_class, record=True):
        self._path = part.cache_file("jsa", main_class)
        self._may_record = record
        self._recording = None

    @property
    def recording(self):
        """The process started with these options writes the archive at its end: stop it gracefully, then keep()."""
        return self._recording is not None

    def options(self):
        quiet = ["-Xlog:cds=off", "-Xlog:cds+dynamic=off", "-Xlog:class+path=off"]
        if self._path.exists():
            return [f"-XX:SharedArchiveFile={self._path}", *quiet]
        if self._recording is None and self._may_record:
            self._recording = self._path.with_suffix(f".{os.getpid()}.tmp")
            return [f"-XX:ArchiveClassesAtExit={self._recording}", *quiet]
        return []

    def keep(self):
        """After the end of the recording process.  One that was killed has written nothing: then nothing happens."""
        if self._recording is not None and self._recording.exists():
            self._recording.rename(self._path)
        self._recording = None


def compiled_jar(source, part):
    """A jar of one Java source file, compiled against a part; kept in the cache.  Needs no JDK, only a runtime."""
    target = part.cache_file("jar", source.name, source.read_text(encoding="utf-8"))
    if target.exists():
        return target
    compiler = JarPart("java-compiler")
    with tempfile.TemporaryDirectory(dir=workspace().root) as scratch:
        classpath = os.pathsep.join(map(str, part.jars))
        done = subprocess.run(["java", "-jar", compiler.jars[0], "-17", "-proc:none", "-cp", classpath, "-d", scratch,
                               source], capture_output=True, text=True, timeout=120, check=False)
        if done.returncode != 0:
            raise SupportError(f"{source} does not compile:\n{done.stdout}{done.stderr}")
        temporary = target.with_suffix(f".{os.getpid()}.tmp")
        with zipfile.ZipFile(temporary, "w") as jar:
            for path in sorted(pathlib.Path(scratch).rglob("*.class")):
                jar.write(path, path.relative_to(scratch))
        temporary.rename(target)
    return target
