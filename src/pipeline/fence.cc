// SPDX-License-Identifier: Apache-2.0
#include "pipeline/fence.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "model/check.h"
#include "model/mutant.h"

namespace culvert {

Fence::Fence(Offset next, std::vector<OffsetRange> holes) : next_(next) {
  Offset above{0};
  for (const OffsetRange& hole : holes) {
    CULVERT_CHECK(above <= hole.first && !hole.empty() && hole.next <= next_, "holes are not ascending below next");
    above = hole.next;
  }
  if (!holes.empty()) holes_ = std::move(holes);
}

bool Fence::covers(Offset offset) const {
  if (offset >= next_) return false;
  return std::ranges::none_of(holes(), [&](const OffsetRange& hole) { return hole.contains(offset); });
}

FenceFit Fence::fit(const OffsetRange& contributions) const {
  if (contributions.first >= next_) return FenceFit::kNew;
  bool touches_hole = false;
  for (const OffsetRange& hole : holes()) {
    if (hole.contains(contributions)) return FenceFit::kNew;
    touches_hole = touches_hole || hole.overlaps(contributions);
  }
  return contributions.next <= next_ && !touches_hole ? FenceFit::kCovered : FenceFit::kStraddles;
}

Result<Fence> Fence::advance(const OffsetRange& contributions, const ReadSpan& span) const {
  const Offset advanced = std::max(next_, contributions.next);
  std::vector<OffsetRange> kept;
  const auto keep = [&](Offset first, Offset next) {
    if (first < next) kept.push_back(OffsetRange{first, next});
  };
  for (const OffsetRange& hole : holes()) {
    keep(hole.first, std::min(hole.next, span.read.first));
    keep(std::max(hole.first, span.read.next), hole.next);
  }
  // Between what is known to be folded and what was read lies what somebody else may still bring.
  if (!CULVERT_MUTANT(kNoHoles)) keep(std::max(next_, span.prefix), std::min(span.read.first, advanced));
  std::sort(kept.begin(), kept.end());
  if (kept.size() > kHolesMost) {
    return Error::fatal(ErrorKind::kData,
                        fmt::format("an item would have {} gaps in its offset fence (at most {}): redrive the batches "
                                    "that were discarded, oldest first, by their documents or from the log "
                                    "(dead-letters redrive), or let `consume` read the topic to its end; if no batch "
                                    "is ever discarded, the gaps are empty: say so (CULVERT_GAPS=empty)",
                                    kept.size(), kHolesMost));
  }
  return Fence{advanced, std::move(kept)};
}

const Fence& Fences::at(std::string_view name) const {
  static const Fence kNothingFolded;
  for (const Entry& entry : entries()) {
    if (entry.name.text() == name) return entry.fence;
  }
  return kNothingFolded;
}

void Fences::set(const FenceName& name, Fence fence) {
  CULVERT_CHECK(!name.text().empty(), "a fence needs a name");
  Entry entry{name, std::move(fence)};
  if (!several_) {
    if (empty() || only_.name == name) {
      only_ = std::move(entry);
      return;
    }
    several_.make().push_back(std::exchange(only_, {}));
  }
  std::vector<Entry>& entries = *several_;
  const auto at =
      std::lower_bound(entries.begin(), entries.end(), name,
                       [](const Entry& held, const FenceName& wanted) { return held.name.text() < wanted.text(); });
  if (at != entries.end() && at->name == name) {
    *at = std::move(entry);
  } else {
    entries.insert(at, std::move(entry));
  }
}

void Fences::share(const FenceName& name) {
  for (Entry& entry : several_ ? std::span(*several_) : std::span(&only_, 1)) {
    if (entry.name == name) entry.name = name;
  }
}

std::size_t Fences::memory_bytes() const {
  std::size_t bytes = several_ ? sizeof(std::vector<Entry>) + several_->capacity() * sizeof(Entry) : 0;
  for (const Entry& entry : entries()) {
    const std::size_t holes = entry.fence.holes().size();
    if (holes > 0) bytes += sizeof(std::vector<OffsetRange>) + holes * sizeof(OffsetRange);
  }
  return bytes;
}

namespace {

// Topic names are letters, digits, `.`, `_` and `-` (Kafka's rule), so only a foreign table could hold anything that
// needs encoding; it is still read back exactly.
std::string encode_name(std::string_view name) {
  std::string text;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= ' ' || c == '%' || c == ':' || c == '[' || byte >= 0x7f) {
      text += fmt::format("%{:02X}", byte);
    } else {
      text += c;
    }
  }
  return text;
}

Error unreadable(std::string_view text) {
  return Error::fatal(ErrorKind::kData, fmt::format("stored offset fences '{}' cannot be read", text));
}

class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}
  [[nodiscard]] bool done() const { return rest_.empty(); }
  bool take(char c) {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool number(Offset& offset) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
    if (error != std::errc{} || value < 0 || rest_.front() == '-') return false;
    rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
    offset = Offset{value};
    return true;
  }
  bool name(std::string& out) {
    const auto colon = rest_.find(':');
    if (colon == std::string_view::npos || colon == 0) return false;
    for (std::size_t i = 0; i < colon; ++i) {
      if (rest_[i] != '%') {
        out += rest_[i];
        continue;
      }
      unsigned byte = 0;
      if (i + 2 >= colon) return false;
      const auto [end, error] = std::from_chars(rest_.data() + i + 1, rest_.data() + i + 3, byte, 16);
      if (error != std::errc{} || end != rest_.data() + i + 3) return false;
      out += static_cast<char>(byte);
      i += 2;
    }
    rest_.remove_prefix(colon + 1);
    return true;
  }

 private:
  std::string_view rest_;
};

bool read_fence(Reader& reader, std::string& name, Fence& fence) {
  Offset next;
  std::vector<OffsetRange> holes;
  if (!reader.name(name) || !reader.number(next)) return false;
  if (reader.take('[')) {
    Offset above{0};
    do {
      OffsetRange hole;
      if (!reader.number(hole.first) || !reader.take('-') || !reader.number(hole.next)) return false;
      if (hole.first < above || hole.empty() || hole.next > next) return false;
      above = hole.next;
      holes.push_back(hole);
    } while (reader.take(','));
    if (!reader.take(']') || holes.size() > kHolesMost) return false;
  }
  fence = Fence{next, std::move(holes)};
  return true;
}

}  // namespace

std::string fences_text(const Fences& fences) {
  std::string text;
  for (const Fences::Entry& entry : fences.entries()) {
    if (!text.empty()) text += ' ';
    text += encode_name(entry.name.text());
    text += ':';
    text += std::to_string(entry.fence.next().value());
    char separator = '[';
    for (const OffsetRange& hole : entry.fence.holes()) {
      text += fmt::format("{}{}-{}", separator, hole.first.value(), hole.next.value());
      separator = ',';
    }
    if (separator == ',') text += ']';
  }
  return text;
}

Result<Fences> parse_fences(std::string_view text) {
  Fences fences;
  Reader reader{text};
  std::string last;
  while (!reader.done()) {
    std::string name;
    Fence fence;
    if (!fences.empty() && !reader.take(' ')) return unreadable(text);
    if (!read_fence(reader, name, fence) || (!fences.empty() && name <= last)) return unreadable(text);
    fences.set(std::string_view(name), std::move(fence));
    last = std::move(name);
  }
  return fences;
}

}  // namespace culvert
