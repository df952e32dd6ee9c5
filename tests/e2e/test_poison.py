# SPDX-License-Identifier: Apache-2.0
"""Every poison record of tests/golden/poison.txt through a real broker: once in the dead letters, with its reason,
while all others stay exact."""
import base64
import pathlib
import re
import subprocess

from culvert_test.runner import main
from kafka_case import KafkaCase

POISON = pathlib.Path(__file__).resolve().parent.parent / "golden" / "poison.txt"
LARGEST = 12 << 20


def golden_bytes(text):
    out, at = b"", 0
    for m in re.finditer(r"\\x([0-9A-Fa-f]{2})|\\\*([0-9]+)\(([^)]*)\)", text):
        out += text[at:m.start()].encode()
        out += bytes([int(m[1], 16)]) if m[1] else golden_bytes(m[3]) * int(m[2])
        at = m.end()
    return out + text[at:].encode()


def cases():
    """(name, value or None, timestamp text, expected) of each record that is read under the default definition."""
    name, default, stamp, value, out = None, True, "none", None, []
    for line in POISON.read_text(encoding="utf-8").splitlines():
        keyword, _, text = line.partition(":")
        text = text[1:] if text.startswith(" ") else text
        if keyword == "case":
            name, default, stamp = text, True, "none"
        elif keyword == "definition":
            default = False
        elif keyword == "timestamp":
            stamp = text
        elif keyword == "record":
            value = golden_bytes(text)
        elif keyword == "tombstone":
            value = None
        elif keyword == "expect" and default:
            out.append((name, value, stamp, text))
    return out


class Poison(KafkaCase):
    def send(self, value):
        """One record by another client: a file is one value; a line of key and delimiter only, with -Z, has none."""
        path = self.directory / "value"
        path.write_bytes(b"key:\n" if value is None else value)
        how = ["-Z", "-K:", "-l"] if value is None else ["-X", f"message.max.bytes={LARGEST}"]
        done = subprocess.run(["kcat", "-b", self.cluster.admin_bootstrap, "-P", "-t", self.topic, *how, str(path)],
                              capture_output=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_each_once_with_its_reason_and_all_others_exact(self):
        self.cluster.create_topic(self.topic, 1, {"max.message.bytes": str(LARGEST)})
        self.cluster.acl("app", ["READ", "WRITE", "DESCRIBE"], topic=self.topic)
        self.cluster.acl("app", ["READ"], group=self.topic)
        sent = []
        # What depends on a record's own timestamp cannot be sent by another client's clock; and kcat sends nothing for
        # an empty file.
        for name, value, stamp, expected in cases():
            if stamp != "none" or value == b"" or expected.startswith("reading") or expected == "future_event_time":
                continue
            self.send(value)
            sent.append((name, value, expected))
            self.assertEqual(self.cluster.end_offsets(self.topic), {0: len(sent)}, f"{name} was not sent as one record")
        self.assertGreater(len(sent), 25)
        self.produce("--devices", 10, count=2_000)
        self.consume_to_end("-X", f"fetch.max.bytes={LARGEST}")
        letters = self.dead_letters()
        self.assertEqual([letter["offset"] for letter in letters], list(range(len(sent))))
        for (name, value, expected), letter in zip(sent, letters, strict=True):
            with self.subTest(name):
                self.assertEqual(letter["reason"], expected)
                stored = letter["value_base64"]
                self.assertEqual(None if stored is None else base64.b64decode(stored), value)
        self.verify()


if __name__ == "__main__":
    main()
