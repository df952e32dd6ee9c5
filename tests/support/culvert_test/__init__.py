# SPDX-License-Identifier: Apache-2.0
"""Support for tests that cross processes: real servers, the culvert program, bounded waits, and no trace afterwards."""
