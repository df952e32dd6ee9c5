// SPDX-License-Identifier: Apache-2.0
// Reads what functions write and notices when their processes end, on one thread for all of them.
//
// Flow    pipes and process descriptors -> [FunctionOutput] -> lines; a call when a process has ended.
// Owner   FunctionPool; add() from its owner's thread, the callbacks on this object's own.
// Time    none: it sleeps until there is something.
// Bounds  64 KiB read at a time, and a line of each stream.
// See     line_splitter.h; pipe(7), pidfd_open(2).
#pragma once

#include <functional>
#include <list>
#include <mutex>
#include <string_view>
#include <thread>

#include "adapters/lambda/line_splitter.h"

namespace culvert::lambda {

class FunctionOutput {
 public:
  using LineSink = std::function<void(int instance, std::string_view line)>;
  // Both run on this object's thread; `on_end` tells no more than that some process ended.
  FunctionOutput(LineSink sink, std::function<void()> on_end);
  FunctionOutput(const FunctionOutput&) = delete;
  FunctionOutput& operator=(const FunctionOutput&) = delete;
  // Reads what is there already, and ends.
  ~FunctionOutput();

  // Takes `output`, which must not block, and closes it at its end.  `end_descriptor` is duplicated.
  void add(int instance, int output, int end_descriptor);

 private:
  struct Stream {
    int instance;
    int descriptor;
    LineSplitter lines{};
  };

  void work();
  // False: it is at its end.
  [[nodiscard]] bool drain(Stream& stream);
  void nudge() const;

  const LineSink sink_;
  const std::function<void()> on_end_;
  int nudge_;
  std::mutex mutex_;
  bool stopping_ = false;
  std::list<Stream> added_;      // not yet taken over by the thread
  std::list<int> added_ends_;    // likewise
  std::list<Stream> streams_;    // the thread's
  std::list<int> ends_awaited_;  // the thread's
  std::thread thread_;
};

}  // namespace culvert::lambda
