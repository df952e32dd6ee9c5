// SPDX-License-Identifier: Apache-2.0
#include "adapters/dynamodb/flush_job.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <utility>

namespace culvert::dynamodb {

Result<std::optional<boost::json::object>> item_of_conflict(const std::string& body, const std::string& table) {
  boost::json::error_code failed;
  auto value = boost::json::parse(body, failed);
  auto* object = failed ? nullptr : value.if_object();
  if (object == nullptr) {
    return Error::retriable_error(ErrorKind::kUnavailable,
                                  fmt::format("table '{}': a failed condition whose response cannot be read", table));
  }
  auto* item = object->if_contains("Item");
  if (item == nullptr || !item->is_object()) return std::optional<boost::json::object>();
  return std::optional<boost::json::object>(std::move(item->get_object()));
}

FlushJob::FlushJob(Api& api, const TableNames& tables, const ItemFormat& format, const FlushRequest& request,
                   PutWindow& window, Api::Steady deadline, Done done)
    : api_(api),
      tables_(tables),
      format_(format),
      request_(request),
      window_(window),
      deadline_(deadline),
      done_(std::move(done)) {
  result_.items.resize(request.items.size());
  for (std::size_t letter = 0; letter < request.dead_letters.size(); ++letter) {
    const std::size_t count = dead_letter_parts(request.dead_letters[letter]);
    for (std::size_t part = 0; part < count; ++part) parts_.push_back({letter, part});
  }
}

void FlushJob::start() {
  ++window_.flushes;
  pump();
}

std::size_t FlushJob::size() const {
  switch (step_) {
    case Step::kParts:
      return parts_.size();
    case Step::kDeadLetters:
      return request_.dead_letters.size();
    case Step::kItems:
      return request_.items.size();
    case Step::kCheckpoint:
      return request_.checkpoint ? 1 : 0;
    case Step::kDone:
      break;
  }
  return 0;
}

// A put may end before put() returns (no credentials, say): then pump() is entered from within itself, and the outer
// one goes on.
void FlushJob::pump() {
  if (std::exchange(pumping_, true)) return;
  while (step_ != Step::kDone) {
    while (!stop_ && next_ < size() && in_flight_ < window_.share()) put(next_++);
    if (in_flight_ > 0) break;
    if (!next_step()) step_ = Step::kDone;
  }
  pumping_ = false;
  if (step_ == Step::kDone && done_) {
    --window_.flushes;
    std::exchange(done_, nullptr)(std::move(result_));
  }
}

bool FlushJob::next_step() {
  next_ = 0;
  switch (step_) {
    case Step::kParts:
    case Step::kDeadLetters:
      if (step_failed_) {
        result_.dead_letters = maybe_done_ ? PutStatus::kUnknown : PutStatus::kNotTried;
        return false;
      }
      if (step_ == Step::kParts) {
        step_ = Step::kDeadLetters;
      } else {
        result_.dead_letters = PutStatus::kStored;
        step_ = Step::kItems;
      }
      return true;
    case Step::kItems:
      step_ = Step::kCheckpoint;
      return !step_failed_ && !conflict_ && request_.checkpoint.has_value();
    case Step::kCheckpoint:
    case Step::kDone:
      break;
  }
  return false;
}

const std::string& FlushJob::table() const {
  switch (step_) {
    case Step::kItems:
      return tables_.items;
    case Step::kCheckpoint:
      return tables_.checkpoints;
    default:
      return tables_.dead_letters;
  }
}

std::string FlushJob::body(std::size_t index) const {
  switch (step_) {
    case Step::kParts:
      return dead_letter_part_put(tables_, request_.dead_letters[parts_[index].letter], parts_[index].part);
    case Step::kDeadLetters:
      return dead_letter_put(tables_, request_.dead_letters[index]);
    case Step::kItems:
      return item_put(tables_, format_, request_.items[index]);
    case Step::kCheckpoint:
      return checkpoint_put(tables_, request_.where, *request_.checkpoint);
    case Step::kDone:
      break;
  }
  CULVERT_CHECK(false, "a put after the end of a flush");
}

void FlushJob::put(std::size_t index) {
  ++in_flight_;
  api_.call("PutItem", table(), body(index), deadline_,
            [self = shared_from_this(), step = step_, index](const ApiResult& result) {
              --self->in_flight_;
              self->on_result(step, index, result);
              self->pump();
            });
}

void FlushJob::on_result(Step step, std::size_t index, const ApiResult& result) {
  switch (step) {
    case Step::kParts:
    case Step::kDeadLetters:
      maybe_done_ = maybe_done_ || result.answer == Answer::kOk || result.maybe_done;
      // A failed condition says that it is stored already, which is what was wanted.
      if (result.answer != Answer::kOk && result.answer != Answer::kConditionFailed) failed(result);
      break;
    case Step::kItems:
      item_result(index, result);
      break;
    case Step::kCheckpoint:
      checkpoint_result(result);
      break;
    case Step::kDone:
      CULVERT_CHECK(false, "a result after the end of a flush");
  }
}

void FlushJob::failed(const ApiResult& result) {
  step_failed_ = true;
  // One that gave up used up the deadline of all; a refusal would only be repeated.
  stop_ = true;
  if (!result_.error || !result.error.retriable) result_.error = result.error;
}

// Without a refused condition the answer says all; with one, what is stored instead is still to be read.
template <class Stored>
bool FlushJob::decided(PutOutcome<Stored>& outcome, const ApiResult& result) {
  if (result.answer == Answer::kConditionFailed) return false;
  if (result.answer == Answer::kOk) {
    outcome.status = PutStatus::kStored;
  } else {
    outcome.status = result.maybe_done ? PutStatus::kUnknown : PutStatus::kNotTried;
    failed(result);
  }
  return true;
}

void FlushJob::item_result(std::size_t index, const ApiResult& result) {
  PutOutcome<Image>& outcome = result_.items[index];
  if (decided(outcome, result)) return;
  auto item = item_of_conflict(result.body, tables_.items);
  std::optional<Error> unreadable = item ? std::nullopt : std::optional(item.error());
  if (!unreadable && *item) {
    auto stored = read_item(**item, tables_.items, format_.value_name);
    if (stored) {
      outcome.current = std::move(stored->image);
    } else {
      unreadable = stored.error();
    }
  }
  if (unreadable) {
    // What is stored is known not to be what was put; without it nothing can be decided.
    outcome.status = PutStatus::kNotTried;
    return failed({.error = *unreadable});
  }
  outcome.status = PutStatus::kConflict;
  conflict_ = true;
}

void FlushJob::checkpoint_result(const ApiResult& result) {
  PutOutcome<Checkpoint>& outcome = result_.checkpoint;
  if (decided(outcome, result)) return;
  auto item = item_of_conflict(result.body, tables_.checkpoints);
  if (!item) return failed({.error = item.error()});
  if (*item) {
    auto stored = read_checkpoint(**item, tables_.checkpoints);
    if (!stored) return failed({.error = stored.error()});
    outcome.current = std::move(stored->checkpoint);
  }
  outcome.status = PutStatus::kConflict;
}

}  // namespace culvert::dynamodb
