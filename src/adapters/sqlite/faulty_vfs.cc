// SPDX-License-Identifier: Apache-2.0
#include "adapters/sqlite/faulty_vfs.h"

#include <string_view>

#include "model/check.h"

namespace culvert::sqlite {

namespace {

struct State {
  sqlite3_vfs* real = nullptr;
  int countdown = 0;  // 0: not armed
  FaultyVfs::Fault fault = FaultyVfs::Fault::kFull;
  bool for_good = false;
  bool fired = false;
  int log_syncs = 0;
};

State state;

// SQLite allocates this, followed by the real file's object.
struct File {
  sqlite3_file base;
  bool log;
};

sqlite3_file* real(sqlite3_file* file) { return reinterpret_cast<sqlite3_file*>(reinterpret_cast<File*>(file) + 1); }
const sqlite3_io_methods* methods(sqlite3_file* file) { return real(file)->pMethods; }

bool fails() {
  if (state.fired && state.for_good) return true;
  if (state.countdown == 0 || --state.countdown != 0) return false;
  state.fired = true;
  return true;
}

int write_code() { return state.fault == FaultyVfs::Fault::kFull ? SQLITE_FULL : SQLITE_IOERR_WRITE; }

int close_file(sqlite3_file* f) { return methods(f)->xClose(real(f)); }
int read_file(sqlite3_file* f, void* to, int n, sqlite3_int64 at) { return methods(f)->xRead(real(f), to, n, at); }
int write_file(sqlite3_file* f, const void* from, int n, sqlite3_int64 at) {
  return fails() ? write_code() : methods(f)->xWrite(real(f), from, n, at);
}
int truncate_file(sqlite3_file* f, sqlite3_int64 size) {
  return fails() ? SQLITE_IOERR_TRUNCATE : methods(f)->xTruncate(real(f), size);
}
int sync_file(sqlite3_file* f, int flags) {
  if (fails()) return SQLITE_IOERR_FSYNC;
  if (reinterpret_cast<File*>(f)->log) ++state.log_syncs;
  return methods(f)->xSync(real(f), flags);
}
int file_size(sqlite3_file* f, sqlite3_int64* size) { return methods(f)->xFileSize(real(f), size); }
int lock_file(sqlite3_file* f, int level) { return methods(f)->xLock(real(f), level); }
int unlock_file(sqlite3_file* f, int level) { return methods(f)->xUnlock(real(f), level); }
int check_lock(sqlite3_file* f, int* out) { return methods(f)->xCheckReservedLock(real(f), out); }
int control(sqlite3_file* f, int op, void* arg) { return methods(f)->xFileControl(real(f), op, arg); }
int sector_size(sqlite3_file* f) { return methods(f)->xSectorSize(real(f)); }
int characteristics(sqlite3_file* f) { return methods(f)->xDeviceCharacteristics(real(f)); }
int shm_map(sqlite3_file* f, int page, int size, int extend, void volatile** out) {
  return methods(f)->xShmMap(real(f), page, size, extend, out);
}
int shm_lock(sqlite3_file* f, int offset, int n, int flags) { return methods(f)->xShmLock(real(f), offset, n, flags); }
void shm_barrier(sqlite3_file* f) { methods(f)->xShmBarrier(real(f)); }
int shm_unmap(sqlite3_file* f, int remove) { return methods(f)->xShmUnmap(real(f), remove); }

const sqlite3_io_methods kMethods{2,           close_file,  read_file,       write_file,  truncate_file,
                                  sync_file,   file_size,   lock_file,       unlock_file, check_lock,
                                  control,     sector_size, characteristics, shm_map,     shm_lock,
                                  shm_barrier, shm_unmap,   nullptr,         nullptr};

int open_file(sqlite3_vfs*, const char* name, sqlite3_file* f, int flags, int* out_flags) {
  auto* file = reinterpret_cast<File*>(f);
  file->log = (flags & SQLITE_OPEN_WAL) != 0;
  const int code = state.real->xOpen(state.real, name, real(f), flags, out_flags);
  file->base.pMethods = real(f)->pMethods != nullptr ? &kMethods : nullptr;
  return code;
}

sqlite3_vfs shim;

}  // namespace

FaultyVfs::FaultyVfs() {
  CULVERT_CHECK(state.real == nullptr, "one faulty disk at a time");
  state = State{};
  state.real = sqlite3_vfs_find(nullptr);
  shim = *state.real;
  shim.szOsFile = static_cast<int>(sizeof(File)) + state.real->szOsFile;
  shim.zName = "faulty";
  shim.pNext = nullptr;
  shim.xOpen = open_file;
  sqlite3_vfs_register(&shim, 1);
}

FaultyVfs::~FaultyVfs() {
  sqlite3_vfs_unregister(&shim);
  sqlite3_vfs_register(state.real, 1);
  state = State{};
}

void FaultyVfs::arm(int n, Fault fault, Lasting lasting) {
  state.countdown = n;
  state.fault = fault;
  state.for_good = lasting == Lasting::kForGood;
  state.fired = false;
}

void FaultyVfs::disarm() {
  state.countdown = 0;
  state.fired = false;
}

bool FaultyVfs::fired() const { return state.fired; }
int FaultyVfs::log_syncs() const { return state.log_syncs; }

}  // namespace culvert::sqlite
