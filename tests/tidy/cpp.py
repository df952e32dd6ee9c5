# SPDX-License-Identifier: Apache-2.0
"""Just enough of C++ for style rules: text without comments and strings, and where functions begin and end."""

import re

_TOKEN = re.compile(
    r"""(?P<comment>//(?:[^\n\\]|\\.|\\\n)*|/\*.*?\*/)
      | (?P<raw>(?:u8|[uUL])?R"(?P<tag>[^()\\\s]{0,16})\(.*?\)(?P=tag)")
      | (?P<string>"(?:[^"\\\n]|\\.)*")
      | (?P<char>(?<![0-9A-Za-z_])'(?:[^'\\\n]|\\.)+')""", re.DOTALL | re.VERBOSE)

_CONTEXT = re.compile(r"^\s*(?:\w+\s*\([^()]*\)\s*)*(?:inline\s+)?(?:namespace|class|struct|union|enum|extern)\b")
_TEMPLATE = re.compile(r"\btemplate\s*<")
_OPERATOR = re.compile(r"operator\s*(?:[-+*/%^&|~!=<>]+|\(\)|\[\])")
_BEFORE_BODY = ("const", "noexcept", "override", "final", "mutable", "try")
_MARK = re.compile(r"[{};]|\b(?:public|private|protected)\s*:")


def blank(text):
    """The text with everything but line ends turned into spaces."""
    return re.sub(r"[^\n]", " ", text)


def code_only(text):
    """The text with comments and the insides of strings blanked; lines and columns stay."""
    def replaced(match):
        token = match.group(0)
        if match.lastgroup == "string" or match.group("string") or match.group("char"):
            return token[0] + blank(token[1:-1]) + token[-1]
        return blank(token)

    return _TOKEN.sub(replaced, text)


def comments_only(text):
    """The other way round: everything but comments blanked."""
    kept, at = [], 0
    for match in _TOKEN.finditer(text):
        kept.append(blank(text[at:match.start()]))
        kept.append(match.group(0) if match.group("comment") else blank(match.group(0)))
        at = match.end()
    kept.append(blank(text[at:]))
    return "".join(kept)


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def matching(code, position, opening="{", closing="}"):
    """The position of the brace that closes the one at `position`, or the end of the text."""
    depth = 0
    for match in re.compile("[" + re.escape(opening + closing) + "]").finditer(code, position):
        depth += 1 if match.group() == opening else -1
        if depth == 0:
            return match.start()
    return len(code)


def _without_templates(header):
    """Drops template<..> introducers, whose `class` and `=` say nothing about what follows."""
    while True:
        match = _TEMPLATE.search(header)
        if not match:
            return header
        end = matching(header, match.end() - 1, "<", ">")
        header = header[:match.start()] + " " * (min(end + 1, len(header)) - match.start()) + header[end + 1:]


def _at_depth_zero(header, character):
    depth = 0
    for each in header:
        if each in "([{":
            depth += 1
        elif each in ")]}":
            depth -= 1
        elif each == character and depth == 0:
            return True
    return False


def _kind(header):
    """What a `{` after this text opens: "context" (namespace, class), "function" or "other" (an initialiser)."""
    header = _without_templates(header)
    if _CONTEXT.match(header):
        return "context"
    plain = _OPERATOR.sub("operator", header)
    if "(" not in plain or plain.count("(") > plain.count(")"):
        return "other"  # int a{1};  or a default argument: f(Options options = {
    if _at_depth_zero(plain, "="):
        return "function" if re.search(r"=\s*\[", plain) else "other"
    word = re.search(r"([\w>]+)\s*$", plain)
    if word and word.group(1) not in _BEFORE_BODY and "->" not in plain:
        return "other"  # a member initialiser: Foo() : a_{
    return "function"


def functions(code):
    """(first line, last line, name) of each function body in code without comments; bodies are not looked into."""
    code = re.sub(r"(?m)^[ \t]*#.*(?:\\\n.*)*$", lambda match: blank(match.group(0)), code)
    found = []
    header_start = 0
    at = 0
    while True:
        match = _MARK.search(code, at)
        if not match:
            return found
        at = match.end()
        if match.group() != "{":
            header_start = at
            continue
        header = code[header_start:match.start()]
        kind = _kind(header)
        if kind == "context":
            header_start = at
            continue
        end = matching(code, match.start())
        if kind == "function":
            begin = header_start + len(header) - len(header.lstrip())
            names = re.findall(r"([~\w:]+)\s*\(", header)
            found.append((line_of(code, begin), line_of(code, end), names[0] if names else "?"))
            header_start = end + 1
        at = end + 1
