// SPDX-License-Identifier: Apache-2.0
// A disk that fails when told to: SQLite's own file layer with faults put in front of it.
//
// Flow    tests only: SQLite -> [FaultyVfs] -> the real files.
// Owner   one at a time, for as long as the test wants faults; it is SQLite's default file layer while it lives.
// Time    none.
// Bounds  one process, one thread.
// See     sqlite_fault_test.cc; https://www.sqlite.org/vfs.html
#pragma once

#include <sqlite3.h>

namespace culvert::sqlite {

class FaultyVfs {
 public:
  FaultyVfs();
  FaultyVfs(const FaultyVfs&) = delete;
  FaultyVfs& operator=(const FaultyVfs&) = delete;
  ~FaultyVfs();

  enum class Fault { kFull, kIoError };
  enum class Lasting { kOnce, kForGood };
  // The n-th write, sync or truncation from now on fails (n from 1); kForGood: and all after it.
  void arm(int n, Fault fault, Lasting lasting);
  void disarm();
  [[nodiscard]] bool fired() const;
  // Syncs of the write-ahead log since the start.
  [[nodiscard]] int log_syncs() const;
};

}  // namespace culvert::sqlite
