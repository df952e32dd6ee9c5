// SPDX-License-Identifier: Apache-2.0
// A strict reader of one JSON text that goes through it once, forwards, and decodes strings where they stand.
//
// Flow    payload of an invocation -> [JsonCursor] -> EventReader.
// Owner   EventReader, one for each event.  Internal to adapters/lambda.
// Time    none.
// Bounds  linear in the text; values that nobody asked for may nest kDepthMost deep.
// See     RFC 8259, RFC 4648 (base64).  Written here because an event is up to 6 MB of base64: it is neither copied nor
//         made into a tree, and each byte is looked at once.
//
// After the first fault every call returns false, and fault() says what and where.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace culvert::lambda {

class JsonCursor {
 public:
  static constexpr int kDepthMost = 64;

  // `text` is changed: strings lose their escapes, base64 becomes bytes.  It must outlive what is read from it.
  explicit JsonCursor(std::string& text) : begin_(text.data()), at_(text.data()), end_(text.data() + text.size()) {}

  // `on_member(name)` reads the value and returns true, or false after fail().
  template <class OnMember>
  [[nodiscard]] bool object(OnMember on_member);
  // `on_element()` reads one value.
  template <class OnElement>
  [[nodiscard]] bool array(OnElement on_element);

  [[nodiscard]] bool string(std::string_view& out);
  [[nodiscard]] bool integer(std::int64_t& out);
  // A string of base64 with its padding, as the bytes it stands for.
  [[nodiscard]] bool base64(std::string_view& out);
  // True if a null stood here, which has been read.
  [[nodiscard]] bool null();
  // Any value, checked but for the UTF-8 of its strings.
  [[nodiscard]] bool skip() { return skip(0); }
  // Nothing but white space follows.
  [[nodiscard]] bool end();

  // Returns false.  The first fault stays.
  bool fail(const char* what);
  [[nodiscard]] bool failed() const { return fault_ != nullptr; }
  // `byte 17: not a string`
  [[nodiscard]] std::string fault() const;

 private:
  // The byte at the position; NUL at the end, which no JSON has outside of a string.
  [[nodiscard]] char peek() {
    while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t')) ++at_;
    return at_ == end_ ? '\0' : *at_;
  }
  [[nodiscard]] bool take(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  [[nodiscard]] bool word(std::string_view word);
  [[nodiscard]] bool number();
  [[nodiscard]] bool skip(int depth);
  [[nodiscard]] bool unescape(char* from, std::string_view& out);
  [[nodiscard]] bool escape(char*& to);
  [[nodiscard]] bool hex4(std::uint32_t& out);
  [[nodiscard]] bool base64_end(char* first, char* out, std::string_view& bytes);

  char* begin_;
  char* at_;
  char* end_;
  const char* fault_ = nullptr;
  std::size_t fault_at_ = 0;
};

template <class OnMember>
bool JsonCursor::object(OnMember on_member) {
  if (failed()) return false;
  if (!take('{')) return fail("not an object");
  if (take('}')) return true;
  do {
    std::string_view name;
    if (peek() != '"') return fail("a member without a name");
    if (!string(name)) return false;
    if (!take(':')) return fail("':' is missing");
    if (!on_member(name)) return false;
  } while (take(','));
  return take('}') || fail("an object that does not end");
}

template <class OnElement>
bool JsonCursor::array(OnElement on_element) {
  if (failed()) return false;
  if (!take('[')) return fail("not an array");
  if (take(']')) return true;
  do {
    if (!on_element()) return false;
  } while (take(','));
  return take(']') || fail("an array that does not end");
}

}  // namespace culvert::lambda
