// SPDX-License-Identifier: Apache-2.0
#include "adapters/aws/digest.h"

#include <openssl/evp.h>

#include <memory>

#include "model/check.h"

namespace culvert::aws {

namespace {

// Looking SHA-256 up by name costs more than hashing a request, so it is done once, for all threads and for good.
const EVP_MD* algorithm() {
  static const EVP_MD* const found = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  CULVERT_CHECK(found != nullptr, "OpenSSL has no SHA-256");
  return found;
}

// Each thread uses its context again and again.
class Hasher {
 public:
  Hasher() : context_(EVP_MD_CTX_new()) { CULVERT_CHECK(context_, "OpenSSL has no context for a digest"); }
  void begin() { check(EVP_DigestInit_ex2(context_.get(), algorithm(), nullptr)); }
  void add(std::string_view data) { check(EVP_DigestUpdate(context_.get(), data.data(), data.size())); }
  Digest end() {
    Digest digest{};
    check(EVP_DigestFinal_ex(context_.get(), digest.data(), nullptr));
    return digest;
  }

 private:
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  static void check(int ok) { CULVERT_CHECK(ok == 1, "SHA-256 failed"); }
  std::unique_ptr<EVP_MD_CTX, Free> context_;
};

Hasher& hasher() {
  thread_local Hasher hasher;
  return hasher;
}

constexpr std::string_view kHexLower = "0123456789abcdef";
constexpr std::string_view kHexUpper = "0123456789ABCDEF";

bool unreserved(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
         c == '_' || c == '~';
}

}  // namespace

Digest sha256(std::string_view data) {
  Hasher& h = hasher();
  h.begin();
  h.add(data);
  return h.end();
}

Digest hmac_sha256(std::string_view key, std::string_view data) {
  constexpr std::size_t kBlock = 64;
  std::array<char, kBlock> inner{};
  std::array<char, kBlock> outer{};
  const Digest hashed = key.size() > kBlock ? sha256(key) : Digest{};
  const std::string_view material = key.size() > kBlock ? as_text(hashed) : key;
  material.copy(inner.data(), kBlock);
  material.copy(outer.data(), kBlock);
  for (char& byte : inner) byte = static_cast<char>(byte ^ 0x36);
  for (char& byte : outer) byte = static_cast<char>(byte ^ 0x5c);
  Hasher& h = hasher();
  h.begin();
  h.add({inner.data(), inner.size()});
  h.add(data);
  const Digest first = h.end();
  h.begin();
  h.add({outer.data(), outer.size()});
  h.add(as_text(first));
  return h.end();
}

void append_hex(std::string& out, const Digest& digest) {
  std::array<char, 2 * sizeof(Digest)> text{};
  char* at = text.data();
  for (const std::uint8_t byte : digest) {
    *at++ = kHexLower[byte >> 4];
    *at++ = kHexLower[byte & 15];
  }
  out.append(text.data(), text.size());
}

std::string hex(const Digest& digest) {
  std::string text;
  append_hex(text, digest);
  return text;
}

std::string_view as_text(const Digest& digest) { return {reinterpret_cast<const char*>(digest.data()), digest.size()}; }

std::string base64url(std::string_view data) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string text;
  text.reserve((data.size() * 4 + 2) / 3);
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : data) {
    bits = bits << 8 | static_cast<unsigned char>(c);
    count += 8;
    while (count >= 6) {
      count -= 6;
      text += kAlphabet[bits >> count & 63];
    }
  }
  if (count > 0) text += kAlphabet[bits << (6 - count) & 63];
  return text;
}

std::string uri_encode(std::string_view text, bool keep_slash) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (unreserved(c) || (keep_slash && c == '/')) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += '%';
      out += kHexUpper[byte >> 4];
      out += kHexUpper[byte & 15];
    }
  }
  return out;
}

}  // namespace culvert::aws
