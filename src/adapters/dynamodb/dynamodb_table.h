// SPDX-License-Identifier: Apache-2.0
// The aggregate table in three DynamoDB tables.
//
// Flow    FlushRequest -> [DynamoDbTable] -> conditional puts, many in flight -> FlushResult; readers: queries, scans.
// Owner   a command or function holds one per process; calls may come from several threads and run side by side.
// Time    flush_deadline bounds a flush, retries included; the wall clock serves signatures only.
// Bounds  connections_most connections, and twice as many puts under way over all flushes; scan_items_most items for a
//         sorted scan.
// See     item_codec.h, docs/formats.md: DynamoDB tables.
//
// Outcomes.  Whatever does not say clearly that a put was carried out or not (time-out, lost or cut reply, 5xx) is
// repeated with the same condition until the deadline and then reported as kUnknown.  Our own put whose reply was lost
// comes back as a conflict that shows what we wrote.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "adapters/aws/credentials.h"
#include "adapters/clock/clock.h"
#include "adapters/dynamodb/api.h"
#include "adapters/dynamodb/flush_job.h"
#include "adapters/dynamodb/item_codec.h"
#include "adapters/http/client.h"
#include "pipeline/ports.h"

namespace culvert::dynamodb {

struct Options {
  std::string table;                 // items; 3 to 255 letters, digits, `_`, `-` and `.`
  std::string checkpoints_table{};   // empty: STEM-checkpoints, STEM being the table's name without `-aggregates`
  std::string dead_letters_table{};  // empty: STEM-dead-letters
  std::string region{};              // empty: $AWS_REGION, $AWS_DEFAULT_REGION, the profile's
  std::string endpoint_url{};        // empty: $AWS_ENDPOINT_URL_DYNAMODB, $AWS_ENDPOINT_URL, the region's own
  ItemFormat format{};
  std::size_t connections_most = 64;
  bool own_thread = true;  // of the HTTP client; without it begin_flush() moves only while some other call waits
  std::chrono::milliseconds connect_timeout{3'000};
  std::chrono::milliseconds request_timeout{5'000};
  std::chrono::milliseconds flush_deadline{30'000};
  std::chrono::milliseconds backoff_least{25};
  std::chrono::milliseconds backoff_most{5'000};
  // A scan in order of device must be sorted here, as DynamoDB has no order between devices.
  std::size_t scan_items_most = 4'000'000;
  int scan_segments = 4;
  std::string ca_file{};  // PEM; see http::ClientOptions
  std::string ca_pem{};
  aws::Environment environment = aws::process_environment;
  std::optional<std::uint64_t> random_seed{};  // see ApiOptions
};

class DynamoDbTable final : public AggregateTable, public TableReader {
 public:
  // Reads options and environment; nothing is sent yet.  `clock` and `resolver` must outlive the table.
  // Error: kConfiguration, fatal.
  [[nodiscard]] static Result<std::unique_ptr<DynamoDbTable>> open(Options options, const Clock& clock,
                                                                   http::Resolver& resolver);
  // The same with a resolver of its own.
  [[nodiscard]] static Result<std::unique_ptr<DynamoDbTable>> open(Options options, const Clock& clock);
  // The same over another network than the machine's.
  [[nodiscard]] static Result<std::unique_ptr<DynamoDbTable>> open(Options options, const Clock& clock,
                                                                   std::unique_ptr<http::Transport> transport);
  ~DynamoDbTable() override;

  // Makes the tables that are not there (on-demand billing) and waits until all can be used; then checks them.
  [[nodiscard]] Result<void> create_tables(KeyType key_type);
  // Error: kConfiguration: a table is missing or its key is another; the message names which and how.  Where the policy
  // does not permit DescribeTable nothing is checked, and a wrong table shows at the first put.
  // nullopt: either key type will do.
  [[nodiscard]] Result<void> check_tables(std::optional<KeyType> key_type);

  // A put into each of the three tables whose condition cannot hold: nothing is changed, and that the condition is
  // refused proves that the put is permitted.  Error (kPermission): it is not.
  [[nodiscard]] Result<void> check_writable(KeyType key_type);

  // One table never mixes two definitions: the first caller's is stored, and another one is refused (kData) with the
  // differences; so is a table of another format.
  [[nodiscard]] Result<void> claim_definition(const Definition& definition);
  // Stem of the attributes that hold values: the definition's.  Before the first flush, load or scan.
  void set_value_name(const std::string& value_name) { format_.value_name = value_name; }
  // nullopt: nobody has claimed it yet.  Error (kData): the table has a format that this program does not know.
  [[nodiscard]] Result<std::optional<Definition>> definition();

  FlushResult flush(const FlushRequest& request) override;
  void begin_flush(const FlushRequest& request, std::function<void(FlushResult)> done) override;
  Result<std::vector<std::optional<Image>>> load(std::span<const ItemKey> keys) override;
  Result<std::optional<Checkpoint>> load_checkpoint(const StreamPartition& where) override;
  void interrupt() override;

  // With a device: a query, page by page.  Without: the whole table is read and sorted.
  Result<void> scan_items(const ItemFilter& filter, const std::function<bool(const StoredItem&)>& visit) override;
  Result<std::vector<PartitionCheckpoint>> checkpoints() override;
  Result<void> scan_dead_letters(const std::function<bool(const DeadLetter&)>& visit) override;
  // As DescribeTable says, which AWS brings up to date every six hours; nullopt where the policy does not permit it.
  Result<std::optional<TableSize>> size_estimate() override;
  void watch_scans(std::function<bool(std::int64_t)> tick) override { scan_tick_ = std::move(tick); }

  // For whoever has less time than the options say (a function near its end); applies to calls that begin later.
  void set_flush_deadline(std::chrono::milliseconds deadline) { flush_deadline_ms_ = deadline.count(); }
  // Reads the CA certificates and fetches credentials now, instead of at the first call.
  [[nodiscard]] Result<void> prepare();
  // The same without waiting: the first call waits for what is still missing, and tells what failed.
  void prepare_meanwhile();

  [[nodiscard]] const TableNames& names() const { return names_; }
  [[nodiscard]] http::Transport::Stats http_stats() { return client_->stats(); }
  [[nodiscard]] Api::Counters api_counters();

 private:
  DynamoDbTable(Options options, const Clock& clock, ApiOptions api_options,
                std::unique_ptr<http::Resolver> own_resolver, std::unique_ptr<http::Transport> transport);
  // Completes `options` from the environment and says where calls go.
  [[nodiscard]] static Result<ApiOptions> complete(Options& options);

  using JsonObject = boost::json::object;
  using ItemVisitor = std::function<Result<bool>(const JsonObject& item)>;
  struct KeySchema {
    const std::string& table;
    std::string_view hash;
    std::string_view hash_type;  // empty: N or S
    std::string_view range;
    std::string_view range_type;
  };
  enum class TableState : std::uint8_t { kMissing, kNotReady, kReady };

  [[nodiscard]] Api::Steady deadline() const;
  // One call, waiting for its result on the caller's thread.
  [[nodiscard]] ApiResult call(std::string_view operation, const std::string& table, std::string body);
  [[nodiscard]] Result<JsonObject> call_json(std::string_view operation, const std::string& table, std::string body);
  // All pages of a Query or Scan; `body` is the request without its closing brace.
  [[nodiscard]] Result<void> pages(std::string_view operation, const std::string& table, const std::string& body,
                                   const ItemVisitor& visit);
  // The items that exist of at most 100 keys (JSON objects, all different).
  [[nodiscard]] Result<std::vector<JsonObject>> batch_get(const std::string& table, std::span<const std::string> keys);

  [[nodiscard]] std::array<KeySchema, 3> schemas(std::optional<KeyType> key_type) const;
  // nullopt: there is no such table.
  [[nodiscard]] Result<std::optional<JsonObject>> description(const std::string& table);
  [[nodiscard]] Result<TableState> describe(const KeySchema& schema);
  [[nodiscard]] Result<void> create_table(const KeySchema& schema);
  [[nodiscard]] Result<void> enable_expiry();

  [[nodiscard]] Result<void> query_device(const ItemFilter& filter,
                                          const std::function<bool(const StoredItem&)>& visit);
  // What the segments of one scan share.
  struct Scan {
    const ItemFilter& filter;
    std::atomic<std::int64_t> read{0};
    std::atomic<std::int64_t> kept{0};
    std::atomic<bool> stop{false};
  };
  [[nodiscard]] Result<void> scan_segment(Scan& scan, int segment, std::vector<StoredItem>& items);
  [[nodiscard]] Result<std::vector<StoredItem>> scan_sorted(const ItemFilter& filter);
  using DeadLetterKey = std::pair<StreamPartition, Offset>;
  [[nodiscard]] Result<std::vector<DeadLetterKey>> dead_letter_keys();
  [[nodiscard]] Result<std::vector<DeadLetter>> read_dead_letters(std::span<const DeadLetterKey> keys);
  [[nodiscard]] Result<void> read_parts(StoredDeadLetter& stored);

  const Options options_;
  const TableNames names_;
  ItemFormat format_;
  std::function<bool(std::int64_t)> scan_tick_;
  const Clock& clock_;
  const std::unique_ptr<http::Resolver> own_resolver_;  // null: the caller's is used
  std::atomic<std::int64_t> flush_deadline_ms_;
  PutWindow puts_;                           // I/O thread
  std::unique_ptr<http::Transport> client_;  // ended first: its callbacks use the others
  std::unique_ptr<aws::CredentialChain> credentials_;
  std::unique_ptr<Api> api_;
  std::jthread preparing_;
};

}  // namespace culvert::dynamodb
