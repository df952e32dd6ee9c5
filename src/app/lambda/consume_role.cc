// SPDX-License-Identifier: Apache-2.0
#include "app/lambda/consume_role.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <mutex>
#include <random>
#include <thread>

#include "app/lambda/aws_authorities.h"
#include "app/options/dynamodb_options.h"
#include "decode/json_decoder.h"

namespace culvert::function {

namespace {

using std::chrono::milliseconds;

constexpr std::size_t kPartitionsAtOnceMost = 8;
constexpr std::size_t kConnectionsMost = 64;  // over all loops
constexpr std::size_t kImagesMost = 50'000;   // of a partition; about 140 bytes each
constexpr milliseconds kFlushMost{30'000};
// Between giving up and the moment at which Lambda would end the invocation: time for the answer, on a slow share of a
// processor.
constexpr milliseconds kMarginLeast{100};
constexpr milliseconds kMarginMost{1'500};
constexpr milliseconds kBackoffLeast{25};
constexpr milliseconds kBackoffMost{2'000};

constexpr std::string_view kAllSucceeded = R"({"batchItemFailures":[]})";

milliseconds backoff(int attempt) {
  thread_local std::minstd_rand random{std::random_device{}()};
  const auto most = std::min<std::int64_t>(kBackoffMost.count(), kBackoffLeast.count() << std::min(attempt, 10));
  return milliseconds{std::uniform_int_distribution<std::int64_t>(0, most)(random)};
}

Error out_of_time() {
  return Error::retriable_error(ErrorKind::kTryAgain,
                                "the invocation's time is nearly over: the batch fails and comes again (raise the "
                                "function's time-out or memory, or lower the batch size)");
}

enum class Gaps : std::uint8_t { kKeep, kEmpty };

class ConsumeRole final : public Role {
 public:
  void declare(OptionSet& options) override {
    table_.declare(options, TableUse::kFunction);
    definition_.declare(options);
    options.integer("generation", {1, std::int64_t{1} << 53}, &generation_,
                    "Incarnation of the topic; raise it when the topic was deleted and made anew.");
    options.choice<Gaps>("gaps", {{"keep", Gaps::kKeep}, {"empty", Gaps::kEmpty}}, &gaps_,
                         "Offsets missing between batches: keep room for a batch that was discarded, or know that they "
                         "are empty, as the event source never discards.");
    options.finish([this]() -> Result<void> {
      const auto& expire_after = table_.table().expire_after;
      if (expire_after && *expire_after <= definition_.definition().allowed_lateness) {
        return Error::fatal(ErrorKind::kConfiguration,
                            "CULVERT_EXPIRE_AFTER must be longer than CULVERT_ALLOWED_LATENESS");
      }
      if (table_.table().kind == TableKind::kDynamoDb) return {};
      return Error::fatal(ErrorKind::kConfiguration, "CULVERT_TABLE: a function has no disk: say dynamodb:NAME");
    });
  }

  Result<std::unique_ptr<lambda::Handler>> make_handler(const RoleContext& context) override {
    dynamodb::Options options = dynamodb_options(table_.table());
    options.environment = context.environment;
    options.format.value_name = definition_.definition().value_name;
    options.own_thread = false;  // a handler has nothing to do but wait for its table
    options.connections_most = std::max<std::size_t>(4, kConnectionsMost / static_cast<std::size_t>(context.loops));
    const auto bundle = context.environment("AWS_CA_BUNDLE");
    if (bundle) {
      options.ca_file = *bundle;
    } else {
      options.ca_pem = aws_authorities();
    }
    auto table = dynamodb::DynamoDbTable::open(std::move(options), context.clock, context.resolver);
    if (!table) return table.error();
    // A TLS context takes longer than all the rest of a cold start.  It is made while the first invocation is asked
    // for; only a file that may be wrong is waited for, so that it is told before any batch fails for it.
    if (bundle) {
      if (auto prepared = (*table)->prepare(); !prepared) return prepared.error();
    } else {
      (*table)->prepare_meanwhile();
    }

    PipelineOptions pipeline;
    pipeline.definition = definition_.definition();
    pipeline.expire_after = table_.table().expire_after;
    pipeline.gaps_are_empty = gaps_ == Gaps::kEmpty;
    pipeline.images_most = kImagesMost;
    std::random_device salt;
    pipeline.hash_salt = (std::uint64_t{salt()} << 32U) | salt();
    context.log.debug("ready", nullptr,
                      {{"table", table_.table().name},
                       {"definition", definition_text(pipeline.definition)},
                       {"gaps_are_empty", pipeline.gaps_are_empty}});
    return std::unique_ptr<lambda::Handler>(
        std::make_unique<ConsumeHandler>(context, std::move(pipeline), generation_, *std::move(table)));
  }

 private:
  TableOptions table_;
  DefinitionOptions definition_;
  std::int64_t generation_ = 1;
  // Keeping room costs nothing while offsets are dense, and makes a redrive exact whoever discarded the batch.  A topic
  // with gaps of its own needs the other, and may have it where nothing is discarded.
  Gaps gaps_ = Gaps::kKeep;
};

}  // namespace

std::unique_ptr<Role> make_consume_role() { return std::make_unique<ConsumeRole>(); }

// ---- the table within the time of an invocation ---------------------------------------------------------------------

void TimedTable::begin(SteadyTime give_up) {
  give_up_ = give_up;
  flush_us_ = 0;
}

std::int64_t TimedTable::flush_ms() const { return flush_us_.load() / 1'000; }

Result<void> TimedTable::limit() {
  const auto left = std::chrono::floor<milliseconds>(give_up_ - clock_.steady());
  if (left <= milliseconds{0}) return out_of_time();
  table_.set_flush_deadline(std::min(left, kFlushMost));
  return {};
}

FlushResult TimedTable::flush(const FlushRequest& request) {
  if (auto limited = limit(); !limited) {
    FlushResult result;
    result.items.resize(request.items.size());
    result.error = limited.error();
    return result;
  }
  const SteadyTime began = clock_.steady();
  FlushResult result = table_.flush(request);
  flush_us_ += std::chrono::floor<std::chrono::microseconds>(clock_.steady() - began).count();
  return result;
}

Result<std::vector<std::optional<Image>>> TimedTable::load(std::span<const ItemKey> keys) {
  if (auto limited = limit(); !limited) return limited.error();
  return table_.load(keys);
}

Result<std::optional<Checkpoint>> TimedTable::load_checkpoint(const StreamPartition& where) {
  if (auto limited = limit(); !limited) return limited.error();
  return table_.load_checkpoint(where);
}

Result<void> TimedTable::claim(const Definition& definition) {
  if (auto limited = limit(); !limited) return limited;
  // Reading first: nearly always somebody has claimed it before, and a put that is refused costs a write.
  auto stored = table_.definition();
  if (!stored) return stored.error();
  if (*stored && **stored == definition) return {};
  return table_.claim_definition(definition);
}

// ---- between invocations --------------------------------------------------------------------------------------------

KnownPartitions::Partition KnownPartitions::take(const StreamPartition& where) {
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(partitions_.begin(), partitions_.end(),
                                  [&](const Partition& known) { return known->where() == where; });
  if (found == partitions_.end()) return nullptr;
  Partition taken = std::move(*found);
  bytes_ -= taken->memory_bytes();
  partitions_.erase(found);
  return taken;
}

void KnownPartitions::keep(Partition partition) {
  const std::lock_guard lock(mutex_);
  bytes_ += partition->memory_bytes();
  partitions_.push_front(std::move(partition));
  while (partitions_.size() > kPartitionsMost || bytes_ > kBytesMost) {
    bytes_ -= partitions_.back()->memory_bytes();
    partitions_.pop_back();
  }
}

// ---- one invocation -------------------------------------------------------------------------------------------------

ConsumeHandler::ConsumeHandler(const RoleContext& context, PipelineOptions options, std::int64_t generation,
                               std::unique_ptr<dynamodb::DynamoDbTable> table)
    : clock_(context.clock),
      log_(context.log),
      options_(std::move(options)),
      generation_(generation),
      table_(std::move(table)),
      timed_(*table_, context.clock) {}

Result<std::string> ConsumeHandler::handle(const lambda::Invocation& invocation, std::string& payload) {
  const SteadyTime began = clock_.steady();
  const auto whole = std::chrono::floor<milliseconds>(invocation.until - began);
  const SteadyTime give_up = invocation.until - std::clamp(whole / 10, kMarginLeast, kMarginMost);
  timed_.begin(give_up);
  Totals totals;
  Result<void> done = reader_.read(payload);
  if (done) done = fold_event(invocation, give_up, totals);
  report(invocation, totals, began, !done.ok());
  if (done) return std::string(kAllSucceeded);
  log_.error("the batch failed and will be delivered again", &invocation,
             {{"error", done.error().message}, {"error_type", lambda::error_type(done.error())}});
  return done.error();
}

Result<void> ConsumeHandler::fold_event(const lambda::Invocation& invocation, SteadyTime give_up, Totals& totals) {
  if (!claimed_) {
    if (auto claimed = timed_.claim(options_.definition); !claimed) return claimed;
    claimed_ = true;
  }
  const std::span<const lambda::EventBatch> batches = reader_.batches();
  std::atomic<std::size_t> next{0};
  std::atomic<std::int64_t> retries{0};
  std::mutex mutex;
  std::optional<Error> error;
  // The time of a batch is round trips to the table, so partitions need not wait for each other.
  const auto work = [&] {
    for (std::size_t i = next++; i < batches.size(); i = next++) {
      auto stats = fold_batch(batches[i], give_up, retries);
      const std::lock_guard lock(mutex);
      if (stats) {
        totals.stats.add(*stats);
        log_.debug("folded", &invocation,
                   {{"topic", batches[i].topic},
                    {"partition", batches[i].partition.value()},
                    {"first", batches[i].records.front().offset.value()},
                    {"next", batches[i].records.back().offset.next().value()},
                    {"records", batches[i].records.size()}});
      } else if (!error) {
        error = stats.error();
      }
    }
  };
  {
    std::vector<std::jthread> others;
    for (std::size_t i = 1; i < std::min(batches.size(), kPartitionsAtOnceMost); ++i) others.emplace_back(work);
    work();
  }
  totals.retries = retries.load();
  return error ? Result<void>(*error) : Result<void>();
}

Result<PipelineStats> ConsumeHandler::fold_batch(const lambda::EventBatch& batch, SteadyTime give_up,
                                                 std::atomic<std::int64_t>& retries) {
  const StreamPartition where{std::string(batch.topic), generation_, batch.partition};
  auto partition = known_.take(where);
  if (!partition) {
    partition =
        std::make_unique<FunctionPartition>(options_, std::make_unique<JsonDecoder>(options_.definition), where);
  }
  const WaitForRetry wait = [&](int attempt, const Error&) {
    const milliseconds pause = backoff(attempt);
    if (clock_.steady() + pause >= give_up) return false;
    ++retries;
    std::this_thread::sleep_for(pause);
    return true;
  };
  auto stats = partition->fold(timed_, batch.records, wait);
  if (stats) known_.keep(std::move(partition));
  if (stats) return stats;
  return stats.error().within(fmt::format("{} [{}, {})", where.name(), batch.records.front().offset.value(),
                                          batch.records.back().offset.next().value()));
}

void ConsumeHandler::report(const lambda::Invocation& invocation, const Totals& totals, SteadyTime began, bool failed) {
  const PipelineStats& stats = totals.stats;
  if (stats.generation > 0) {
    log_.error(
        "records are newer than what was read at their offsets: the topic was made anew; raise CULVERT_GENERATION",
        &invocation, {{"records", stats.generation}});
  }
  const std::array<Metric, 14> metrics{{
      {"records", "Count", stats.read},
      {"folded", "Count", stats.durable.folded},
      {"filtered", "Count", stats.filtered + stats.adopted},
      {"fence_filtered", "Count", stats.fence_filtered},
      {"late", "Count", stats.durable.late},
      {"dead_letters", "Count", stats.durable.dead_letters},
      {"generation", "Count", stats.generation},
      {"puts", "Count", stats.puts},
      {"conflicts", "Count", stats.conflicts},
      {"retries", "Count", totals.retries},
      {"flush_ms", "Milliseconds", timed_.flush_ms()},
      {"batch_ms", "Milliseconds", std::chrono::floor<milliseconds>(clock_.steady() - began).count()},
      {"cold_start", "Count", invocation.cold_start ? 1 : 0},
      {"failed", "Count", failed ? 1 : 0},
  }};
  log_.metrics(metrics, invocation);
}

}  // namespace culvert::function
