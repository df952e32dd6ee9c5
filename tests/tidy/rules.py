# SPDX-License-Identifier: Apache-2.0
"""The rules of style that a machine can check.  Each is a function from a File to findings (line, message)."""

import dataclasses
import functools
import pathlib
import re

import cpp

LINE_COLUMNS_MAX = 120
FUNCTION_LINES_MAX = 100
FILE_LINES_MAX = 600
TODO_KINDS = ("perf", "feature", "docs", "upstream")
LABELS = ("Flow", "Owner", "Time", "Bounds", "See")

CORE = ("model", "decode", "window", "pipeline")
LAYERS = {  # what a layer may include, besides itself
    "model": (),
    "decode": ("model",),
    "window": ("model",),
    "pipeline": ("model", "decode", "window"),
    "adapters": CORE,
    "app": (*CORE, "adapters", "dashboard"),
    "dashboard": CORE,
}
SHARED_ADAPTERS = {"http": (), "aws": ("http", "clock"), "clock": ()}  # the others may use these: http, aws, clock


@dataclasses.dataclass
class File:
    path: pathlib.PurePosixPath  # relative to the root of the tree
    text: str
    tree: "Tree"

    @functools.cached_property
    def lines(self):
        return self.text.split("\n")

    @property
    def suffix(self):
        return self.path.suffix

    @property
    def is_cpp(self):
        return self.suffix in (".h", ".cc")

    @property
    def is_test(self):
        """Not part of the product: benchmarks too."""
        return self.path.stem.endswith(("_test", "_bench")) or self.path.parts[0] != "src"

    @property
    def layer(self):
        """"model", "adapters" and so on; None outside of src/."""
        return self.path.parts[1] if self.path.parts[0] == "src" and len(self.path.parts) > 2 else None

    @property
    def is_core(self):
        return self.layer in CORE and not self.is_test

    @property
    def is_about_rules(self):
        """The style test itself contains what it looks for."""
        return self.path.parts[:2] == ("tests", "tidy")

    @property
    def is_script(self):
        return self.suffix in (".py", ".sh") or self.lines[0].startswith("#!")

    @functools.cached_property
    def code(self):
        return cpp.code_only(self.text)

    @functools.cached_property
    def comments(self):
        return cpp.comments_only(self.text) if self.is_cpp else self.text


@dataclasses.dataclass
class Tree:
    """What rules that look beyond one file need."""

    cmake: dict  # path -> text of each CMakeLists.txt and *.cmake
    executable: frozenset = frozenset()  # paths that can be started as they are


RULES = {}


def rule(name):
    def register(function):
        RULES[name] = function
        return function

    return register


def _matches(text, pattern):
    for match in re.finditer(pattern, text):
        yield cpp.line_of(text, match.start()), match


# ---- where things may be


def _include_problem(file, target):
    """Why `file` may not include `target`, or None."""
    folder = target.split("/")[0]
    if folder == "fakes":
        return None if file.is_test else "product code includes a fake (fakes are for tests)"
    if folder not in LAYERS:
        return None
    if folder != file.layer:
        if folder in LAYERS[file.layer]:
            return None
        allowed = ", ".join((file.layer, *LAYERS[file.layer]))
        return f"{file.layer} may include only {allowed}: move the code, or let the caller hand the value in"
    if folder != "adapters":
        return None
    own, other = file.path.parts[2], target.split("/")[1]
    if own == other or other in SHARED_ADAPTERS.get(own, SHARED_ADAPTERS):
        return None
    return f"adapter {own} includes adapter {other}: adapters meet only in src/app, through pipeline/ports.h"


@rule("layer")
def layer(file):
    if not file.is_cpp or file.layer not in LAYERS:
        return
    for line, match in _matches(file.text, r'(?m)^#include "([^"]+)"'):
        problem = _include_problem(file, match.group(1))
        if problem:
            yield line, f"{match.group(1)}: {problem}"


@rule("pure-core")
def pure_core(file):
    """No I/O, clock, thread, log, environment in model, decode, window, pipeline."""
    if not file.is_cpp or not file.is_core:
        return
    headers = (r"thread|mutex|shared_mutex|condition_variable|future|stop_token|iostream|fstream|ostream|istream|"
               r"filesystem|cstdio|unistd\.h|fcntl\.h|sys/[^>]+|netinet/[^>]+|librdkafka/[^>]+|openssl/[^>]+|"
               r"sqlite3\.h|spdlog/[^>]+|boost/(?:asio|beast)[^>]*")
    for line, match in _matches(file.text, rf"(?m)^#include <({headers})>"):
        yield line, f"<{match.group(1)}> in the core: hand the value in, or put the code into an adapter"
    calls = (r"std::c(?:out|err|log)\b|\b(?:printf|fprintf|puts|fopen|getenv|secure_getenv|usleep|nanosleep)\s*\(|"
             r"\bsleep_(?:for|until)\b|\bsteady_clock::now\b|\brandom_device\b|\bstd::(?:jthread|thread|mutex|async)\b")
    for line, match in _matches(file.code, calls):
        yield line, f"{match.group(0).strip('( ')} in the core: hand the value in, or put the code into an adapter"


@rule("wall-clock")
def wall_clock(file):
    if not file.is_cpp or file.is_test or file.path.parts[:3] == ("src", "adapters", "clock"):
        return
    calls = r"\bsystem_clock::now\b|\bgettimeofday\s*\(|\btime\s*\(\s*(?:nullptr|NULL|0)\s*\)|\bCLOCK_REALTIME\b"
    for line, match in _matches(file.code, calls):
        yield line, f"{match.group(0)} outside of adapters/clock: take a Clock, so that a test can set the time"


@rule("resolver")
def resolver(file):
    """A static program must not load the machine's name service modules."""
    if not file.is_cpp or file.is_test or file.layer != "adapters" or file.path.parts[2] in ("kafka", "sqlite"):
        return
    calls = r"\b(?:getaddrinfo|gethostbyname\w*|getnameinfo)\s*\(|\b(?:tcp|udp)::resolver\b"
    for line, match in _matches(file.code, calls):
        yield line, f"{match.group(0).strip('( ')} ends a static program on other systems: use adapters/http/resolver.h"


@rule("no-float")
def no_float(file):
    if not file.is_cpp or file.is_test or file.layer not in ("model", "window", "pipeline"):
        return
    for line, match in _matches(file.code, r"\b(?:float|double)\b"):
        yield line, f"{match.group(0)} where sums must be exact: use Micro and integers"


def _named_by_loop(name, text):
    """foreach(part a b) .. ${part}_test.cc names a_test.cc and b_test.cc."""
    for before, after in re.findall(r"([\w-]*)\$\{\w+\}([\w-]*\.cc)\b", text):
        match = re.fullmatch(re.escape(before) + r"(\w+)" + re.escape(after), name)
        if match and re.search(rf"(?<![\w.]){match.group(1)}(?![\w.])", text):
            return True
    return False


@rule("cmake")
def cmake(file):
    """A source that CMake does not know is never compiled, so it rots."""
    if file.suffix != ".cc" or file.path.parts[0] not in ("src", "tests", "bench", "fuzz"):
        return
    word = re.compile(rf"(?<![\w.-]){re.escape(file.path.name)}(?![\w.-])")
    texts = [file.tree.cmake.get(str(folder / "CMakeLists.txt"), "") for folder in file.path.parents]
    if (not any(word.search(text) or _named_by_loop(file.path.name, text) for text in texts) and
            not any(str(file.path) in text for text in file.tree.cmake.values())):
        yield 1, f"no CMakeLists.txt at or above {file.path.parent} names {file.path.name}: add it or remove the file"


# ---- how much


@rule("line-length")
def line_length(file):
    if not (file.is_cpp or file.is_script):
        return
    for number, line in enumerate(file.lines, 1):
        if len(line) > LINE_COLUMNS_MAX:
            yield number, f"{len(line)} columns, at most {LINE_COLUMNS_MAX}: break the line"


@rule("function-length")
def function_length(file):
    if file.is_cpp:
        for first, last, name in cpp.functions(file.code):
            if last - first + 1 > FUNCTION_LINES_MAX:
                yield first, (f"{name} has {last - first + 1} lines, at most {FUNCTION_LINES_MAX} (aim below 60): "
                              "give its parts names")


@rule("file-length")
def file_length(file):
    count = len(file.lines) - 1
    if (file.is_cpp or file.is_script) and count > FILE_LINES_MAX:
        yield count, f"{count} lines, at most {FILE_LINES_MAX}: split the file by what it is about"


# ---- what a file must have


@rule("spdx")
def spdx(file):
    if not (file.is_cpp or file.is_script or file.path.name in ("CMakeLists.txt", "Makefile") or
            file.suffix in (".cmake", ".sql", ".tf", ".mk")):
        return
    first = 1 if file.lines[0].startswith("#!") and len(file.lines) > 1 else 0
    if not re.fullmatch(r"(?://|#|--) SPDX-License-Identifier: Apache-2\.0", file.lines[first]):
        yield first + 1, "the licence line is missing: `SPDX-License-Identifier: Apache-2.0` in a comment of its own"


@rule("executable")
def executable(file):
    """What names its interpreter is meant to be started by its name: documents do so."""
    if file.lines[0].startswith("#!") and file.suffix != ".tftpl" and file.path not in file.tree.executable:
        yield 1, f"begins with #!, but may not be started: chmod +x {file.path}, or remove the line"


@rule("header-comment")
def header_comment(file):
    if file.suffix != ".h" or file.layer is None:
        return
    lines = []
    for line in file.lines:
        if not line.startswith("//"):
            break
        lines.append(line)
    labels = [match.group(1) for match in (re.match(r"// ([A-Z]\w*)  +\S", line) for line in lines) if match]
    labels = [label for label in labels if label in LABELS]
    if tuple(labels) != LABELS:
        missing = [label for label in LABELS if label not in labels]
        what = f"without {', '.join(missing)}" if missing else "not in this order: " + ", ".join(LABELS)
        yield 1, f"header comment {what}: five labelled lines say what the signatures cannot"


@rule("pragma-once")
def pragma_once(file):
    if file.suffix == ".h" and "#pragma once" not in file.lines:
        yield 1, "no `#pragma once`"


@rule("whitespace")
def whitespace(file):
    if "vendor" in file.path.parts:  # kept as its authors made it
        return
    tabs_allowed = file.path.name == "Makefile" or file.suffix in (".mk", ".go", ".tsv", ".mod", ".sum")
    for number, line in enumerate(file.lines, 1):
        if "\t" in line and not tabs_allowed:
            yield number, "a tab: use spaces (in a string: \\t)"
        if line.endswith("\r"):
            yield number, "a carriage return: lines end with a line feed alone"
        elif line.endswith((" ", "\t")) and file.suffix != ".md":
            yield number, "space at the end of the line"
    if file.text and not file.text.endswith("\n"):
        yield len(file.lines), "no line end at the end of the file"
    elif file.text.endswith("\n\n"):
        yield len(file.lines) - 1, "empty lines at the end of the file"


# ---- what a file must not have


@rule("todo")
def todo(file):
    if not (file.is_cpp or file.is_script or file.path.name == "CMakeLists.txt") or file.is_about_rules:
        return
    for line, match in _matches(file.comments, r"\b(TODO|FIXME|XXX|HACK)\b(?:\((\w*)\))?"):
        if match.group(1) != "TODO" or match.group(2) not in TODO_KINDS:
            yield line, f"{match.group(0)} without a kind: TODO({'|'.join(TODO_KINDS)}), or do it"


@rule("silent-catch")
def silent_catch(file):
    if file.suffix == ".py":
        for line, _ in _matches(file.text, r"(?m)^[ \t]*except\s*:"):
            yield line, "catches everything, also KeyboardInterrupt: name the exception"
        for line, _ in _matches(file.text, r"(?m)^[ \t]*except\b[^\n]*:\s*(?:#[^\n]*)?\n?[ \t]*pass\b"):
            yield line, "an exception disappears: handle it, or say with contextlib.suppress and a comment why not"
    if not file.is_cpp:
        return
    for line, match in _matches(file.code, r"\bcatch\s*\("):
        closing = cpp.matching(file.code, match.end() - 1, "(", ")")
        opening = file.code.find("{", closing)
        end = cpp.matching(file.code, opening)
        named = "..." not in file.code[match.end():closing]
        said = named and file.comments[opening:end].strip()  # why this one may be dropped
        if not file.code[opening + 1:end].strip() and not said:
            yield line, "an exception disappears: turn it into a Result, let it pass, or say in the block why it may go"


@rule("assert")
def bare_assert(file):
    if file.is_cpp and file.path.parts[0] == "src":
        for line, _ in _matches(file.code, r"(?<![\w.])assert\s*\("):
            yield line, "assert() is absent from release builds: CULVERT_CHECK"


@rule("using-namespace")
def using_namespace(file):
    if file.suffix == ".h":
        for line, _ in _matches(file.code, r"\busing\s+namespace\b"):
            yield line, "a header must not open a namespace for its readers: name what is used"


@rule("kill-by-name")
def kill_by_name(file):
    if (file.is_script or file.is_cpp or file.path.name == "Makefile") and not file.is_about_rules:
        for line, match in _matches(file.text, r"\b(?:pkill|killall)\b"):
            yield line, f"{match.group(0)} ends other people's processes too: end your own by its process id"


_PRIVATE_PATHS = r"/work/|/root/|/home/[a-z]"
_REGISTRIES = (r"deb\.debian\.org|snapshot\.debian\.org|repo1?\.maven\.(?:apache\.)?org|pypi\.org|"
               r"files\.pythonhosted\.org|registry\.npmjs\.org|registry\.terraform\.io|crates\.io|proxy\.golang\.org")


@rule("private")
def private(file):
    if file.is_about_rules:
        return
    for line, match in _matches(file.text, rf"(?<![\w.}}$)-])(?:{_PRIVATE_PATHS})"):
        yield line, f"{match.group(0)}..: a path of one machine: make it relative, or take it from the environment"
    for line, match in _matches(file.text, rf"\b(?:{_REGISTRIES})"):
        yield line, f"{match.group(0)}: a registry by host name: use its client's own configuration"
