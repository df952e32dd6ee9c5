// SPDX-License-Identifier: Apache-2.0
#include "adapters/dynamodb/dynamodb_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <future>
#include <map>
#include <thread>
#include <utility>

#include "adapters/http/client.h"

namespace culvert::dynamodb {

namespace {

// With the next put signed and waiting while a connection's reply is under way, the connection is never idle for the
// time that making a put takes.
constexpr std::size_t kPutsAConnection = 2;
constexpr std::size_t kBatchKeysMost = 100;  // DynamoDB's limit of BatchGetItem

// The row of the checkpoint table that says what the table's windows are.  A stream's name always holds an `@`.
constexpr std::string_view kDefinitionStream = "culvert";
// What items, checkpoints and dead letters look like, as a number in that row; absent, as it once was: 1.
constexpr std::string_view kTableFormat = "1";

bool is_table_name(std::string_view name) {
  return name.size() >= 3 && name.size() <= 255 && std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
                  c == '.';
         });
}

std::string default_endpoint(const std::string& region) {
  return fmt::format("https://dynamodb.{}.amazonaws.com{}", region, region.starts_with("cn-") ? ".cn" : "");
}

// infra/modules/aggregate_table names its three tables NAME-aggregates, NAME-checkpoints and NAME-dead-letters.
TableNames names_of(const Options& options) {
  constexpr std::string_view kAggregates = "-aggregates";
  std::string stem = options.table;
  if (stem.ends_with(kAggregates)) stem.resize(stem.size() - kAggregates.size());
  return {options.table, options.checkpoints_table.empty() ? stem + "-checkpoints" : options.checkpoints_table,
          options.dead_letters_table.empty() ? stem + "-dead-letters" : options.dead_letters_table};
}

Error unreadable(const std::string& table, std::string_view operation) {
  return Error::retriable_error(ErrorKind::kUnavailable,
                                fmt::format("table '{}': {}: a response that cannot be read", table, operation));
}

std::string key_json(const ItemKey& key) {
  std::string out = "{";
  append_item_key(out, key);
  return out + "}";
}

std::string begin_request(const std::string& table) { return fmt::format(R"({{"TableName":"{}")", table); }

http::ClientOptions client_options(const Options& options) {
  http::ClientOptions client;
  client.connections_most = options.connections_most;
  client.connect_timeout = options.connect_timeout;
  client.request_timeout = options.request_timeout;
  client.own_thread = options.own_thread;
  client.ca_file = options.ca_file;
  client.ca_pem = options.ca_pem;
  return client;
}

}  // namespace

Result<std::unique_ptr<DynamoDbTable>> DynamoDbTable::open(Options options, const Clock& clock,
                                                           http::Resolver& resolver) {
  if (const auto sound = complete(options); !sound) return sound.error();
  auto client = std::make_unique<http::Client>(client_options(options), resolver);
  return open(std::move(options), clock, std::move(client));
}

Result<std::unique_ptr<DynamoDbTable>> DynamoDbTable::open(Options options, const Clock& clock) {
  auto api = complete(options);
  if (!api) return api.error();
  auto resolver = std::make_unique<http::DnsResolver>();
  auto client = std::make_unique<http::Client>(client_options(options), *resolver);
  return std::unique_ptr<DynamoDbTable>(
      new DynamoDbTable(std::move(options), clock, *std::move(api), std::move(resolver), std::move(client)));
}

Result<std::unique_ptr<DynamoDbTable>> DynamoDbTable::open(Options options, const Clock& clock,
                                                           std::unique_ptr<http::Transport> transport) {
  auto api = complete(options);
  if (!api) return api.error();
  return std::unique_ptr<DynamoDbTable>(
      new DynamoDbTable(std::move(options), clock, *std::move(api), nullptr, std::move(transport)));
}

Result<ApiOptions> DynamoDbTable::complete(Options& options) {
  const auto configuration = [](std::string message) {
    return Error::fatal(ErrorKind::kConfiguration, std::move(message));
  };
  const TableNames names = names_of(options);
  for (const std::string& name : {names.items, names.checkpoints, names.dead_letters}) {
    if (!is_table_name(name)) {
      return configuration(
          fmt::format("table '{}': a DynamoDB table name is 3 to 255 letters, digits, '_', '-' and '.'", name));
    }
  }
  if (options.connections_most == 0) return configuration("at least one connection to DynamoDB is needed");
  if (options.region.empty()) options.region = aws::region_from(options.environment).value_or("");
  if (options.region.empty()) {
    return configuration(fmt::format("table '{}': no AWS region (set --region or AWS_REGION)", options.table));
  }
  std::string endpoint = options.endpoint_url;
  for (const char* variable : {"AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL"}) {
    if (endpoint.empty()) endpoint = options.environment(variable).value_or("");
  }
  if (endpoint.empty()) endpoint = default_endpoint(options.region);
  const auto url = http::parse_url(endpoint);
  if (!url) return url.error();
  return ApiOptions{url->endpoint,
                    options.region,
                    options.backoff_least,
                    options.backoff_most,
                    options.connect_timeout + http::ClientOptions{}.tls_timeout + options.request_timeout,
                    options.random_seed};
}

DynamoDbTable::DynamoDbTable(Options options, const Clock& clock, ApiOptions api_options,
                             std::unique_ptr<http::Resolver> own_resolver, std::unique_ptr<http::Transport> transport)
    : options_(std::move(options)),
      names_(names_of(options_)),
      format_(options_.format),
      clock_(clock),
      own_resolver_(std::move(own_resolver)),
      flush_deadline_ms_(options_.flush_deadline.count()),
      puts_{kPutsAConnection * options_.connections_most},
      client_(std::move(transport)) {
  aws::CredentialOptions chain;
  chain.environment = options_.environment;
  chain.region = options_.region;
  credentials_ = std::make_unique<aws::CredentialChain>(*client_, clock, std::move(chain));
  api_ = std::make_unique<Api>(*client_, *credentials_, clock, std::move(api_options));
}

DynamoDbTable::~DynamoDbTable() {
  if (preparing_.joinable()) {
    client_->abandon();
    preparing_.join();
  }
  client_.reset();
}

Result<void> DynamoDbTable::prepare() {
  if (api_->endpoint().tls) {
    if (auto prepared = client_->prepare_tls(); !prepared) return prepared;
  }
  if (auto credentials = credentials_->get_blocking(); !credentials) return credentials.error();
  return {};
}

void DynamoDbTable::prepare_meanwhile() {
  // What failed comes back from the first call that needs it.
  preparing_ = std::jthread([this] { (void)prepare(); });
}

void DynamoDbTable::interrupt() {
  client_->post([this] { api_->give_up(); });
  client_->abandon();
}

Api::Counters DynamoDbTable::api_counters() {
  return client_->wait_for<Api::Counters>([this](std::function<void(Api::Counters)> done) {
    client_->post([this, told = std::move(done)] { told(api_->counters()); });
  });
}

Api::Steady DynamoDbTable::deadline() const {
  return clock_.steady() + std::chrono::milliseconds{flush_deadline_ms_.load()};
}

ApiResult DynamoDbTable::call(std::string_view operation, const std::string& table, std::string body) {
  return client_->wait_for<ApiResult>([&](Api::Done done) {
    client_->post([&, until = deadline(), told = std::move(done)] {
      api_->call(operation, table, std::move(body), until, told);
    });
  });
}

Result<DynamoDbTable::JsonObject> DynamoDbTable::call_json(std::string_view operation, const std::string& table,
                                                           std::string body) {
  const ApiResult result = call(operation, table, std::move(body));
  if (result.answer != Answer::kOk) return result.error;
  boost::json::error_code failed;
  auto value = boost::json::parse(result.body, failed);
  if (failed || !value.is_object()) return unreadable(table, operation);
  return std::move(value.get_object());
}

FlushResult DynamoDbTable::flush(const FlushRequest& request) {
  return client_->wait_for<FlushResult>([&](FlushJob::Done done) { begin_flush(request, std::move(done)); });
}

void DynamoDbTable::begin_flush(const FlushRequest& request, std::function<void(FlushResult)> done) {
  const auto job = std::make_shared<FlushJob>(*api_, names_, format_, request, puts_, deadline(), std::move(done));
  client_->post([job] { job->start(); });
}

Result<std::vector<DynamoDbTable::JsonObject>> DynamoDbTable::batch_get(const std::string& table,
                                                                        std::span<const std::string> keys) {
  CULVERT_CHECK(keys.size() <= kBatchKeysMost, "more keys than one BatchGetItem takes");
  std::string wanted = fmt::format("[{}]", fmt::join(keys, ","));
  std::vector<JsonObject> items;
  const auto until = deadline();
  for (int attempt = 1;; ++attempt) {
    auto response =
        call_json("BatchGetItem", table,
                  fmt::format(R"({{"RequestItems":{{"{}":{{"ConsistentRead":true,"Keys":{}}}}}}})", table, wanted));
    if (!response) return response.error();
    auto* tables = response->if_contains("Responses");
    auto* found = tables == nullptr || !tables->is_object() ? nullptr : tables->get_object().if_contains(table);
    if (found != nullptr && found->is_array()) {
      for (auto& item : found->get_array()) {
        if (!item.is_object()) return unreadable(table, "BatchGetItem");
        items.push_back(std::move(item.get_object()));
      }
    }
    auto* unprocessed = response->if_contains("UnprocessedKeys");
    auto* rest =
        unprocessed == nullptr || !unprocessed->is_object() ? nullptr : unprocessed->get_object().if_contains(table);
    auto* left = rest == nullptr || !rest->is_object() ? nullptr : rest->get_object().if_contains("Keys");
    if (left == nullptr || !left->is_array() || left->get_array().empty()) return items;
    wanted = boost::json::serialize(*left);
    const auto pause = std::min(options_.backoff_most, options_.backoff_least * (1 << std::min(attempt, 10)));
    if (clock_.steady() + pause >= until) {
      return Error::retriable_error(
          ErrorKind::kUnavailable,
          fmt::format("table '{}': BatchGetItem: still throttled after {} attempts", table, attempt));
    }
    std::this_thread::sleep_for(pause);
  }
}

Result<std::vector<std::optional<Image>>> DynamoDbTable::load(std::span<const ItemKey> keys) {
  // Each key once, as DynamoDB refuses duplicates.
  std::map<ItemKey, std::optional<Image>> images;
  for (const ItemKey& key : keys) images.try_emplace(key);
  std::vector<std::string> texts;
  texts.reserve(images.size());
  for (const auto& [key, image] : images) texts.push_back(key_json(key));

  std::vector<std::future<Result<std::vector<JsonObject>>>> batches;
  constexpr std::size_t kBatchesAtOnce = 8;
  std::size_t next = 0;
  std::optional<Error> error;
  while (next < texts.size() || !batches.empty()) {
    while (next < texts.size() && batches.size() < kBatchesAtOnce && !error) {
      const auto batch =
          std::span<const std::string>(texts).subspan(next, std::min(kBatchKeysMost, texts.size() - next));
      next += batch.size();
      batches.push_back(std::async(std::launch::async, [this, batch] { return batch_get(names_.items, batch); }));
    }
    if (batches.empty()) break;
    auto items = batches.front().get();
    batches.erase(batches.begin());
    if (!items && !error) error = items.error();
    for (std::size_t i = 0; items && !error && i < items->size(); ++i) {
      auto stored = read_item((*items)[i], names_.items, format_.value_name);
      if (stored) {
        images[stored->key] = std::move(stored->image);
      } else {
        error = stored.error();
      }
    }
  }
  if (error) return *error;
  std::vector<std::optional<Image>> result;
  result.reserve(keys.size());
  for (const ItemKey& key : keys) result.push_back(images[key]);
  return result;
}

Result<std::optional<Checkpoint>> DynamoDbTable::load_checkpoint(const StreamPartition& where) {
  std::string body = begin_request(names_.checkpoints) + R"(,"ConsistentRead":true,"Key":{"stream":{"S":)";
  append_json_string(body, where.stream());
  body += fmt::format(R"(}},"partition":{{"N":"{}"}}}}}})", where.partition.value());
  auto response = call_json("GetItem", names_.checkpoints, std::move(body));
  if (!response) return response.error();
  const auto* item = response->if_contains("Item");
  if (item == nullptr) return std::optional<Checkpoint>();
  if (!item->is_object()) return unreadable(names_.checkpoints, "GetItem");
  auto stored = read_checkpoint(item->get_object(), names_.checkpoints);
  if (!stored) return stored.error();
  return std::optional<Checkpoint>(std::move(stored->checkpoint));
}

Result<void> DynamoDbTable::claim_definition(const Definition& definition) {
  std::string body = begin_request(names_.checkpoints) + R"(,"Item":{"stream":{"S":")";
  body.append(kDefinitionStream).append(R"("},"partition":{"N":"0"},"format":{"N":")").append(kTableFormat);
  body += R"("},"definition":{"S":)";
  append_json_string(body, definition_text(definition));
  body += R"json(}},"ConditionExpression":"attribute_not_exists(#stream)",)json";
  body += R"json("ExpressionAttributeNames":{"#stream":"stream"}})json";
  const ApiResult result = call("PutItem", names_.checkpoints, std::move(body));
  if (result.answer == Answer::kOk) return {};
  if (result.answer != Answer::kConditionFailed) return result.error;
  auto stored = this->definition();
  if (!stored) return stored.error();
  if (!*stored || **stored == definition) return {};
  return Error::fatal(ErrorKind::kData,
                      fmt::format("table '{}' was made with another definition: {} (use the table's, or another table)",
                                  names_.items, definition_difference(**stored, definition)));
}

Result<std::optional<Definition>> DynamoDbTable::definition() {
  auto response =
      call_json("GetItem", names_.checkpoints,
                fmt::format(R"({},"ConsistentRead":true,"Key":{{"stream":{{"S":"{}"}},"partition":{{"N":"0"}}}}}})",
                            begin_request(names_.checkpoints), kDefinitionStream));
  if (!response) return response.error();
  const auto* item = response->if_contains("Item");
  if (item == nullptr) return std::optional<Definition>();
  if (!item->is_object()) return unreadable(names_.checkpoints, "GetItem");
  const JsonObject& row = item->get_object();
  // First, as in another format the definition may be another, too.
  const auto format = row.contains("format") ? attribute(row, "format", "N").value_or("unknown") : kTableFormat;
  if (format != kTableFormat) {
    return Error::fatal(ErrorKind::kData,
                        fmt::format("table '{}': its format is {}, and this culvert knows format {} (use the culvert "
                                    "that made it, or consume into another table)",
                                    names_.items, format, kTableFormat));
  }
  const auto text = attribute(row, "definition", "S");
  if (!text) return unreadable(names_.checkpoints, "GetItem");
  auto definition = parse_definition(*text);
  if (!definition) return definition.error().within(fmt::format("table '{}'", names_.checkpoints));
  return std::optional<Definition>(*std::move(definition));
}

}  // namespace culvert::dynamodb
