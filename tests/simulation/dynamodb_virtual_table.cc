// SPDX-License-Identifier: Apache-2.0
#include "simulation/dynamodb_virtual_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <chrono>
#include <map>
#include <string>
#include <utility>

#include "adapters/clock/clock.h"
#include "adapters/dynamodb/dynamodb_table.h"
#include "adapters/http/transport.h"
#include "fakes/dynamodb_store.h"
#include "model/check.h"
#include "simulation/fiber.h"

namespace culvert::simulation {

namespace {

namespace json = boost::json;

using fakes::DynamoDbStore;
using fakes::StoreReply;
using fakes::WriteFault;
using fakes::WriteKind;
using std::chrono::milliseconds;

constexpr std::string_view kTable = "windows";
constexpr std::string_view kCheckpoints = "windows-checkpoints";
constexpr std::string_view kDeadLetters = "windows-dead-letters";

http::Failure broken(const char* what) { return {Error::retriable_error(ErrorKind::kUnavailable, what), true}; }

http::Outcome answered(const StoreReply& reply) { return http::Response{reply.status, {}, reply.body}; }

// What is behind the network: the one table that all workers share.
class Service {
 public:
  Service(Rng& rng, const Definition& definition) : rng_(rng.next()), value_name_(definition.value_name) {
    create(kTable, {"device_id", definition.key_type == KeyType::kNumber ? "N" : "S"}, {"window_start", "S"});
    create(kCheckpoints, {"stream", "S"}, {"partition", "N"});
    create(kDeadLetters, {"position", "S"}, {"offset", "N"});
  }

  void watch(TableObservers observers) { observers_ = std::move(observers); }
  void set_faults(fakes::FaultPolicy policy) { policy_ = std::move(policy); }
  void fail_reads(int count) { read_failures_ = count; }
  [[nodiscard]] Rng& rng() { return rng_; }

  http::Outcome carry_out(const http::Request& request) {
    const std::string* target = http::find_header(request.headers, "X-Amz-Target");
    CULVERT_CHECK(target != nullptr && http::find_header(request.headers, "Authorization") != nullptr,
                  "a call that is none of DynamoDB's, or not signed");
    const std::string operation = target->substr(target->rfind('.') + 1);
    const json::object body = json::parse(request.body).as_object();
    if (operation == "PutItem") return write(body);
    if (read_failures_ > 0 && operation.ends_with("GetItem")) {
      --read_failures_;
      return not_carried_out();
    }
    return answered(store_.run(operation, body));
  }

  void release_delayed() {
    for (const json::object& body : std::exchange(delayed_, {})) put(body);
  }

 private:
  struct Key {
    const char* name;
    const char* type;
  };
  void create(std::string_view table, Key hash, Key range) {
    json::object request{{"KeySchema", json::array()}, {"AttributeDefinitions", json::array()}};
    for (const auto& [key, role] : {std::pair(hash, "HASH"), std::pair(range, "RANGE")}) {
      request["KeySchema"].as_array().push_back({{"AttributeName", key.name}, {"KeyType", role}});
      request["AttributeDefinitions"].as_array().push_back({{"AttributeName", key.name}, {"AttributeType", key.type}});
    }
    store_.create(std::string(table), request);
  }

  http::Outcome write(const json::object& body) {
    static const StreamPartition kNowhere{};
    const json::string_view table = body.at("TableName").as_string();
    const WriteKind kind = table == kTable         ? WriteKind::kItem
                           : table == kCheckpoints ? WriteKind::kCheckpoint
                                                   : WriteKind::kDeadLetter;
    switch (policy_ ? policy_(fakes::Write{kind, ++writes_, kNowhere, nullptr}) : WriteFault::kNone) {
      case WriteFault::kNone:
        return answered(put(body));
      case WriteFault::kLost:
        return not_carried_out();
      case WriteFault::kReplyLost:
        return reply_lost(put(body));
      case WriteFault::kDelayed:
        delayed_.push_back(body);
        return broken("the connection was reset");
      case WriteFault::kThrottled:
        return throttled();
      case WriteFault::kRefused:
        return answered(fakes::error_reply(400, "AccessDeniedException", "the write was refused"));
      case WriteFault::kRepeated:
        put(body);
        return answered(put(body));
      case WriteFault::kEchoed:
        delayed_.push_back(body);
        return answered(put(body));
    }
    CULVERT_CHECK(false, "unknown fault");
  }

  http::Outcome not_carried_out() {
    switch (rng_.below(4)) {
      case 0:
        return answered(fakes::error_reply(500, "InternalServerError", "internal"));
      case 1:
        return http::Response{503, {}, "<html>no healthy upstream</html>"};
      case 2:
        return http::Failure{Error::retriable_error(ErrorKind::kUnavailable, "connection refused"), false};
      default:
        return broken("the connection was reset");
    }
  }

  // It was carried out, and nothing says so.
  http::Outcome reply_lost(const StoreReply& reply) {
    switch (rng_.below(4)) {
      case 0:
        return answered(fakes::error_reply(500, "InternalServerError", "internal"));
      case 1:
        return http::Response{200, {}, "<html>a gateway's own</html>"};
      case 2:
        return reply.status == 200 ? http::Outcome(broken("the server closed the connection in mid-response"))
                                   : http::Outcome(http::Response{502, {}, reply.body.substr(0, 9)});
      default:
        return broken("no answer in time");
    }
  }

  http::Outcome throttled() {
    switch (rng_.below(3)) {
      case 0:
        return answered(fakes::error_reply(400, "ProvisionedThroughputExceededException", "too fast"));
      case 1:
        return answered(fakes::error_reply(400, "ThrottlingException", "too fast"));
      default:
        return http::Response{429, {}, ""};
    }
  }

  StoreReply put(const json::object& body) {
    const std::string table(body.at("TableName").as_string());
    const json::object& item = body.at("Item").as_object();
    const std::optional<json::object> before = find(table, item);
    StoreReply reply = store_.run("PutItem", body);
    CULVERT_CHECK(reply.status == 200 || reply.body.find("ConditionalCheckFailed") != std::string::npos, reply.body);
    if (reply.status != 200) return reply;
    if (table == kTable && observers_.item) {
      const StoredItem after = read(item);
      const std::optional<StoredItem> known = before ? std::optional(read(*before)) : std::nullopt;
      observers_.item(after.key, known ? &known->image : nullptr, after.image);
    } else if (table == kCheckpoints && observers_.checkpoint && item.contains("next")) {
      const PartitionCheckpoint after = checkpoint(item);
      const auto known = before ? std::optional(checkpoint(*before)) : std::nullopt;
      observers_.checkpoint(after.where, known ? &known->checkpoint : nullptr, after.checkpoint);
    } else if (table == kDeadLetters && observers_.dead_letter) {
      const auto letter = dynamodb::read_dead_letter(item, table);
      CULVERT_CHECK(letter.ok() && letter->parts == 0, "a dead letter of the simulation fits one item");
      if (!before) observers_.dead_letter(letter->letter);
    }
    return reply;
  }

  std::optional<json::object> find(const std::string& table, const json::object& item) {
    const auto [hash, range] = table == kTable         ? std::pair("device_id", "window_start")
                               : table == kCheckpoints ? std::pair("stream", "partition")
                                                       : std::pair("position", "offset");
    const json::object request{{"TableName", table}, {"Key", {{hash, item.at(hash)}, {range, item.at(range)}}}};
    const StoreReply reply = store_.run("GetItem", request);
    CULVERT_CHECK(reply.status == 200, reply.body);
    json::object found = json::parse(reply.body).as_object();
    if (!found.contains("Item")) return std::nullopt;
    return found.at("Item").as_object();
  }

  [[nodiscard]] StoredItem read(const json::object& item) const {
    auto stored = dynamodb::read_item(item, kTable, value_name_);
    CULVERT_CHECK(stored.ok(), stored.error().message);
    return *std::move(stored);
  }

  static PartitionCheckpoint checkpoint(const json::object& item) {
    auto stored = dynamodb::read_checkpoint(item, kCheckpoints);
    CULVERT_CHECK(stored.ok(), stored.error().message);
    return *std::move(stored);
  }

  Rng rng_;
  const std::string value_name_;
  DynamoDbStore store_;
  TableObservers observers_;
  fakes::FaultPolicy policy_;
  int read_failures_ = 0;
  std::uint64_t writes_ = 0;
  std::vector<json::object> delayed_;
};

// One worker's way to the service.  Whoever posts a task waits for its result, so everything that the task sets going
// is carried through before post() returns: requests in any order, and between them, at their times, the pauses.
class VirtualNetwork final : public http::Transport {
 public:
  VirtualNetwork(Service& service, ManualClock& clock, std::function<void()> let_others)
      : service_(service), clock_(clock), let_others_(std::move(let_others)) {}

  Result<void> prepare_tls() override { return {}; }
  void send(const http::Endpoint&, http::Request request, http::Callback callback) override {
    requests_.push_back({std::move(request), std::move(callback)});
  }
  void abandon() override {}
  void post(std::function<void()> task) override {
    task();
    while (move()) {
    }
  }
  void after(milliseconds delay, std::function<void()> task) override {
    timers_.emplace(clock_.steady() + delay, std::move(task));
  }
  Stats stats() override { return {}; }

 protected:
  void wait(Waiting& waiting) override { CULVERT_CHECK(waiting.over, "a task that ended without its result"); }
  void end_wait(Waiting& waiting) override { waiting.over = true; }

 private:
  struct Sent {
    http::Request request;
    http::Callback callback;
  };

  bool move() {
    if (!requests_.empty()) {
      if (let_others_) let_others_();
      const auto at = static_cast<std::ptrdiff_t>(service_.rng().below(requests_.size()));
      const Sent sent = std::move(requests_[static_cast<std::size_t>(at)]);
      requests_.erase(requests_.begin() + at);
      clock_.move(milliseconds{service_.rng().between(1, 5)});
      sent.callback(service_.carry_out(sent.request));
      return true;
    }
    if (timers_.empty()) return false;
    const auto due = timers_.begin();
    const auto task = std::move(due->second);
    clock_.move(std::chrono::duration_cast<std::chrono::microseconds>(
        std::max(due->first - clock_.steady(), SteadyTime::duration::zero())));
    timers_.erase(due);
    task();
    return true;
  }

  Service& service_;
  ManualClock& clock_;
  std::function<void()> let_others_;
  std::vector<Sent> requests_;
  std::multimap<SteadyTime, std::function<void()>> timers_;
};

// A worker's own DynamoDbTable.
class Session final : public AggregateTable {
 public:
  Session(Service& service, const std::string& value_name, std::function<void()> let_others)
      : clock_(WallTime{std::chrono::hours{24 * 20'000}}) {
    dynamodb::Options options;
    options.table = kTable;
    options.region = "eu-central-1";
    options.endpoint_url = "http://dynamodb.test";
    options.format.value_name = value_name;
    options.connections_most = static_cast<std::size_t>(service.rng().between(1, 6));
    options.flush_deadline = milliseconds{service.rng().between(5, 400)};
    options.backoff_most = milliseconds{200};
    options.scan_segments = 1;
    options.random_seed = service.rng().next();
    options.environment = [](const char* variable) -> std::optional<std::string> {
      const std::string_view name(variable);
      if (name == "AWS_ACCESS_KEY_ID") return "simulation";
      if (name == "AWS_SECRET_ACCESS_KEY") return "secret";
      return std::nullopt;
    };
    auto opened = dynamodb::DynamoDbTable::open(
        std::move(options), clock_, std::make_unique<VirtualNetwork>(service, clock_, std::move(let_others)));
    CULVERT_CHECK(opened.ok(), opened.error().message);
    table_ = *std::move(opened);
  }

  FlushResult flush(const FlushRequest& request) override { return table_->flush(request); }
  Result<std::vector<std::optional<Image>>> load(std::span<const ItemKey> keys) override { return table_->load(keys); }
  Result<std::optional<Checkpoint>> load_checkpoint(const StreamPartition& where) override {
    return table_->load_checkpoint(where);
  }
  [[nodiscard]] dynamodb::DynamoDbTable& table() { return *table_; }

 private:
  ManualClock clock_;
  std::unique_ptr<dynamodb::DynamoDbTable> table_;
};

class DynamoDbFlushing final : public Flushing {
 public:
  DynamoDbFlushing(Service& service, const std::string& value_name, const FlushRequest& request)
      : session_(service, value_name, [this] { fiber_.yield(); }) {
    fiber_.begin([this, &request] { result_ = session_.flush(request); });
  }
  ~DynamoDbFlushing() override {
    if (fiber_.busy()) fiber_.kill();
  }

  bool step() override {
    if (!fiber_.busy()) return false;
    fiber_.resume();
    return true;
  }
  FlushResult& result() override { return result_; }

 private:
  Session session_;
  FlushResult result_;
  Fiber fiber_;  // last: its task uses the others
};

class DynamoDbVirtualTable final : public VirtualTable {
 public:
  DynamoDbVirtualTable(Rng& rng, const Definition& definition)
      : value_name_(definition.value_name), service_(rng, definition), at_once_(service_, value_name_, {}) {}

  void watch(TableObservers observers) override { service_.watch(std::move(observers)); }
  void set_faults(fakes::FaultPolicy policy) override { service_.set_faults(std::move(policy)); }
  // Some are overcome by the next attempt, some are not.
  void fail_reads(int count) override { service_.fail_reads(count * static_cast<int>(service_.rng().between(1, 4))); }
  void release_delayed() override { service_.release_delayed(); }
  void write_checkpoint_first() override { CULVERT_CHECK(false, "the adapter has no such mistake to switch on"); }
  std::unique_ptr<Flushing> begin_flush(const FlushRequest& request) override {
    return std::make_unique<DynamoDbFlushing>(service_, value_name_, request);
  }
  AggregateTable& at_once() override { return at_once_; }
  std::unique_ptr<AggregateTable> blocking(std::function<void()> let_others) override {
    return std::make_unique<Session>(service_, value_name_, std::move(let_others));
  }
  TableReader& reader() override { return at_once_.table(); }

 private:
  const std::string value_name_;
  Service service_;
  Session at_once_;
};

}  // namespace

std::unique_ptr<VirtualTable> dynamodb_virtual_table(Rng& rng, const Definition& definition) {
  return std::make_unique<DynamoDbVirtualTable>(rng, definition);
}

}  // namespace culvert::simulation
