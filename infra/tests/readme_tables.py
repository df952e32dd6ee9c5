#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write each module's and root's README.md from its code: the header of main.tf, the example, inputs, outputs.

    readme_tables.py        write them all (run.py fmt compares)
"""

import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
INFRA = HERE.parent


def header_of(main):
    """The comment at the top of main.tf: one sentence, then labelled lines."""
    lines = []
    for line in main.read_text().splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").strip())
    lines = [line for line in lines if line and not line.startswith("SPDX")]
    sentence, labelled = [], []
    for line in lines:
        label = re.match(r"(Flow|Owner|Time|Bounds|See)\s{2,}(.*)", line)
        if label:
            labelled.append([label[1], label[2]])
        elif labelled:
            labelled[-1][1] += " " + line
        else:
            sentence.append(line)
    return " ".join(sentence), labelled


def blocks(path, kind):
    """(name, body) of each top-level block of a kind, in the order of the file."""
    text = path.read_text()
    for found in re.finditer(rf'^{kind} "(\w+)" \{{\n(.*?)^\}}$', text, re.M | re.S):
        yield found[1], found[2]


def argument(body, name):
    """The text of a top-level argument of a block: to the end of its line, or of its brackets."""
    found = re.search(rf"^  {name} += (.*)$", body, re.M)
    if not found:
        return None
    text = found[1]
    end = found.end()
    while any(text.count(opening) > text.count(closing) for opening, closing in ("()", "{}", "[]")):
        newline = body.index("\n", end + 1) if "\n" in body[end + 1:] else len(body)
        text += body[end:newline]
        end = newline
    return on_one_line(text)


def on_one_line(text):
    """Members that stood on lines of their own are parted by commas."""
    parts = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    result = parts[0]
    for part in parts[1:]:
        opened, closes = result[-1] in "({[,", part[0] in ")}]"
        result += (" " if opened or closes else ", ") + part
    return result


def text_of(body):
    quoted = argument(body, "description") or '""'
    return quoted[1:-1].replace('\\"', '"')


def cell(text):
    return text.replace("|", "\\|")


def input_table(path):
    rows = ["| input | what it is | type | default |", "| --- | --- | --- | --- |"]
    for name, body in blocks(path, "variable"):
        default = argument(body, "default")
        shown = "**required**" if default is None else f"`{cell(default)}`"
        rows.append(f"| `{name}` | {cell(text_of(body))} | `{cell(argument(body, 'type'))}` | {shown} |")
    return rows


def output_table(path):
    rows = ["| output | what it is |", "| --- | --- |"]
    rows += [f"| `{name}` | {cell(text_of(body))} |" for name, body in blocks(path, "output")]
    return rows


def resource_list(folder):
    found = set()
    for path in sorted(folder.glob("*.tf")):
        found |= set(re.findall(r'^resource "(\w+)" "(\w+)"', path.read_text(), re.M))
    by_type = {}
    for kind, name in sorted(found):
        by_type.setdefault(kind, []).append(name)
    return [f"- `{kind}`: {', '.join(names)}" for kind, names in by_type.items()]


def example_of(folder):
    """The call of the module in its example, which the tests apply."""
    path = folder / "examples" / "minimal" / "main.tf"
    if not path.exists():
        return []
    found = re.search(rf'^module "{folder.name}" \{{\n.*?^\}}$', path.read_text(), re.M | re.S)
    return ["## Example", "", "From [examples/minimal](examples/minimal/main.tf), which the tests apply:", "", "```hcl",
            found[0], "```", ""]


def readme_of(folder):
    sentence, labelled = header_of(folder / "main.tf")
    lines = [f"# {folder.name}", "", sentence, "", "| | |", "| --- | --- |"]
    lines += [f"| {label.lower()} | {cell(text)} |" for label, text in labelled]
    lines += ["", *example_of(folder), "## Inputs", "", *input_table(folder / "variables.tf"), ""]
    lines += ["## Outputs", "", *output_table(folder / "outputs.tf"), ""]
    lines += ["## What it makes", "", *resource_list(folder), ""]
    lines += ["*Made from the code by infra/tests/readme_tables.py; `make infra-test` compares.*", ""]
    return "\n".join(lines)


def main():
    for folder in sorted([*(INFRA / "modules").iterdir(), *(INFRA / "accounts").iterdir()]):
        (folder / "README.md").write_text(readme_of(folder))
        print(folder.relative_to(INFRA) / "README.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
