// SPDX-License-Identifier: Apache-2.0
#include "app/site/listen_options.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace culvert {
namespace {

TEST(ListenTest, ReadsPortsAndAddresses) {
  EXPECT_EQ(parse_listen("8080"), (ListenAddress{"127.0.0.1", 8080}));
  EXPECT_EQ(parse_listen("0"), (ListenAddress{"127.0.0.1", 0}));
  EXPECT_EQ(parse_listen("localhost:1"), (ListenAddress{"127.0.0.1", 1}));
  EXPECT_EQ(parse_listen("10.0.0.7:65535"), (ListenAddress{"10.0.0.7", 65535}));
  EXPECT_EQ(parse_listen("[::1]:80"), (ListenAddress{"::1", 80}));
  for (const char* text : {"", ":", ":80", "80:", "65536", "-1", "host:80", "::1:80", "[10.0.0.7]:80", "[::1]",
                           "1.2.3:4", "8080 ", "0x50"}) {
    EXPECT_FALSE(parse_listen(text).has_value()) << text;
  }
}

class ListenOptionsTest : public testing::Test {
 protected:
  ListenOptionsTest() { options_.declare(set_, "127.0.0.1:0"); }
  ~ListenOptionsTest() override { std::filesystem::remove(file_); }

  void give(std::string_view name, std::string_view value) {
    const auto applied = set_.find(name)->apply(value, {});
    ASSERT_TRUE(applied.ok()) << applied.error().message;
  }
  void write_token(const std::string& text) {
    std::ofstream(file_) << text;
    give("listen-token-file", file_.string());
  }

  OptionSet set_;
  ListenOptions options_;
  std::filesystem::path file_ =
      std::filesystem::temp_directory_path() / ("culvert-token-" + std::to_string(::getpid()));
};

TEST_F(ListenOptionsTest, LoopbackNeedsNothingAndOffServesNothing) {
  EXPECT_TRUE(set_.run_checks().ok());
  ASSERT_TRUE(options_.settings().ok());
  EXPECT_EQ((*options_.settings())->address.address, "127.0.0.1");
  give("listen", "[::1]:0");
  EXPECT_TRUE(set_.run_checks().ok());
  give("listen", "off");
  EXPECT_FALSE(options_.settings()->has_value());
}

TEST_F(ListenOptionsTest, OtherAddressesNeedTheFlagAndAToken) {
  for (const char* address : {"0.0.0.0:80", "10.1.2.3:80", "[::]:80"}) {
    give("listen", address);
    const auto refused = set_.run_checks();
    ASSERT_FALSE(refused.ok()) << address;
    EXPECT_EQ(refused.error().kind, ErrorKind::kUsage);
    EXPECT_NE(refused.error().message.find("--listen-public"), std::string::npos);
  }
  give("listen-public", "true");
  EXPECT_FALSE(set_.run_checks().ok());
  write_token("4f1d0c8a9be7264dd0f1\n");
  EXPECT_TRUE(set_.run_checks().ok());
  ASSERT_TRUE(options_.settings().ok());
  EXPECT_EQ((*options_.settings())->token, "4f1d0c8a9be7264dd0f1");
}

TEST_F(ListenOptionsTest, WeakTokensAreRefusedWithoutBeingShown) {
  for (const char* token :
       {"short", "with a space in it, otherwise long", "\x01\x02\x03\x04\x05\x06\x07\x08\x0e\x0f"}) {
    write_token(token);
    const auto settings = options_.settings();
    ASSERT_FALSE(settings.ok()) << token;
    EXPECT_EQ(settings.error().kind, ErrorKind::kConfiguration);
    EXPECT_EQ(settings.error().message.find(token), std::string::npos);
  }
}

}  // namespace
}  // namespace culvert
