# SPDX-License-Identifier: Apache-2.0
"""What the tests of `culvert doctor` share: run it, and judge what it says."""
import json

from culvert_test.runner import CulvertTest

HOPS = ["options", "clock", "credentials", "secret", "names", "tcp", "tls", "protocol", "login", "advertised", "topic",
        "read", "send", "group", "poller", "table", "write", "position", "idle", "mapping"]

# Of each step: what works or is refused says so at once, unless the machine is slow.  A test of what keeps silent waits
# for it, and asks for less.
PATIENCE = "20s"


class DoctorCase(CulvertTest):
    def walk(self, *options, expect, env=None, patience=PATIENCE):
        """The hops by name, in JSON's form; `patience` is each step's."""
        done = self.culvert("doctor", "--timeout", patience, *options, "--format", "json", expect=expect, env=env,
                            timeout=240)
        hops = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual([hop["hop"] for hop in hops], HOPS, done)
        return {hop["hop"]: hop for hop in hops}

    def healthy(self, *options, env=None, patience=PATIENCE):
        hops = self.walk(*options, expect=0, env=env, patience=patience)
        self.assertEqual([name for name, hop in hops.items() if hop["state"] == "failed"], [])
        return hops

    def broken(self, hop, *options, expect, found, remedy, env=None, patience=PATIENCE):
        """doctor names `hop` and no other; what it found and some remedy match the patterns."""
        hops = self.walk(*options, expect=expect, env=env, patience=patience)
        failed = [name for name, each in hops.items() if each["state"] == "failed"]
        self.assertEqual(failed, [hop], json.dumps(hops, indent=1, ensure_ascii=False))
        said = hops[hop]
        self.assertRegex("\n".join([said["found"], *said.get("details", [])]), found)
        self.assertEqual(said["exit_code"], expect)
        self.assertTrue(said["causes"])
        self.assertRegex("\n".join(cause["remedy"] for cause in said["causes"]), remedy)
        return hops
