#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Turn the published typed bindings of hashicorp/aws into the schema that the provider for tests serves.

The real provider cannot be installed where culvert is built, but its bindings (pin.json) say, for each type, every
argument's name, type, nesting, and whether it is required, optional or computed.  What they do not say (sensitive,
defaults, what forces a replacement, validators) is written by hand in ../overlay.

  generate.py                 write aws.schema.json
  generate.py --check         compare with aws.schema.json; 0 same, 1 different, 77 the package cannot be had here
  generate.py --package FILE  use this archive instead of fetching it (its integrity is verified all the same)

The archive is fetched once with the npm client into the cache (CULVERT_CACHE, else culvert in XDG_CACHE_HOME or
~/.cache).
"""

import argparse
import base64
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
PRIMITIVE = {"string": "string", "number": "number", "boolean": "bool", "any": "dynamic"}
SECTION = {"resource": "resource_schemas", "data": "data_source_schemas", "ephemeral": "ephemeral_resource_schemas"}
FOLDER_PREFIX = {"resource": "", "data": "data-aws-", "ephemeral": "ephemeral-aws-"}
BASE_CLASS = {"resource": "TerraformResource", "data": "TerraformDataSource", "ephemeral": "TerraformEphemeralResource"}

HCL_ENTRY = re.compile(
    r'^ +(\w+): \{\n +value: (.*),\n +isBlock: (true|false),\n +type: "(\w+)",\n +storageClassType: "(\w+)",\n +\},',
    re.M)
FLAG_COMMENT = re.compile(
    r"^    // (\w+) - computed: (\w+), optional: (\w+), required: (\w+)\n"
    r"(.*?)(?=^    // \w+ - computed|^    // =====|^\}\n)", re.M | re.S)


class Unreadable(Exception):
    """The bindings say something this generator does not understand: better no schema than a wrong one."""


class Module:
    """One type's index.js, cut into the functions and classes that carry the schema."""

    def __init__(self, source, where):
        self.where = where
        body = source.split("//# sourceMappingURL")[0]
        self.mappers = {m[1].lower(): hcl_entries(m[2]) for m in
                        re.finditer(r"^function (\w+)ToHclTerraform\(struct\) \{\n(.*?)^\}\n", body, re.M | re.S)}
        self.classes = {}
        self.top = None
        self.type_name = None
        for m in re.finditer(r"^class (\w+) extends cdktn\.(\w+) \{\n(.*?^\}\n)", body, re.M | re.S):
            self.add_class(m[1], m[2], m[3])

    def add_class(self, name, base, body):
        flags = {f[1]: {"computed": f[2] == "true", "optional": f[3] == "true", "required": f[4] == "true",
                        "code": f[5]} for f in FLAG_COMMENT.finditer(body)}
        at = body.find("synthesizeHclAttributes")
        entry = {"name": name, "base": base, "flags": flags, "hcl": hcl_entries(body[at:]) if at >= 0 else {}}
        self.classes[name.lower()] = entry
        if base.startswith("Terraform"):
            self.top = entry
        found = re.search(r'static tfResourceType = "(\w+)"', body)
        if found:
            self.type_name = found[1]


def hcl_entries(text):
    return {m[1]: {"value": m[2], "block": m[3] == "true", "type": m[4], "store": m[5]}
            for m in HCL_ENTRY.finditer(text)}


def attribute_type(entry):
    """`stringListList` inside a `set` is set(list(string)): the outermost collection is the entry's own type."""
    if entry["type"] == "simple":
        return PRIMITIVE[entry["store"]]
    m = re.fullmatch(r"(string|number|boolean|any)((?:List|Map)*)", entry["store"])
    if not m:
        raise Unreadable(f"storage class {entry['store']}")
    kinds = [k.lower() for k in re.findall("List|Map", m[2])]
    if not kinds:
        raise Unreadable(f"collection {entry['type']} of a plain {entry['store']}")
    kinds[-1] = entry["type"]
    result = PRIMITIVE[m[1]]
    for kind in kinds:
        result = [kind, result]
    return result


def type_from_getter(module, code):
    """A computed-only attribute has no mapper: its getter tells the type."""
    collection = "set" if "tolist(" in code else "list"
    m = re.search(r"this\.get(String|Number|Boolean)(List|Map|)Attribute\(", code)
    if m:
        inner = PRIMITIVE[m[1].lower()]
        return {"List": [collection, inner], "Map": ["map", inner], "": inner}[m[2]]
    if "this.getListAttribute(" in code:
        return [collection, "string"]
    m = re.search(r"new cdktn\.(String|Number|Boolean|Any)(Map|List)(List)?\(", code)
    if m:
        inner = PRIMITIVE[m[1].lower()]
        if m[2] == "List":
            return ["list", inner]
        return ["list", ["map", inner]] if m[3] else ["map", inner]
    m = re.search(r'new (\w+?)(List|Map|OutputReference)\(this, "\w+"(?:, (true|false))?\)', code)
    if m:
        inner = object_type(module, m[1])
        return {"List": ["set" if m[3] == "true" else "list", inner], "Map": ["map", inner]}.get(m[2], inner)
    raise Unreadable("getter without a type: " + code.strip()[:200])


def object_type(module, struct):
    cls = module.classes.get(struct.lower() + "outputreference")
    return as_object(read_block(module, cls, module.mappers.get(struct.lower(), {}), struct))


def as_object(block):
    members = {name: a["type"] for name, a in block["attributes"].items()}
    for name, nested in block["block_types"].items():
        inner = as_object(nested["block"])
        members[name] = inner if nested["nesting_mode"] == "single" else [nested["nesting_mode"], inner]
    return ["object", members]


def flags_from_declaration(module, struct, names):
    """The provider's own nested blocks have no class with flags; the declarations mark optional members with `?`."""
    m = re.search(rf"interface {struct} \{{(.*?)^\}}", module.declaration, re.M | re.S | re.I)
    if not m:
        raise Unreadable(f"no declaration of {struct}")
    flags = {}
    for name in names:
        camel = re.sub(r"_(\w)", lambda c: c[1].upper(), name)
        required = re.search(rf"readonly {camel}: ", m[1]) is not None
        flags[name] = {"computed": False, "optional": not required, "required": required, "code": ""}
    return flags


def read_block(module, cls, hcl, struct):
    flags = cls["flags"] if cls else flags_from_declaration(module, struct, list(hcl))
    block = {"attributes": {}, "block_types": {}}
    for name, flag in flags.items():
        entry = hcl.get(name)
        marks = {k: True for k in ("computed", "optional", "required") if flag[k]}
        if entry is None:
            kind = type_from_getter(module, flag["code"])
        elif not entry["block"]:
            kind = attribute_type(entry)
        else:
            nested = read_nested(module, entry, flag)
            if "block" in nested:
                block["block_types"][name] = nested
                continue
            kind = nested["type"]
        if "dynamic" in json.dumps(kind):
            raise Unreadable(f"{name} has no fixed type")
        block["attributes"][name] = {"type": kind, **marks}
    return block


def read_nested(module, entry, flag):
    """A nested block, or an attribute that is written like one ({"type": ..})."""
    many = re.match(r"cdktn\.(listMapperHcl|hashMapperHcl)\((\w+)ToHclTerraform(?:, (true|false))?\)", entry["value"])
    one = None if many else re.match(r"(\w+)ToHclTerraform\(", entry["value"])
    if not many and not one:
        raise Unreadable(f"block without a mapper: {entry['value']}")
    struct = many[2] if many else one[1]
    if many and many[1] == "hashMapperHcl":
        return {"type": ["map", object_type(module, struct)]}
    if many and many[3] == "false":
        return {"type": [entry["type"], object_type(module, struct)]}
    if one and flag["computed"]:
        return {"type": object_type(module, struct)}
    cls = module.classes.get(struct.lower() + "outputreference")
    nested = {"nesting_mode": "single" if entry["type"] == "struct" else entry["type"],
              "block": read_block(module, cls, module.mappers[struct.lower()], struct)}
    if nested["nesting_mode"] != "single":
        if flag["required"]:
            nested["min_items"] = 1
        if one:
            nested["max_items"] = 1
    return nested


def read_types(path):
    wanted = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        words = line.split("#")[0].split()
        if not words:
            continue
        if len(words) != 2 or words[0] not in SECTION:
            raise SystemExit(f"{path.name}:{number}: expected 'resource|data|ephemeral TYPE', got {line!r}")
        wanted.append((words[0], words[1]))
    return wanted


def generate(archive, wanted):
    folders = {}
    for kind, name in wanted:
        folders[(kind, name)] = FOLDER_PREFIX[kind] + name.removeprefix("aws_").replace("_", "-")
    needed = {f"package/lib/{folder}/index.js" for folder in folders.values()}
    needed |= {"package/lib/provider/index.js", "package/lib/provider/index.d.ts"}
    sources = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.name in needed:
                sources[member.name] = tar.extractfile(member).read().decode()
    result = {"provider": None, **{section: {} for section in SECTION.values()}}
    for (kind, name), folder in sorted(folders.items()):
        source = sources.get(f"package/lib/{folder}/index.js")
        if source is None:
            raise SystemExit(f"{kind} {name}: the bindings have no folder {folder}")
        module = Module(source, folder)
        if module.top is None or module.top["base"] != BASE_CLASS[kind] or module.type_name != name:
            raise SystemExit(f"{kind} {name}: folder {folder} describes {module.type_name}")
        try:
            block = read_block(module, module.top, module.top["hcl"], module.top["name"])
        except Unreadable as problem:
            raise SystemExit(f"{kind} {name}: {problem}") from problem
        result[SECTION[kind]][name] = {"version": 0, "block": block}
    provider = Module(sources["package/lib/provider/index.js"], "provider")
    provider.declaration = sources["package/lib/provider/index.d.ts"]
    provider.top["flags"].pop("alias")   # a word of the language, not of the provider
    result["provider"] = {"version": 0,
                          "block": read_block(provider, provider.top, provider.top["hcl"], provider.top["name"])}
    return result


def compact(value, depth=0):
    """JSON with one attribute a line, so that a new version of the bindings reads well as a difference."""
    line = json.dumps(value, sort_keys=True)
    if not isinstance(value, dict) or len(line) + depth <= 100:
        return line
    pad = " " * (depth + 1)
    members = (f"{pad}{json.dumps(key)}: {compact(member, depth + 1)}" for key, member in sorted(value.items()))
    return "{\n" + ",\n".join(members) + "\n" + " " * depth + "}"


def cache_folder():
    folder = pathlib.Path(os.environ.get("CULVERT_CACHE")
                          or pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache",
                                          "culvert"))
    (folder / "npm").mkdir(parents=True, exist_ok=True)
    return folder / "npm"


def verify(archive, integrity):
    algorithm, _, expected = integrity.partition("-")
    actual = base64.b64encode(hashlib.new(algorithm, archive.read_bytes()).digest()).decode()
    if actual != expected:
        raise SystemExit(f"{archive}: integrity {algorithm}-{actual}, pinned is {integrity}: remove the file "
                         "and try again; if it stays so, do not use the package")


def fetch(pin):
    """The pinned archive from the cache, else through npm; None where there is neither."""
    target = cache_folder() / f"cdktn-provider-aws-{pin['version']}.tgz"
    if not target.exists():
        if shutil.which("npm") is None:
            return None
        print(f"fetching {pin['package']} {pin['version']} (46 MB, once) ...", file=sys.stderr)
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            run = subprocess.run(["npm", "pack", "--silent", f"{pin['package']}@{pin['version']}"], cwd=scratch,
                                 capture_output=True, text=True, timeout=600)
            if run.returncode != 0:
                print(f"npm pack failed: {run.stderr.strip()[-500:]}", file=sys.stderr)
                return None
            os.replace(next(pathlib.Path(scratch).glob("*.tgz")), target)
    return target


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--package", type=pathlib.Path)
    arguments = parser.parse_args()
    pin = json.loads((HERE / "pin.json").read_text())
    archive = arguments.package or fetch(pin)
    if archive is None:
        print("generate.py: the bindings are neither in the cache nor can npm fetch them here", file=sys.stderr)
        return 77
    verify(archive, pin["integrity"])
    text = compact(generate(archive, read_types(HERE / "types.txt"))) + "\n"
    output = HERE / "aws.schema.json"
    if arguments.check:
        if output.exists() and output.read_text() == text:
            print("aws.schema.json is what the pinned bindings say")
            return 0
        print("aws.schema.json differs from what the pinned bindings say: run generate.py", file=sys.stderr)
        return 1
    output.write_text(text)
    print(f"{output.name}: {text.count(chr(10))} lines, {len(text)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
