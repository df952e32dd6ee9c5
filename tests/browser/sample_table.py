# SPDX-License-Identifier: Apache-2.0
"""A SQLite table with string devices and hopping windows, written after schema.sql and docs/formats.md alone."""

import pathlib
import sqlite3
import time

SCHEMA = pathlib.Path("src/adapters/sqlite/schema.sql")
SIZE = 60_000
ADVANCE = 10_000
DEFINITION = ("windows=hopping size=1m advance=10s out_of_orderness=10s allowed_lateness=1h max_future=1h "
              "device_field=device_id timestamp_field=timestamp value_field=temperature timestamp_unit=text "
              "key_type=string record_bytes_max=1048576 value_name=temp")
INSERT = ("INSERT OR REPLACE INTO items (device_id, window_start, window_end, count, sum, sum_squares, min_micro, "
          "max_micro, mean_micro, stddev_micro, fences) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?)")


def item(device, start, values, next_offset=100):
    """Values in whole units."""
    micro = [value * 1_000_000 for value in values]
    squares = sum(value * value for value in micro)
    total = sum(micro)
    return (device, start, start + SIZE, len(micro), total, squares if squares < 2**63 else str(squares), min(micro),
            max(micro), round(total / len(micro)), f"readings@1/0:{next_offset}")


class SampleTable:
    def __init__(self, path):
        self.now = int(time.time() * 1000) // ADVANCE * ADVANCE
        self.database = sqlite3.connect(path)
        schema = SCHEMA.read_text(encoding="utf-8").replace("@KEY_TYPE@", "TEXT").replace("@VALUE@", "temp")
        self.database.execute("PRAGMA journal_mode = WAL")
        self.database.executescript(schema)
        self.database.executemany("INSERT INTO meta VALUES (?, ?)", [
            ("schema_version", "1"), ("culvert_version", "0.0.0"), ("key_type", "string"), ("definition", DEFINITION)])
        self.database.execute(f"PRAGMA application_id = {0x43554c56}")
        self.database.execute("PRAGMA user_version = 1")
        self.empty = True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if not self.empty:
            self.database.execute(
                "INSERT INTO checkpoints VALUES ('readings', 1, 0, 0, 100, '', ?, ?, 100, 100, 0, 0, ?, 'early', '')",
                (self.now, self.now, DEFINITION))
        self.database.commit()
        self.database.close()

    def put(self, rows):
        self.empty = False
        self.database.executemany(INSERT, rows)

    def many_devices(self, count):
        """device-0000 and on, each a little warmer than the one before."""
        self.put(item(f"device-{number:04}", self.now - SIZE - back * ADVANCE, [number, number + 1 + back])
                 for number in range(count) for back in range(3))

    def device(self, name, value):
        self.put([item(name, self.now - SIZE, [value])])

    def hopping(self, name, count):
        self.put(item(name, self.now - SIZE - back * ADVANCE, [20 + (back % 7), 22 + (back % 5), 25])
                 for back in range(count))

    def dead_letter(self, offset, reason, detail, key, value):
        self.database.execute("INSERT INTO dead_letters VALUES ('readings', 1, 0, ?, ?, ?, ?, ?, ?)",
                              (offset, self.now, reason, detail, key, value))

    @staticmethod
    def add_late_reading(database, device):
        """Another reading in each of a device's three newest windows."""
        database.execute(
            "UPDATE items SET count = count + 1, sum = sum + 30000000, sum_squares = CAST(sum_squares AS INTEGER) + "
            "900000000000000, max_micro = 30000000, mean_micro = (sum + 30000000) / (count + 1), fences = "
            "'readings@1/0:101' WHERE device_id = ? AND window_start IN "
            "(SELECT window_start FROM items WHERE device_id = ? ORDER BY window_start DESC LIMIT 3)", (device, device))
