// SPDX-License-Identifier: Apache-2.0
// Responses of name servers: the first byte chooses the question's type, the rest is the message with the right id in
// front, so that the fuzzer is past the first check at once.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "adapters/http/dns_message.h"
#include "model/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace culvert::http;
  if (size == 0) return 0;
  const DnsQuestion question{0x1234, "host.example.test", data[0] % 2 == 0 ? DnsType::kA : DnsType::kAaaa};
  std::vector<std::uint8_t> message{0x12, 0x34};
  message.insert(message.end(), data + 1, data + size);
  const DnsAnswer answer = parse_response(message, question);
  CULVERT_CHECK(answer.verdict == DnsVerdict::kAnswer || answer.addresses.empty(), "addresses of an unusable answer");
  CULVERT_CHECK(answer.addresses.size() <= 64, "too many addresses");
  return 0;
}
