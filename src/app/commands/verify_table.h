// SPDX-License-Identifier: Apache-2.0
// Compares a table with the log it was made from: what `verify` does, and `demo` at its end.
//
// Flow    table -> Verifier; log -> Verifier; [verify_table] -> VerifyReport.
// Owner   free function, on the calling thread.
// Time    shows progress; ends early when `stop` is requested.
// Bounds  those of Verifier: the table's items are held in memory.
// See     verifier.h, log_scan.h.
#pragma once

#include <string>

#include "adapters/kafka/config.h"
#include "app/cli/command.h"
#include "app/table/table.h"
#include "app/verify/verifier.h"

namespace culvert {

// Error (kData): the topic is not the one the table was made from.  Differences are no error: see VerifyReport::good().
[[nodiscard]] Result<oracle::VerifyReport> verify_table(const kafka::KafkaConfig& config, const std::string& topic,
                                                        ReadableTable& table, const StopFlag& stop,
                                                        CommandContext& context);

}  // namespace culvert
