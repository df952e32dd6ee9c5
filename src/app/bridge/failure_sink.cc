// SPDX-License-Identifier: Apache-2.0
#include "app/bridge/failure_sink.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "adapters/lambda/request_ids.h"

namespace culvert {

namespace {

constexpr Millis kTopicPatience{5'000};

Error io_error(const std::string& path, std::string_view doing, int why) {
  const ErrorKind kind = why == EACCES || why == EPERM ? ErrorKind::kPermission : ErrorKind::kIo;
  return Error::fatal(kind, fmt::format("on-failure directory: '{}': {}: {}", path, doing, std::strerror(why)));
}

class File {
 public:
  File(const std::string& path, int flags) : descriptor_(::open(path.c_str(), flags | O_CLOEXEC, 0644)) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  [[nodiscard]] int get() const { return descriptor_; }

 private:
  int descriptor_;
};

bool write_all(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

}  // namespace

Result<std::unique_ptr<FailureSink>> FailureDirectory::open(std::string path, const Clock& clock) {
  std::error_code failed;
  std::filesystem::create_directories(path, failed);
  if (failed) return io_error(path, "cannot be made", failed.value());
  if (::access(path.c_str(), W_OK | X_OK) != 0) return io_error(path, "cannot be written to", errno);
  return std::unique_ptr<FailureSink>(new FailureDirectory(std::move(path), clock));
}

Result<void> FailureDirectory::put(std::string_view document) {
  const auto now = std::chrono::duration_cast<Millis>(clock_.wall().time_since_epoch());
  std::string time = format_utc(EventTime{now.count()});
  std::replace(time.begin(), time.end(), ':', '.');
  const std::string name = fmt::format("{}-{}.json", time, lambda::random_request_id());
  const std::string hidden = fmt::format("{}/.{}", path_, name);
  const std::string path = fmt::format("{}/{}", path_, name);
  const File file(hidden, O_WRONLY | O_CREAT | O_EXCL);
  if (file.get() < 0) return io_error(hidden, "cannot be made", errno);
  if (!write_all(file.get(), document) || ::fsync(file.get()) != 0) {
    const int why = errno;
    ::unlink(hidden.c_str());
    return io_error(path, "cannot be written", why);
  }
  if (::rename(hidden.c_str(), path.c_str()) != 0) return io_error(path, "cannot be renamed", errno);
  const File directory(path_, O_RDONLY | O_DIRECTORY);
  if (directory.get() < 0 || ::fsync(directory.get()) != 0) return io_error(path_, "cannot be synchronised", errno);
  return {};
}

Result<std::unique_ptr<FailureSink>> FailureTopic::open(const kafka::KafkaConfig& config, std::string topic) {
  auto producer = kafka::Producer::open(config, {.topic = topic});
  if (!producer) return producer.error();
  return std::unique_ptr<FailureSink>(new FailureTopic(std::move(topic), *std::move(producer)));
}

Result<void> FailureTopic::put(std::string_view document) {
  const std::uint64_t failed_before = producer_->counters().failed;
  if (auto sent = producer_->send({.value = document}, kTopicPatience); !sent) return sent.error();
  if (auto flushed = producer_->flush(kTopicPatience); !flushed) return flushed.error();
  if (producer_->counters().failed == failed_before) return {};
  const auto& why = producer_->first_failure();
  return Error::retriable_error(ErrorKind::kUnavailable,
                                fmt::format("on-failure topic '{}': {}", topic_, why ? why->message : "refused"));
}

}  // namespace culvert
