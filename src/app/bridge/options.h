// SPDX-License-Identifier: Apache-2.0
// The options of `culvert bridge`: those of an event source mapping, and of the function behind it.
//
// Flow    command line -> [BridgeOptions] -> BridgeSettings, FunctionPoolOptions, FailureSink.
// Owner   the bridge command.
// Time    none.
// Bounds  each option has those that the service has; see culvert bridge --help.
// See     Lambda's developer guide, "Event source mappings", and its API reference, CreateEventSourceMapping.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "adapters/lambda/event_writer.h"
#include "adapters/lambda/mapping.h"
#include "app/cli/option_groups.h"
#include "app/options/option_set.h"
#include "app/session/start_position.h"
#include "model/result.h"
#include "model/time.h"

namespace culvert {

enum class FunctionLogs : std::uint8_t { kPrefixed, kPlain, kNone };

class BridgeOptions {
 public:
  BridgeOptions() = default;
  BridgeOptions(const BridgeOptions&) = delete;
  BridgeOptions& operator=(const BridgeOptions&) = delete;
  ~BridgeOptions() = default;

  void declare(OptionSet& options);

  [[nodiscard]] lambda::MappingOptions mapping() const;
  // What the function's environment gets besides Lambda's own variables: AWS_* of ours, then --env.
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> environment() const;
  // A variable as the function will see it.
  [[nodiscard]] std::optional<std::string> function_variable(std::string_view name) const;
  [[nodiscard]] std::string region() const;
  [[nodiscard]] std::string name() const;  // of the function
  [[nodiscard]] bool function_is_url() const;

  KafkaOptions kafka;
  std::string function;
  std::string function_name;
  std::int64_t memory_mib = 256;
  std::int64_t concurrency = 1;
  Millis timeout{60'000};
  bool freeze = false;
  FunctionLogs function_logs = FunctionLogs::kPrefixed;
  bool create_table = false;
  lambda::EventSourceKind source = lambda::EventSourceKind::kSelfManaged;
  std::string source_arn;
  StartPosition start;
  bool exit_at_end = false;
  std::string on_failure;  // a directory, or `topic:NAME`
  std::uint64_t seed = 0;

 private:
  void declare_function(OptionSet& options);
  void declare_batches(OptionSet& options);
  void declare_failures(OptionSet& options);
  void declare_chaos(OptionSet& options);
  Result<void> read_chaos(std::string_view text);
  Result<void> read_age(std::string_view text);
  Result<void> read_variable(std::string_view text);
  [[nodiscard]] Result<void> check();

  bool provisioned_ = false;
  std::string start_text_ = "earliest";
  std::int64_t batch_size_ = 100;
  Millis window_{500};
  std::int64_t retries_ = -1;
  std::string age_text_ = "-1";
  std::optional<Millis> age_;
  bool bisect_ = false;
  bool report_item_failures_ = false;
  std::string chaos_text_;
  lambda::Chaos chaos_;
  std::optional<std::int64_t> seed_;
  std::string variable_text_;
  std::vector<std::pair<std::string, std::string>> variables_;
};

}  // namespace culvert
