# SPDX-License-Identifier: Apache-2.0
"""Certificates for one test run, by the openssl command: nothing secret is ever kept in the repository."""

import subprocess

from .workspace import SupportError

DAYS = "30"
EC = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


def _openssl(*args):
    done = subprocess.run(["openssl", *args], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise SupportError(f"openssl {' '.join(args)} failed:\n{done.stderr}")


class Authority:
    """A certificate authority in a directory: CN.pem (certificate), CN.key."""

    def __init__(self, directory, name):
        self._directory = directory
        self.certificate = directory / f"{name}.pem"
        self._key = directory / f"{name}.key"
        _openssl("req", "-x509", *EC, "-keyout", str(self._key), "-out", str(self.certificate), "-days", DAYS,
                 "-subj", f"/CN={name}", "-addext", "basicConstraints=critical,CA:TRUE",
                 "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def issue(self, name, usage, names=(), expired=False):
        """(certificate, key, both with the CA in one PEM file); `names` as in subjectAltName: DNS:localhost."""
        base = self._directory / name
        key, request, certificate = (base.with_suffix(s) for s in (".key", ".csr", ".pem"))
        extensions = base.with_suffix(".ext")
        lines = [f"extendedKeyUsage={usage}"]
        if names:
            lines.append("subjectAltName=" + ",".join(names))
        extensions.write_text("\n".join(lines) + "\n", encoding="ascii")
        _openssl("req", *EC, "-keyout", str(key), "-out", str(request), "-subj", f"/CN={name}")
        _openssl("x509", "-req", "-in", str(request), "-CA", str(self.certificate), "-CAkey", str(self._key),
                 "-CAcreateserial", "-days", "-1" if expired else DAYS, "-extfile", str(extensions),
                 "-out", str(certificate))
        store = base.with_suffix(".store.pem")
        store.write_bytes(key.read_bytes() + certificate.read_bytes() + self.certificate.read_bytes())
        for secret in (key, store):
            secret.chmod(0o600)
        return certificate, key, store
