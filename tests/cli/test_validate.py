# SPDX-License-Identifier: Apache-2.0
"""`culvert validate`: every problem of a file at once, each with its line."""
import json
import pathlib

from culvert_test.runner import CulvertTest, main

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent

GOOD = """\
[common]
bootstrap-server = "localhost:9092"
topic = "readings"
table = "sqlite:windows.db"

[consume]
group = "windows"
window = "10s"

[kafka]
"security.protocol" = "SSL"
"""

WRONG = """\
[common]
topik = "readings"

[consume]
window = "10 s"
flush-interval = ["1s", "2s"]

[consum]
group = "x"

[kafka]
"sasl.mechanizm" = "PLAIN"
"group.id" = "windows"
"""

DOCUMENT = {
    "version": 1,
    "cluster": "arn:aws:kafka:eu-central-1:111122223333:cluster/telemetry/0a1b",
    "region": "eu-central-1", "kafka_version": "3.9.x", "authentication": "scram",
    "brokers": {"1": {"host": "b-1.telemetry.kafka.eu-central-1.amazonaws.com", "port": 9096}},
}


class Validate(CulvertTest):
    def validate(self, name, text, expect):
        (self.directory / name).write_text(text, encoding="utf-8")
        return self.culvert("validate", name, expect=expect).stdout.splitlines()

    def said(self, lines, expected):
        self.assertEqual(len(lines), len(expected), lines)
        for line, pattern in zip(lines, expected):
            self.assertRegex(line, pattern)

    def test_options_in_order(self):
        self.assertEqual(self.validate("culvert.toml", GOOD, 0), ["culvert.toml: options in order"])

    def test_every_problem_with_its_line(self):
        self.said(self.validate("culvert.toml", WRONG, 78), [
            r"^culvert\.toml: line 2: .*unknown key 'topik' in \[common\] \(did you mean 'topic'\?\)",
            r"^culvert\.toml: line 5: window: '10 s' is not a duration",
            r"^culvert\.toml: line 6: flush-interval: given 2 times",
            r"^culvert\.toml: line 9: .*unknown section \[consum\] \(did you mean 'consume'\?\)",
            r"^culvert\.toml: line 12: .*'sasl.mechanizm' is unknown \(did you mean 'sasl.mechanism'\?\)",
            r"^culvert\.toml: line 13: .*group.id has an option of its own: --group"])

    def test_options_that_contradict_each_other(self):
        lines = self.validate("culvert.toml", GOOD.replace('window = "10s"', 'window = "10s"\nadvance = "7s"') +
                              '\n[query]\nregion = "eu-central-1"\n', 78)
        self.said(lines, [r"culvert\.toml: .*(advance|7s)", r"--region is of tables in DynamoDB"])

    def test_not_toml(self):
        self.said(self.validate("culvert.toml", "[common]\ntopic = \n", 78), [r"^culvert\.toml: line 2: "])

    def test_missing_file_and_missing_word(self):
        self.culvert("validate", "nowhere.toml", expect=78)
        self.assertIn("FILE is missing", self.culvert("validate", expect=64).stderr)
        self.culvert("validate", "one.toml", "two.toml", expect=64)

    def test_document_in_order(self):
        lines = self.validate("connection.json", json.dumps(DOCUMENT), 0)
        self.assertEqual(lines, ["connection.json: a connection document in order"])

    def test_document_with_many_problems(self):
        document = json.loads(json.dumps(DOCUMENT))
        document["version"] = 2
        document["authentication"] = "scarm"
        document["regoin"] = document.pop("region")
        document["brokers"]["1"]["port"] = 96000
        document["brokers"]["b"] = {"host": "b-2.x", "prot": 9096, "service_name":
                                    "com.amazonaws.vpce.eu-central-1.vpce-svc-0a"}
        text = json.dumps(document, indent=1)
        lines = self.validate("connection.json", text, 78)
        for what, member in ((r"version is not 1", '"version"'),
                             (r"'scarm' is not one of .*'scram'\?", '"authentication"'),
                             (r"unknown member 'regoin' \(did you mean 'region'\?\)", '"regoin"'),
                             (r"port is not a whole number", "96000"), (r"'b' is not a broker's id", '"b"'),
                             (r"unknown member 'prot' \(did you mean 'port'\?\)", '"prot"'),
                             (r"service_name without zone_ids", '"b"')):
            number = 1 + next(i for i, line in enumerate(text.splitlines()) if member in line)
            start = f"connection.json: line {number}: "
            self.assertTrue(any(line.startswith(start) for line in lines), (member, lines))
            self.assertRegex("\n".join(lines), what)

    def test_document_that_is_no_json(self):
        self.said(self.validate("connection.json", '{\n "version": 1,\n oops\n}', 78), [r"line 3: this is no JSON"])

    def test_the_schema_knows_the_same_members(self):
        schema = json.loads((ROOT / "infra" / "connection.schema.json").read_text(encoding="utf-8"))
        lines = self.validate("connection.json", "{}", 78)
        missing = {line.split(": ")[-1].removesuffix(" is missing") for line in lines}
        self.assertEqual(missing, set(schema["required"]))
        whole = {**DOCUMENT, **{name: None for name in schema["properties"] if name not in DOCUMENT}}
        self.assertFalse([line for line in self.validate("all.json", json.dumps(whole), {0, 78}) if "unknown" in line])


if __name__ == "__main__":
    main()
