// SPDX-License-Identifier: Apache-2.0
#include "app/site/metrics_text.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <optional>
#include <sstream>
#include <vector>

namespace culvert {

using dashboard::Board;
using dashboard::FlushTimes;
using dashboard::PartitionState;
using dashboard::Snapshot;

namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

class Families {
 public:
  void counter(const std::string& name, const std::string& help, std::int64_t value) {
    begin(name, help, MetricType::Counter);
    add({}, static_cast<double>(value));
  }
  void gauge(const std::string& name, const std::string& help, std::optional<double> value) {
    begin(name, help, MetricType::Gauge);
    if (value) add({}, *value);
  }
  void begin(const std::string& name, const std::string& help, MetricType type) {
    families_.push_back({name, help, type, {}});
  }
  // To the family begun last.
  void add(Labels labels, double value) {
    ClientMetric metric;
    metric.label = std::move(labels);
    metric.counter.value = value;
    metric.gauge.value = value;
    families_.back().metric.push_back(std::move(metric));
  }
  void histogram(const std::string& name, const std::string& help, const FlushTimes& times) {
    begin(name, help, MetricType::Histogram);
    ClientMetric metric;
    std::uint64_t below = 0;
    for (std::size_t i = 0; i < FlushTimes::kMost.size(); ++i) {
      below += static_cast<std::uint64_t>(times.counts[i]);
      metric.histogram.bucket.push_back({below, FlushTimes::kMost[i]});
    }
    metric.histogram.sample_count = static_cast<std::uint64_t>(times.count);
    metric.histogram.sample_sum = times.sum_seconds;
    families_.back().metric.push_back(std::move(metric));
  }
  // A family without a sample says nothing, and its HELP alone is noise.
  [[nodiscard]] std::string text() const {
    std::vector<MetricFamily> filled;
    for (const MetricFamily& family : families_) {
      if (!family.metric.empty()) filled.push_back(family);
    }
    std::ostringstream out;
    prometheus::TextSerializer().Serialize(out, filled);
    return out.str();
  }

 private:
  std::vector<MetricFamily> families_;
};

template <class Value>
void by_partition(Families& out, const std::string& name, const std::string& help, const Snapshot& now,
                  const Labels& also, Value value) {
  out.begin(name, help, MetricType::Gauge);
  for (const PartitionState& partition : now.partitions) {
    const std::optional<double> found = value(partition);
    if (!found) continue;
    Labels labels = also;
    labels.push_back({"partition", std::to_string(partition.partition.value())});
    out.add(std::move(labels), *found);
  }
}

std::optional<double> real(const auto& strong) {
  return strong ? std::optional<double>(static_cast<double>(strong->value())) : std::nullopt;
}

void put_group(Families& out, const Board& board, const Snapshot& now) {
  if (board.about().group.empty()) return;
  const Labels labels{{"consumergroup", board.about().group}, {"topic", board.about().topic}};
  by_partition(out, "kafka_consumergroup_lag", "Records between the committed position and the end of the partition.",
               now, labels, [](const PartitionState& at) {
                 return at.lag() ? std::optional<double>(static_cast<double>(*at.lag())) : std::nullopt;
               });
  by_partition(out, "kafka_consumergroup_current_offset", "Next offset that is not in the table yet.", now, labels,
               [](const PartitionState& at) { return real(at.committed); });
}

void put_partitions(Families& out, const Board& board, const Snapshot& now) {
  const Labels labels{{"topic", board.about().topic}};
  by_partition(out, "culvert_log_end_offset", "Next offset that will be written to the partition.", now, labels,
               [](const PartitionState& at) { return real(at.log_end); });
  by_partition(out, "culvert_watermark_timestamp_seconds", "Event time below which no reading is expected any more.",
               now, labels, [](const PartitionState& at) {
                 const auto watermark = real(at.watermark);
                 return watermark ? std::optional<double>(*watermark / 1e3) : std::nullopt;
               });
  by_partition(out, "culvert_event_time_lag_seconds", "Wall clock less the newest event time of the partition.", now,
               labels, [&](const PartitionState& at) {
                 const auto newest = real(at.newest);
                 return newest ? std::optional<double>((static_cast<double>(now.at_ms) - *newest) / 1e3) : std::nullopt;
               });
}

void put_records(Families& out, const Snapshot& now) {
  out.counter("culvert_records_read_total", "Records read from Kafka.", now.records_read);
  out.counter("culvert_bytes_read_total", "Bytes of keys and values read from Kafka.", now.bytes_read);
  out.counter("culvert_records_checkpointed_total", "Records that are in the table for good.", now.records_stored);
  out.counter("culvert_records_filtered_total", "Records below a checkpoint, dealt with before.", now.filtered);
  out.counter("culvert_records_fence_filtered_total", "Records that the items' offset fences held already.",
              now.fence_filtered);
  out.counter("culvert_records_late_total", "Readings that came after their windows' allowed lateness.", now.late);
  out.counter("culvert_dead_letters_total", "Records set aside, late ones among them.", now.dead_letter_count());
  out.begin("culvert_decode_errors_total", "Records that are no reading, by reason.", MetricType::Counter);
  for (std::size_t i = 1; i < now.dead_letters.size(); ++i) {
    const auto reason = static_cast<DeadLetterReason>(i);
    if (reason == DeadLetterReason::kLate || reason == DeadLetterReason::kGeneration) continue;
    out.add({{"reason", std::string(reason_name(reason))}}, static_cast<double>(now.dead_letters[i]));
  }
}

void put_table(Families& out, const Snapshot& now) {
  out.counter("culvert_item_puts_total", "Items stored by conditional puts.", now.puts);
  out.counter("culvert_conflicts_total", "Conditional puts that found another version.", now.conflicts);
  out.counter("culvert_unknown_outcomes_total", "Puts whose outcome was not known and that were repeated.",
              now.unknown_outcomes);
  out.counter("culvert_refolds_total", "Partitions read again because somebody else had folded a part.", now.refolds);
  out.begin("culvert_retries_total", "Flushes that did not finish and were tried again, by kind of error.",
            MetricType::Counter);
  for (const auto& [kind, count] : now.retries) out.add({{"code", kind}}, static_cast<double>(count));
  out.histogram("culvert_flush_duration_seconds", "Duration of the table's part of a flush.", now.flushes);
  out.gauge("culvert_table_reachable", "1 if the last access to the table succeeded.", now.table_reachable ? 1 : 0);
  out.gauge("culvert_open_windows", "Items with contributions that are not written yet.",
            static_cast<double>(now.open_items));
  out.gauge("culvert_pending_bytes", "Memory of unwritten contributions, images and dead letters.",
            static_cast<double>(now.memory_bytes));
}

void put_member(Families& out, const Snapshot& now) {
  out.counter("culvert_rebalances_total", "Assignments of partitions to this member.", now.rebalances);
  out.gauge("culvert_assigned_partitions", "Partitions that this member reads.",
            static_cast<double>(now.partitions.size()));
  out.gauge("culvert_paused", "1 while reading waits for memory.",
            now.state == dashboard::StreamState::kPaused ? 1 : 0);
}

}  // namespace

std::string metrics_text(const Board& board, const Snapshot& now) {
  Families out;
  put_group(out, board, now);
  put_partitions(out, board, now);
  if (now.consuming) {
    put_records(out, now);
    put_table(out, now);
    put_member(out, now);
  } else {
    out.gauge("culvert_table_reachable", "1 if the last access to the table succeeded.", now.table_reachable ? 1 : 0);
  }
  out.gauge("culvert_start_time_seconds", "When the process started, since the epoch.",
            static_cast<double>(now.started_ms) / 1e3);
  out.begin("culvert_build_info", "1, with what the program was built from.", MetricType::Gauge);
  Labels labels;
  for (const auto& [name, value] : board.about().versions) {
    if (name == "culvert") labels.push_back({"version", value});
    if (name == "git") labels.push_back({"revision", value});
  }
  out.add(std::move(labels), 1);
  return out.text();
}

}  // namespace culvert
