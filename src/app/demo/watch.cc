// SPDX-License-Identifier: Apache-2.0
#include "app/demo/watch.h"

#include <fmt/format.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace culvert {

namespace {

// How long after the last record the consumer may need; far more than it does.
constexpr Millis kCatchUpMost{60'000};
// The same after a signal, so that the whole program ends within ten seconds.
constexpr Millis kCatchUpAtStop{5'000};
constexpr Millis kShownSpan{60'000};
constexpr std::size_t kItemsMost = 10'000;

}  // namespace

DemoStop::DemoStop() : descriptor_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  CULVERT_CHECK(descriptor_ >= 0, "eventfd failed: no descriptors left");
}

DemoStop::~DemoStop() { ::close(descriptor_); }

void DemoStop::request() {
  requested_.store(true);
  const std::uint64_t one = 1;
  // The counter cannot be full after a few increments, so there is no outcome to look at.
  [[maybe_unused]] const ssize_t written = ::write(descriptor_, &one, sizeof one);
}

void StoredRecords::note(std::span<const PartitionReport> partitions) {
  for (const PartitionReport& partition : partitions) {
    if (!partition.view.checkpoint_next) continue;
    Offset& next = next_[partition.view.claim.partition];
    next = std::max(next, *partition.view.checkpoint_next);
  }
}

std::int64_t StoredRecords::total() const {
  std::int64_t sum = 0;
  for (const auto& [partition, next] : next_) sum += next.value();
  return sum;
}

DemoWatch::DemoWatch(CommandContext& context, const DemoFeed& feed, TableReader& reader, std::string table_name,
                     DemoStop& stop)
    : context_(context),
      feed_(feed),
      reader_(reader),
      view_(std::move(table_name)),
      stop_(stop),
      draws_(context.out.terminal() && context.live.active()),
      start_(context.clock.steady()) {}

void DemoWatch::on_report(const ConsumeReport& report) {
  note(report);
  if (draws_) {
    draw();
  } else if (last_.seconds != seconds_written_) {
    context_.out.line(demo_line(last_));
    // A reader that went away is noticed when the command ends.
    static_cast<void>(context_.out.flush());
    seconds_written_ = last_.seconds;
  }
  check_end();
}

void DemoWatch::note(const ConsumeReport& report) {
  DemoFigures now;
  now.feed = feed_.figures();
  now.seconds = std::chrono::duration_cast<std::chrono::seconds>(context_.clock.steady() - start_).count();
  now.rate = report.records_per_second;
  now.read = report.stats.read;
  stored_.note(report.partitions);
  now.stored = std::max(report.stats.durable.records, stored_.total());
  now.dead_letters = report.stats.durable.dead_letters + report.stats.durable.late;
  now.late = report.stats.durable.late;
  for (const PartitionReport& partition : report.partitions) {
    if (partition.view.watermark) now.watermarks[partition.view.claim.partition] = *partition.view.watermark;
  }
  last_ = std::move(now);
}

void DemoWatch::draw() {
  ItemFilter newest;
  for (const auto& [partition, watermark] : last_.watermarks) {
    const EventTime from = std::max(kEventTimeFirst, watermark - kShownSpan);
    newest.from = std::max(newest.from.value_or(from), from);
  }
  std::vector<StoredItem> items;
  const auto scanned = reader_.scan_items(newest, [&](const StoredItem& item) {
    items.push_back(item);
    return items.size() < kItemsMost;
  });
  if (!scanned) return context_.log.warning("the table cannot be shown", {{"detail", scanned.error().message}});
  context_.live.show(render_table(view_.frame(last_, std::move(items)), context_.live.size(), context_.colour));
}

void DemoWatch::check_end() {
  const SteadyTime now = context_.clock.steady();
  const DemoFeed::Figures& feed = last_.feed;
  if (feed.error) error_ = feed.error;
  if (feed.done && !feed_done_) feed_done_ = now;
  const bool complete = feed.done && last_.stored >= feed.acknowledged;
  const Millis catch_up_most = context_.stop.requested() ? kCatchUpAtStop : kCatchUpMost;
  if (!complete && feed_done_ && now - *feed_done_ > catch_up_most) {
    error_ = Error::fatal(ErrorKind::kUnavailable,
                          fmt::format("only {} of {} records reached the table within {}", last_.stored,
                                      feed.acknowledged, format_duration(catch_up_most)));
  }
  if (complete || error_) stop_.request();
}

}  // namespace culvert
