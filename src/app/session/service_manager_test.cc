// SPDX-License-Identifier: Apache-2.0
// A socket of our own stands for the service manager's.
#include "app/session/service_manager.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <string>
#include <vector>

namespace culvert {
namespace {

class Manager {
 public:
  // `name` begins with `/` or, for an abstract one, `@`.
  explicit Manager(std::string name) : name_(std::move(name)), descriptor_(::socket(AF_UNIX, SOCK_DGRAM, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name_.data(), name_.size());
    if (name_.front() == '@') address.sun_path[0] = 0;
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name_.size());
    EXPECT_EQ(::bind(descriptor_, reinterpret_cast<const sockaddr*>(&address), length), 0);
  }
  Manager(const Manager&) = delete;
  Manager& operator=(const Manager&) = delete;
  ~Manager() {
    ::close(descriptor_);
    if (name_.front() == '/') ::unlink(name_.c_str());
  }

  // What has come so far.
  std::vector<std::string> heard() {
    std::vector<std::string> out;
    std::array<char, 512> text{};
    for (ssize_t n = 0; (n = ::recv(descriptor_, text.data(), text.size(), MSG_DONTWAIT)) > 0;) {
      out.emplace_back(text.data(), static_cast<std::size_t>(n));
    }
    return out;
  }

  std::string name_;

 private:
  int descriptor_;
};

using Heard = std::vector<std::string>;

class ServiceManagerTest : public testing::TestWithParam<bool> {
 protected:
  static std::string name() {
    const std::string unique = "culvert-service-" + std::to_string(::getpid());
    return GetParam() ? "@" + unique : testing::TempDir() + unique;
  }
};

TEST_P(ServiceManagerTest, IsToldWhatItUnderstands) {
  Manager systemd(name());
  auto manager = ServiceManager::connect(systemd.name_.c_str(), "60000000");
  ASSERT_TRUE(manager.ok()) << manager.error().message;
  EXPECT_EQ(manager->watchdog_interval(), Millis{60'000});
  EXPECT_EQ(systemd.heard(), Heard{});
  manager->alive("waiting");
  manager->alive("waiting");
  manager->ready();
  manager->ready();
  manager->alive("lag 3");
  manager->stopping();
  manager->stopping();
  EXPECT_EQ(systemd.heard(),
            (Heard{"WATCHDOG=1\nSTATUS=waiting", "WATCHDOG=1", "READY=1", "WATCHDOG=1\nSTATUS=lag 3", "STOPPING=1"}));
}

TEST_P(ServiceManagerTest, ManagerThatWentAwayOrIsBusyDoesNotHoldUpTheProcess) {
  auto systemd = std::make_unique<Manager>(name());
  auto manager = ServiceManager::connect(systemd->name_.c_str(), nullptr);
  ASSERT_TRUE(manager.ok());
  for (int i = 0; i < 100'000; ++i) manager->alive("x");  // far more than its queue takes
  EXPECT_FALSE(systemd->heard().empty());
  systemd.reset();
  manager->ready();
}

INSTANTIATE_TEST_SUITE_P(All, ServiceManagerTest, testing::Values(false, true),
                         [](const auto& param) { return param.param ? "Abstract" : "Path"; });

TEST(ServiceManager, NobodyListensWithoutASocket) {
  for (const char* none : {static_cast<const char*>(nullptr), ""}) {
    auto manager = ServiceManager::connect(none, "1000");
    ASSERT_TRUE(manager.ok());
    EXPECT_EQ(manager->watchdog_interval(), std::nullopt);
    manager->ready();
    manager->alive("x");
    manager->stopping();
  }
}

TEST(ServiceManager, UnusableSocketIsNamed) {
  for (const std::string& name : {std::string("/nowhere/socket"), std::string("vsock:2:1234"), std::string(200, '/')}) {
    const auto manager = ServiceManager::connect(name.c_str(), nullptr);
    ASSERT_FALSE(manager.ok()) << name;
    EXPECT_EQ(manager.error().kind, ErrorKind::kConfiguration);
    EXPECT_NE(manager.error().message.find("NOTIFY_SOCKET=" + name), std::string::npos) << manager.error().message;
  }
}

}  // namespace
}  // namespace culvert
