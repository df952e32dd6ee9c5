#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks tests/golden/sigv4.txt with a second implementation of Signature Version 4, in Python's standard library.

The C++ implementation is checked against the same file, so a mistake would have to be made twice, or by AWS.
"""

import hashlib
import hmac
import pathlib
import posixpath
import re
import sys
import urllib.parse

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden" / "sigv4.txt"


def read_cases(path):
    cases = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        word, _, rest = line.partition(" ")
        if word == "case":
            cases.append({"name": rest, "headers": [], "query": "", "body": "", "presign": None})
        elif word == "header":
            cases[-1]["headers"].append(rest.split(":", 1))
        else:
            cases[-1][word] = rest
    return cases


def encode(text):
    return urllib.parse.quote(text, safe="-._~")


def canonical_path(path):
    normal = posixpath.normpath(re.sub("/+", "/", path))
    if path.endswith("/") and not normal.endswith("/"):
        normal += "/"
    return "/".join(encode(segment) for segment in normal.split("/"))


def canonical_query(pairs):
    return "&".join(f"{name}={value}" for name, value in sorted((encode(n), encode(v)) for n, v in pairs))


def mac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def signature(case):
    access_key, secret, *token = case["credentials"].split(" ")
    date, region, service = case["scope"].split(" ")
    method, path = case["request"].split(" ", 1)
    scope = f"{date[:8]}/{region}/{service}/aws4_request"
    pairs = urllib.parse.parse_qsl(case["query"], keep_blank_values=True)
    values = {}
    for name, value in case["headers"]:
        values.setdefault(name.lower(), []).append(" ".join(value.split()))
    names = ";".join(sorted(values))
    if case["presign"]:
        pairs += [
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
            ("X-Amz-Credential", f"{access_key}/{scope}"),
            ("X-Amz-Date", date),
            ("X-Amz-Expires", case["presign"]),
            ("X-Amz-SignedHeaders", names),
        ] + [("X-Amz-Security-Token", t) for t in token]
    headers = "".join(f"{name}:{','.join(values[name])}\n" for name in sorted(values))
    body = hashlib.sha256(case["body"].encode()).hexdigest()
    request = "\n".join([method, canonical_path(path), canonical_query(pairs), headers, names, body])
    digest = hashlib.sha256(request.encode()).hexdigest()
    key = mac(mac(mac(mac(("AWS4" + secret).encode(), date[:8]), region), service), "aws4_request")
    return mac(key, "\n".join(["AWS4-HMAC-SHA256", date, scope, digest])).hex()


def main():
    cases = read_cases(GOLDEN)
    wrong = [case["name"] for case in cases if signature(case) != case["signature"]]
    if wrong or len(cases) < 30:
        sys.exit(f"{len(wrong)} of {len(cases)} vectors do not agree: {', '.join(wrong)}")
    print(f"{len(cases)} vectors agree")


if __name__ == "__main__":
    main()
