// SPDX-License-Identifier: Apache-2.0
// What a service manager (systemd) is told: ready, alive, stopping.
//
// Flow    a long-running command -> [ServiceManager] -> datagrams to the socket that NOTIFY_SOCKET names.
// Owner   the command.
// Time    alive() is to be called at least every watchdog_interval() / 2, from the loop whose turning is the sign of
//         life.
// Bounds  a datagram of some hundred bytes; sending never waits.
// See     systemd's sd_notify(3), whose protocol this is; packaging/culvert-consume@.service.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "model/result.h"
#include "model/time.h"

namespace culvert {

class ServiceManager {
 public:
  // What the environment says: the values of NOTIFY_SOCKET and WATCHDOG_USEC, null where there is none.
  // Without a socket nobody listens and nothing is sent.  Error (kConfiguration): the socket cannot be used.
  [[nodiscard]] static Result<ServiceManager> connect(const char* notify_socket, const char* watchdog_usec);

  ServiceManager(const ServiceManager&) = delete;
  ServiceManager& operator=(const ServiceManager&) = delete;
  ServiceManager(ServiceManager&& other) noexcept;
  ServiceManager& operator=(ServiceManager&&) = delete;
  ~ServiceManager();

  // Once; later calls do nothing.
  void ready();
  void stopping();
  // Also what people see in `systemctl status`.  Sent when it has changed.
  void alive(const std::string& status);

  // How long it waits for a sign of life before it ends the process; absent: it does not.
  [[nodiscard]] std::optional<Millis> watchdog_interval() const { return watchdog_; }

 private:
  ServiceManager() = default;
  // A lost datagram is not worth more: the next one comes, or the manager acts as it was told to.
  void send(std::string_view text) const;

  int descriptor_ = -1;
  std::optional<Millis> watchdog_;
  std::string status_;
  bool ready_ = false;
  bool stopping_ = false;
};

}  // namespace culvert
