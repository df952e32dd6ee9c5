// SPDX-License-Identifier: Apache-2.0
// A virtual daemon: the real GroupMember, and a consumer, network and process around it that misbehave.
//
// Flow    Group says assign, revoke, lost -> [Daemon] -> GroupMember -> effects -> pending operations -> answers.
// Owner   Simulation.
// Time    step() does one thing; which one is drawn.  Operations have a part on the wire, which goes on while the
//         process is paused, and an answer, which does not.
// Bounds  the operations the member has asked for.
// See     src/pipeline/group_member.h.  Whatever the effects' contract forbids is a violation.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "decode/decoder.h"
#include "pipeline/group_member.h"
#include "simulation/checker.h"
#include "simulation/rng.h"
#include "simulation/virtual_table.h"
#include "simulation/world.h"

// `2#7`: partition 2 as assigned the 7th time.
template <>
struct fmt::formatter<culvert::Claim> : fmt::formatter<std::string_view> {
  auto format(const culvert::Claim& claim, fmt::format_context& context) const {
    return fmt::format_to(context.out(), "{}#{}", claim.partition.value(), claim.assignment.value());
  }
};

namespace culvert::simulation {

// What all workers of a run share.
struct Shared {
  Rng& rng;
  World& world;
  VirtualTable& table;
  Checker& checker;
  std::function<void(const std::string&)> trace;  // empty: no trace is wanted
  bool healed = false;                            // no more faults
};

class Daemon final : public MemberEffects {
 public:
  // `drained` is told when a revoke may be confirmed.
  Daemon(Shared& shared, int number, std::function<void(const Claim&)> drained);

  // A process begins; the one before, if there was one, is gone with everything unwritten.
  void start(std::optional<Offset> replay_from = {});
  void crash();
  [[nodiscard]] bool running() const { return member_ != nullptr; }
  [[nodiscard]] int number() const { return number_; }

  // Makes new claims; assign() then tells the member of them.
  std::vector<Claim> next_claims(const std::vector<PartitionId>& partitions);
  void assign();
  // The claim that the daemon believes it has of the partition.
  [[nodiscard]] std::optional<Claim> held(PartitionId partition) const;
  void revoke(const std::vector<Claim>& claims, bool lost);
  // The same, but the daemon hears of it later, in its own time.
  void revoke_later(const std::vector<Claim>& claims);
  void abandon(const Claim& claim) { member_->abandon(claim); }

  void pause_process() { paused_ = true; }
  void wake_process() { paused_ = false; }
  [[nodiscard]] bool paused() const { return paused_; }

  // One thing that can happen; false: nothing can.
  bool step();
  void flush_all();
  // Everything that can be read has been read and given in, and no operation is under way.
  [[nodiscard]] bool settled() const;
  // When settled, the member must be where the log ends.
  void check_positions();
  [[nodiscard]] std::string status() const;

  void load(const Claim& claim) override;
  void read_from(const Claim& claim, Offset offset) override;
  void load_images(const Claim& claim, std::vector<ItemKey> keys) override;
  void flush(const Claim& claim, std::shared_ptr<const FlushRequest> request,
             const std::optional<Error>& after) override;
  void commit(const Claim& claim, Offset next) override;
  void pause(const Claim& claim) override;
  void resume(const Claim& claim) override;
  void drained(const Claim& claim) override;
  void fail(const Error& error) override;

 private:
  // What the consumer knows of a claim.
  struct Reader {
    Offset position{0};
    std::uint64_t seeks = 0;  // records fetched before the last one are stale
    Offset told_end{-1};      // the log end that the member was told of
    bool reading = false;
    bool paused = false;
    bool fetching = false;
    bool flushing = false;
    bool drained = false;
  };
  // An operation: `wire` is one step outside of the process and returns false when there are no more; then `answer`.
  struct Operation {
    const char* what;
    Claim claim;
    std::function<bool()> wire;
    std::function<void()> answer;
  };

  template <class... Args>
  void trace(fmt::format_string<Args...> format, Args&&... args) const {
    if (!shared_.trace) return;
    shared_.trace(fmt::format("daemon {}: {}", number_, fmt::format(format, std::forward<Args>(args)...)));
  }
  Reader& reader(const Claim& claim, const char* effect);
  void submit(Operation operation);
  bool step_operation();
  bool fetch();
  void deliver(const Claim& claim, std::uint64_t seeks, const std::vector<Record>& records, std::optional<Offset> end);
  void say_position(const Claim& claim);
  void check_stats();
  [[nodiscard]] const VirtualPartition& log(const Claim& claim) const;
  [[nodiscard]] LogState log_state(const Claim& claim) const;
  [[nodiscard]] std::vector<Claim> fetchable() const;

  Shared& shared_;
  const int number_;
  std::function<void(const Claim&)> on_drained_;
  std::unique_ptr<Decoder> decoder_;
  std::unique_ptr<GroupMember> member_;
  std::map<Claim, Reader> readers_;
  std::vector<Operation> operations_;
  std::vector<Claim> coming_;  // made by next_claims(), not told yet
  std::uint64_t assignments_ = 0;
  std::int64_t delivered_ = 0;
  int depth_ = 0;  // of operations answered inside of a call
  bool paused_ = false;
  bool failed_ = false;
};

}  // namespace culvert::simulation
