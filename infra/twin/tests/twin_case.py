# SPDX-License-Identifier: Apache-2.0
"""What the twin's tests share: they run where namespaces can be made, and say so where not (77)."""

import pathlib
import sys
import unittest

TWIN = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TWIN))

import deployment   # noqa: E402  (puts the folders of the test support on the path)
import twin   # noqa: E402


def main():
    try:
        twin.check_able()
        deployment.Toolchain().cli_config()
    except (twin.Skipped, twin.Missing) as missing:
        print(f"skipped: {missing}")
        sys.exit(77)
    unittest.main(verbosity=2)
