// SPDX-License-Identifier: Apache-2.0
#include "adapters/http/dns_message.h"

#include <algorithm>

#include "model/check.h"

namespace culvert::http {

namespace {

constexpr std::size_t kHeaderBytes = 12;
constexpr std::size_t kNameBytesMost = 253;
constexpr std::size_t kAddressesMost = 64;
constexpr std::size_t kAliasesMost = 16;
constexpr std::uint16_t kClassInternet = 1;
constexpr std::uint16_t kTypeAlias = 5;  // CNAME
constexpr std::uint16_t kTypeZone = 6;   // SOA

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

struct ResourceRecord {
  std::string owner;
  std::uint16_t type = 0;
  std::uint16_t dns_class = 0;
  std::uint32_t ttl_s = 0;
  std::size_t data_at = 0;
  std::size_t data_bytes = 0;
};

// Reads a message front to back; every read says whether there was enough.
class MessageReader {
 public:
  explicit MessageReader(std::span<const std::uint8_t> message) : message_(message) {}

  [[nodiscard]] std::size_t at() const { return at_; }
  [[nodiscard]] std::uint8_t byte(std::size_t at) const { return message_[at]; }

  bool u16(std::uint16_t& value) {
    if (message_.size() - at_ < 2) return false;
    value = static_cast<std::uint16_t>(message_[at_] << 8 | message_[at_ + 1]);
    at_ += 2;
    return true;
  }
  bool u32(std::uint32_t& value) {
    std::uint16_t high = 0;
    std::uint16_t low = 0;
    if (!u16(high) || !u16(low)) return false;
    value = static_cast<std::uint32_t>(high) << 16 | low;
    return true;
  }
  bool skip(std::size_t bytes) {
    if (message_.size() - at_ < bytes) return false;
    at_ += bytes;
    return true;
  }
  // A possibly compressed name, in lower case with dots.  Pointers must lead backwards, strictly, so that no chain of
  // them can be endless.
  bool name(std::string& out) { return name_at(at_, out, at_); }
  bool name_at(std::size_t from, std::string& out, std::size_t& after) const;

  bool record(ResourceRecord& record) {
    std::uint16_t bytes = 0;
    if (!name(record.owner) || !u16(record.type) || !u16(record.dns_class) || !u32(record.ttl_s) || !u16(bytes)) {
      return false;
    }
    record.data_at = at_;
    record.data_bytes = bytes;
    return skip(bytes);
  }

 private:
  std::span<const std::uint8_t> message_;
  std::size_t at_ = 0;
};

bool MessageReader::name_at(std::size_t from, std::string& out, std::size_t& after) const {
  out.clear();
  std::size_t at = from;
  std::size_t lowest = from;
  bool jumped = false;
  while (true) {
    if (at >= message_.size()) return false;
    const std::uint8_t length = message_[at];
    if ((length & 0xc0) == 0xc0) {
      if (at + 1 >= message_.size()) return false;
      const std::size_t target = static_cast<std::size_t>(length & 0x3f) << 8 | message_[at + 1];
      if (target >= lowest) return false;
      if (!jumped) after = at + 2;
      jumped = true;
      lowest = at = target;
      continue;
    }
    if ((length & 0xc0) != 0) return false;
    if (length == 0) {
      if (!jumped) after = at + 1;
      return true;
    }
    if (at + 1 + length > message_.size()) return false;
    if (!out.empty()) out += '.';
    for (std::size_t i = 0; i < length; ++i) out += lower(static_cast<char>(message_[at + 1 + i]));
    if (out.size() > kNameBytesMost) return false;
    at += 1 + std::size_t{length};
  }
}

// Follows aliases from the question's name; true if `name` is the name or one of its aliases.
bool follow_aliases(const MessageReader& reader, const std::vector<ResourceRecord>& records, std::string& name,
                    std::uint32_t& ttl_s) {
  for (std::size_t step = 0; step < kAliasesMost; ++step) {
    const auto alias = std::find_if(records.begin(), records.end(), [&](const ResourceRecord& r) {
      return r.type == kTypeAlias && r.dns_class == kClassInternet && r.owner == name;
    });
    if (alias == records.end()) return true;
    std::size_t after = 0;
    std::string target;
    if (!reader.name_at(alias->data_at, target, after) || after != alias->data_at + alias->data_bytes) return false;
    ttl_s = std::min(ttl_s, alias->ttl_s);
    name = std::move(target);
  }
  return false;
}

bool read_answers(MessageReader& reader, std::uint16_t count, const DnsQuestion& question, DnsAnswer& answer) {
  std::vector<ResourceRecord> records;
  for (std::uint16_t i = 0; i < count; ++i) {
    ResourceRecord record;
    if (!reader.record(record)) return false;
    const bool wanted = record.type == kTypeAlias || record.type == static_cast<std::uint16_t>(question.type);
    if (wanted && records.size() < kAliasesMost + kAddressesMost) records.push_back(std::move(record));
  }
  std::string name = question.name;
  std::uint32_t ttl_s = 86'400;
  if (!follow_aliases(reader, records, name, ttl_s)) return false;
  const std::size_t bytes = question.type == DnsType::kA ? 4 : 16;
  for (const ResourceRecord& record : records) {
    if (record.type != static_cast<std::uint16_t>(question.type) || record.dns_class != kClassInternet ||
        record.owner != name || answer.addresses.size() == kAddressesMost) {
      continue;
    }
    if (record.data_bytes != bytes) return false;
    Address address;
    address.family = question.type == DnsType::kA ? AddressFamily::kV4 : AddressFamily::kV6;
    for (std::size_t i = 0; i < bytes; ++i) address.bytes.at(i) = reader.byte(record.data_at + i);
    answer.addresses.push_back(address);
    ttl_s = std::min(ttl_s, record.ttl_s);
  }
  answer.ttl = std::chrono::seconds{ttl_s};
  return true;
}

// The owner of the first SOA among `count` records behind `skipped` others; empty if there is none, or if the records
// cannot be read: a denial stands without it.
std::string read_zone(MessageReader& reader, std::uint16_t skipped, std::uint16_t count) {
  ResourceRecord record;
  for (std::uint32_t i = 0; i < std::uint32_t{skipped} + count; ++i) {
    if (!reader.record(record)) return {};
    if (i >= skipped && record.type == kTypeZone && record.dns_class == kClassInternet) return record.owner;
  }
  return {};
}

}  // namespace

bool is_dns_name(std::string_view name) {
  if (name.empty() || name.size() > kNameBytesMost) return false;
  std::size_t label = 0;
  for (const char c : name) {
    if (c == '.') {
      if (label == 0) return false;
      label = 0;
      continue;
    }
    const char l = lower(c);
    if (!((l >= 'a' && l <= 'z') || (l >= '0' && l <= '9') || l == '-' || l == '_')) return false;
    if (++label > 63) return false;
  }
  return label != 0;
}

std::vector<std::uint8_t> make_query(const DnsQuestion& question) {
  CULVERT_CHECK(is_dns_name(question.name), "a DNS question for something that is no host name");
  std::vector<std::uint8_t> message;
  message.reserve(kHeaderBytes + question.name.size() + 6);
  const auto put16 = [&](std::uint16_t value) {
    message.push_back(static_cast<std::uint8_t>(value >> 8));
    message.push_back(static_cast<std::uint8_t>(value & 0xff));
  };
  put16(question.id);
  put16(0x0100);  // a standard query, recursion desired
  put16(1);       // one question
  put16(0);
  put16(0);
  put16(0);
  std::string_view rest = question.name;
  while (!rest.empty()) {
    const auto label = rest.substr(0, rest.find('.'));
    message.push_back(static_cast<std::uint8_t>(label.size()));
    message.insert(message.end(), label.begin(), label.end());
    rest.remove_prefix(std::min(rest.size(), label.size() + 1));
  }
  message.push_back(0);
  put16(static_cast<std::uint16_t>(question.type));
  put16(kClassInternet);
  return message;
}

DnsAnswer parse_response(std::span<const std::uint8_t> message, const DnsQuestion& question) {
  DnsAnswer answer;
  MessageReader reader{message};
  std::uint16_t id = 0;
  std::uint16_t flags = 0;
  std::uint16_t questions = 0;
  std::uint16_t answers = 0;
  const auto verdict = [&](DnsVerdict v) {
    answer.verdict = v;
    if (v != DnsVerdict::kAnswer) answer.addresses.clear();
    return answer;
  };
  std::uint16_t authorities = 0;
  if (!reader.u16(id) || !reader.u16(flags) || !reader.u16(questions) || !reader.u16(answers) ||
      !reader.u16(authorities) || !reader.skip(2)) {
    return verdict(DnsVerdict::kNotOurs);
  }
  constexpr std::uint16_t kAuthoritative = 0x0400;
  constexpr std::uint16_t kResponse = 0x8000;
  constexpr std::uint16_t kOpcode = 0x7800;
  constexpr std::uint16_t kTruncatedFlag = 0x0200;
  if (id != question.id || (flags & kResponse) == 0 || (flags & kOpcode) != 0) return verdict(DnsVerdict::kNotOurs);
  answer.rcode = flags & 0xf;
  constexpr int kNoError = 0;
  constexpr int kNameError = 3;
  // A server that cannot even read a question may answer without repeating it.
  if (questions == 0 && answer.rcode != kNoError && answer.rcode != kNameError) return verdict(DnsVerdict::kRefused);
  std::string name;
  std::uint16_t type = 0;
  std::uint16_t dns_class = 0;
  if (questions != 1 || !reader.name(name) || !reader.u16(type) || !reader.u16(dns_class) || name != question.name ||
      type != static_cast<std::uint16_t>(question.type) || dns_class != kClassInternet) {
    return verdict(DnsVerdict::kNotOurs);
  }
  answer.authoritative = (flags & kAuthoritative) != 0;
  if (answer.rcode == kNameError) {
    answer.zone = read_zone(reader, answers, authorities);
    return verdict(DnsVerdict::kNoName);
  }
  if (answer.rcode != kNoError) return verdict(DnsVerdict::kRefused);
  if ((flags & kTruncatedFlag) != 0) return verdict(DnsVerdict::kTruncated);
  if (!read_answers(reader, answers, question, answer)) return verdict(DnsVerdict::kMalformed);
  if (answer.addresses.empty()) answer.zone = read_zone(reader, 0, authorities);
  return verdict(DnsVerdict::kAnswer);
}

}  // namespace culvert::http
