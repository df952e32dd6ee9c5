-- SPDX-License-Identifier: Apache-2.0
-- One culvert table in one SQLite file.  Made in one transaction when the file is created and never altered afterwards:
-- another layout is another schema version (PRAGMA user_version).
--
-- @KEY_TYPE@ is INTEGER or TEXT, @VALUE@ the stem of the value's name (letters, digits and underscores only).
-- All numbers are exact integers.  Times are milliseconds since the Unix epoch, UTC.  Values are in millionths (`_micro`);
-- sum is in 1e-6 and sum_squares in 1e-12, as INTEGER where that fits 64 bits and as decimal TEXT above.

CREATE TABLE meta (
  name  TEXT PRIMARY KEY,
  value TEXT NOT NULL
) WITHOUT ROWID, STRICT;

-- Windows first: a flush touches one or two windows of many devices, so its rows lie side by side.  With the device first
-- each row of a flush lies in another page, and a page is written for each item.
CREATE TABLE items (
  window_start INTEGER NOT NULL,
  device_id    @KEY_TYPE@ NOT NULL,
  window_end   INTEGER NOT NULL,
  count        INTEGER NOT NULL,
  sum          ANY NOT NULL,
  sum_squares  ANY NOT NULL,
  min_micro    INTEGER NOT NULL,
  max_micro    INTEGER NOT NULL,
  mean_micro   INTEGER NOT NULL,
  stddev_micro INTEGER NOT NULL,
  fences       TEXT NOT NULL,
  PRIMARY KEY (window_start, device_id)
) WITHOUT ROWID, STRICT;

CREATE TABLE checkpoints (
  topic          TEXT NOT NULL,
  generation     INTEGER NOT NULL,
  "partition"    INTEGER NOT NULL,
  start          INTEGER NOT NULL,
  next           INTEGER NOT NULL,
  ranges         TEXT NOT NULL,
  max_event_time INTEGER,
  max_timestamp  INTEGER,
  records        INTEGER NOT NULL,
  folded         INTEGER NOT NULL,
  late           INTEGER NOT NULL,
  dead_letters   INTEGER NOT NULL,
  definition     TEXT NOT NULL,
  emission       TEXT NOT NULL CHECK (emission IN ('early', 'final')),
  topic_id       TEXT NOT NULL,
  PRIMARY KEY (topic, generation, "partition")
) WITHOUT ROWID, STRICT;

-- With a row number, unlike the others: values may be megabytes, which would make an index of whole rows slow.
CREATE TABLE dead_letters (
  topic       TEXT NOT NULL,
  generation  INTEGER NOT NULL,
  "partition" INTEGER NOT NULL,
  "offset"    INTEGER NOT NULL,
  timestamp   INTEGER,
  reason      TEXT NOT NULL,
  detail      TEXT NOT NULL,
  key         BLOB,
  value       BLOB,
  PRIMARY KEY (topic, generation, "partition", "offset")
) STRICT;

-- For other programs and for people: the names and units that DynamoDB tables use as well.  The numbers are floating point
-- here, for convenience; the exact ones are in `items`.  SQLite has no dates above the year 9999, where windows may end: such
-- an end is told by the same day 400 years (146 097 days) before, and written with a sign and six digits, as elsewhere.
CREATE VIEW windows AS
SELECT device_id,
       strftime('%Y-%m-%dT%H:%M:%S', (window_start - (window_start % 1000 + 1000) % 1000) / 1000, 'unixepoch')
         || printf('.%03dZ', (window_start % 1000 + 1000) % 1000) AS window_start,
       CASE WHEN window_end < 253402300800000
            THEN strftime('%Y-%m-%dT%H:%M:%S', (window_end - (window_end % 1000 + 1000) % 1000) / 1000, 'unixepoch')
            ELSE printf('+%06d', strftime('%Y', window_end / 1000 - 12622780800, 'unixepoch') + 400)
                 || strftime('-%m-%dT%H:%M:%S', window_end / 1000 - 12622780800, 'unixepoch')
       END || printf('.%03dZ', (window_end % 1000 + 1000) % 1000) AS window_stop,
       mean_micro / 1e6 AS "avg_@VALUE@",
       min_micro / 1e6 AS "min_@VALUE@",
       max_micro / 1e6 AS "max_@VALUE@",
       CAST(sum AS REAL) / 1e6 AS "sum_@VALUE@",
       stddev_micro / 1e6 AS "stddev_@VALUE@",
       count
FROM items;
