// SPDX-License-Identifier: Apache-2.0
#include "app/commands/on_failure_document.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace culvert {

namespace {

namespace fs = std::filesystem;

Error no_document(const std::string& file, std::string_view why) {
  return Error::fatal(ErrorKind::kData, fmt::format("{}: is no on-failure document: {}", file, why));
}

Result<std::string> read_file(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  std::error_code failed;
  const auto size = fs::file_size(file, failed);
  if (!in || failed) return Error::fatal(ErrorKind::kIo, file + ": cannot be read");
  if (size > kDocumentBytesMost) {
    return no_document(file, fmt::format("{} bytes, at most {}", size, kDocumentBytesMost));
  }
  std::string text{std::istreambuf_iterator<char>(in), {}};
  if (in.bad()) return Error::fatal(ErrorKind::kIo, file + ": cannot be read");
  return text;
}

}  // namespace

Result<std::vector<std::string>> on_failure_documents(const std::string& path) {
  std::error_code failed;
  if (fs::is_regular_file(path, failed)) return std::vector{path};
  std::vector<std::string> files;
  for (fs::directory_iterator entry(path, failed), end; !failed && entry != end; entry.increment(failed)) {
    if (entry->is_regular_file() && !entry->path().filename().string().starts_with('.')) {
      files.push_back(entry->path().string());
    }
  }
  if (failed) return Error::fatal(ErrorKind::kIo, fmt::format("{}: cannot be read: {}", path, failed.message()));
  if (files.empty()) return Error::fatal(ErrorKind::kUsage, path + ": holds no file");
  std::sort(files.begin(), files.end());
  return files;
}

Result<std::optional<std::string>> payload_of(const std::string& file) {
  auto text = read_file(file);
  if (!text) return text.error();
  boost::json::error_code failed;
  const auto document = boost::json::parse(*text, failed);
  const auto* object = failed ? nullptr : document.if_object();
  if (object == nullptr) return no_document(file, "not a JSON object");
  const auto* payload = object->if_contains("payload");
  if (payload == nullptr || payload->is_null()) {
    if (object->if_contains("KafkaBatchInfo") == nullptr) return no_document(file, "it has no KafkaBatchInfo");
    return std::optional<std::string>();
  }
  if (const auto* inner = payload->if_string()) return std::optional(std::string(inner->data(), inner->size()));
  if (payload->is_object()) return std::optional(boost::json::serialize(*payload));
  return no_document(file, "its payload is neither an object nor a text");
}

}  // namespace culvert
