// SPDX-License-Identifier: Apache-2.0
#include "app/session/service_manager.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

#include "model/device.h"

namespace culvert {

namespace {

Error unusable(std::string_view socket_name, std::string_view why) {
  return Error::fatal(
      ErrorKind::kConfiguration,
      fmt::format("NOTIFY_SOCKET={}: {} (a service manager sets it; unset it to run without one)", socket_name, why));
}

}  // namespace

Result<ServiceManager> ServiceManager::connect(const char* notify_socket, const char* watchdog_usec) {
  ServiceManager manager;
  if (notify_socket == nullptr || *notify_socket == 0) return manager;
  const std::string_view name = notify_socket;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (name.front() != '/' && name.front() != '@') return unusable(name, "neither a path nor an abstract name");
  if (name.size() >= sizeof address.sun_path) return unusable(name, "the name is too long");
  std::memcpy(address.sun_path, name.data(), name.size());
  if (name.front() == '@') address.sun_path[0] = 0;  // Linux' abstract names begin with a zero byte
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
  manager.descriptor_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (manager.descriptor_ < 0 ||
      ::connect(manager.descriptor_, reinterpret_cast<const sockaddr*>(&address), length) != 0) {
    return unusable(name, std::strerror(errno));
  }
  if (watchdog_usec != nullptr) {
    const auto microseconds = DeviceId::parse_number(watchdog_usec);
    if (!microseconds || *microseconds <= 0) return unusable(name, "WATCHDOG_USEC is no number of microseconds");
    manager.watchdog_ = Millis{std::max<std::int64_t>(1, *microseconds / 1'000)};
  }
  return manager;
}

ServiceManager::ServiceManager(ServiceManager&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      watchdog_(other.watchdog_),
      status_(std::move(other.status_)),
      ready_(other.ready_),
      stopping_(other.stopping_) {}

ServiceManager::~ServiceManager() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void ServiceManager::send(std::string_view text) const {
  if (descriptor_ < 0) return;
  [[maybe_unused]] const ssize_t sent = ::send(descriptor_, text.data(), text.size(), MSG_NOSIGNAL);
}

void ServiceManager::ready() {
  if (!std::exchange(ready_, true)) send("READY=1");
}

void ServiceManager::stopping() {
  if (!std::exchange(stopping_, true)) send("STOPPING=1");
}

void ServiceManager::alive(const std::string& status) {
  if (status == status_) return send("WATCHDOG=1");
  status_ = status;
  send(fmt::format("WATCHDOG=1\nSTATUS={}", status));
}

}  // namespace culvert
