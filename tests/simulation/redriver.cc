// SPDX-License-Identifier: Apache-2.0
#include "simulation/redriver.h"

#include <fmt/format.h>

#include <map>
#include <utility>

#include "decode/json_decoder.h"

namespace culvert::simulation {

Redriver::Redriver(Shared& shared, int number, bool late) : shared_(shared), number_(number), late_(late) {}

Redriver::~Redriver() {
  if (busy()) fiber_.kill();
}

void Redriver::begin() {
  done_.reset();
  // A new one for each run: one that was killed leaves its calls behind.
  table_ = shared_.table.blocking([this] {
    if (!shared_.healed && shared_.rng.chance(50)) fiber_.yield();
  });
  if (shared_.trace) shared_.trace(fmt::format("redriver {}: begins{}", number_, late_ ? ", late letters too" : ""));
  fiber_.begin([this] { run(); });
}

void Redriver::step() { fiber_.resume(); }

void Redriver::kill() {
  if (shared_.trace) shared_.trace(fmt::format("redriver {}: is killed", number_));
  fiber_.kill();
}

void Redriver::run() {
  JsonDecoder decoder(shared_.world.definition());
  auto stats = redrive(decoder);
  if (!stats) {
    const bool asked_for = stats.error().retriable || stats.error().message.find("was refused") != std::string::npos;
    if (shared_.healed || !asked_for) {
      shared_.checker.violate(fmt::format("redriver {}: {}", number_, stats.error().message));
    }
    return;
  }
  if (shared_.trace) {
    shared_.trace(fmt::format("redriver {}: {} letters, {} repaired, {} held, {} windows", number_, stats->letters,
                              stats->repaired, stats->held, stats->windows));
  }
  const std::int64_t groups =
      stats->repaired + stats->held + stats->broken + stats->late + stats->generation + stats->open + stats->expired;
  if (stats->letters != groups) {
    shared_.checker.violate(fmt::format("redriver {}: {} letters in groups of {}", number_, stats->letters, groups));
  }
  done_ = *stats;
}

Result<RedriveStats> Redriver::redrive(Decoder& decoder) {
  RedriveOptions options;
  options.definition = shared_.world.definition();
  options.late = late_;
  options.items_at_once = static_cast<std::size_t>(shared_.rng.between(1, 12));
  const auto checkpoints = shared_.table.reader().checkpoints();
  if (!checkpoints) return checkpoints.error();
  std::map<StreamPartition, PartitionRedrive> partitions;
  for (const PartitionCheckpoint& at : *checkpoints) {
    partitions.try_emplace(at.where, options, decoder, at.where, at.checkpoint);
  }
  const auto scanned = shared_.table.reader().scan_dead_letters([&](const DeadLetter& letter) {
    partitions.try_emplace(letter.where, options, decoder, letter.where, std::nullopt).first->second.add(letter);
    return true;
  });
  if (!scanned) return scanned.error();
  for (const auto& [where, partition] : partitions) {
    if (auto good = partition.check(); !good) return good.error();
  }
  RedriveStats sum;
  const int attempts_most = shared_.healed ? 200 : static_cast<int>(shared_.rng.between(0, 8));
  const auto wait = [&](int attempt, const Error&) {
    if (!shared_.healed) fiber_.yield();
    return attempt <= attempts_most;
  };
  for (auto& [where, partition] : partitions) {
    const auto stats = partition.run(*table_, wait);
    if (!stats) return stats.error();
    sum.add(*stats);
  }
  return sum;
}

}  // namespace culvert::simulation
