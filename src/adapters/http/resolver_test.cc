// SPDX-License-Identifier: Apache-2.0
#include "adapters/http/resolver.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "adapters/http/dns_message.h"
#include "adapters/http/resolv_conf.h"
#include "fakes/dns_fake_server.h"

namespace culvert::http {
namespace {

using fakes::DnsFakeServer;
using fakes::DnsReply;
using std::chrono::milliseconds;

// The time a server is given: so long that only silence takes it, or so short that silence is soon over.
constexpr milliseconds kLong{8'000};
constexpr milliseconds kShort{300};

// Files and options of one resolver under test, removed at the end.
class ResolverTest : public testing::Test {
 protected:
  ResolverTest() {
    std::string pattern = testing::TempDir() + "culvert-resolver-XXXXXX";
    directory_ = mkdtemp(pattern.data());
  }
  ~ResolverTest() override {
    for (const char* name : {"resolv.conf", "hosts"}) ::unlink((directory_ + "/" + name).c_str());
    ::rmdir(directory_.c_str());
  }
  DnsOptions options(const std::string& resolv_conf, std::uint16_t port, const std::string& hosts = "") {
    std::ofstream(directory_ + "/resolv.conf") << resolv_conf;
    std::ofstream(directory_ + "/hosts") << hosts;
    return {directory_ + "/resolv.conf", directory_ + "/hosts", port, milliseconds{20'000}, kLong};
  }
  static std::vector<std::string> texts(const Result<Resolved>& result) {
    std::vector<std::string> out;
    if (result.ok()) {
      for (const Address& address : result->addresses) out.push_back(address.text());
    } else {
      out.push_back("error: " + result.error().message);
    }
    return out;
  }
  std::vector<std::string> resolve(const DnsOptions& o, const std::string& host) {
    return texts(DnsResolver(o).resolve(host, std::stop_token{}));
  }

  std::string directory_;
};

using Texts = std::vector<std::string>;

TEST_F(ResolverTest, LiteralsAndLocalhostNeedNoServer) {
  const auto o = options("nameserver 127.0.0.1\n", 1);
  EXPECT_EQ(resolve(o, "192.0.2.7"), Texts{"192.0.2.7"});
  EXPECT_EQ(resolve(o, "2001:db8::1"), Texts{"2001:db8::1"});
  EXPECT_EQ(resolve(o, "localhost"), (Texts{"127.0.0.1", "::1"}));
}

TEST_F(ResolverTest, HostsFileComesFirstAndIgnoresCaseAndComments) {
  DnsFakeServer server([](const DnsQuestion&, bool) { return DnsReply{.addresses = {"10.0.0.1"}}; });
  const auto o = options("nameserver 127.0.0.1\n", server.port(),
                         "# 9.9.9.9 table.test\n::7 Table.Test\n10.1.2.3 other table.test # and so on\nbad line\n");
  EXPECT_EQ(resolve(o, "TABLE.test"), (Texts{"10.1.2.3", "::7"}));
  EXPECT_EQ(server.udp_queries(), 0);
}

TEST_F(ResolverTest, BothFamiliesAreAskedAndIpv4ComesFirst) {
  DnsFakeServer server([](const DnsQuestion&, bool) {
    return DnsReply{.addresses = {"2001:db8::5", "10.0.0.1", "10.0.0.2"}, .ttl_s = 17};
  });
  const auto result = DnsResolver(options("nameserver 127.0.0.1\n", server.port())).resolve("a.test", {});
  EXPECT_EQ(texts(result), (Texts{"10.0.0.1", "10.0.0.2", "2001:db8::5"}));
  EXPECT_EQ(result->ttl, std::chrono::seconds{17});
}

TEST_F(ResolverTest, AliasIsFollowed) {
  DnsFakeServer server(
      [](const DnsQuestion&, bool) { return DnsReply{.addresses = {"10.0.0.9"}, .alias = "real.example.test"}; });
  EXPECT_EQ(resolve(options("nameserver 127.0.0.1\n", server.port()), "a.test"), Texts{"10.0.0.9"});
}

TEST_F(ResolverTest, TruncatedAnswerIsAskedAgainOverTcp) {
  DnsFakeServer server([](const DnsQuestion& question, bool) {
    DnsReply reply{.truncate_udp = true};
    if (question.type == DnsType::kA) {
      for (int i = 0; i < 60; ++i) reply.addresses.push_back("10.0.1." + std::to_string(i));
    }
    return reply;
  });
  EXPECT_EQ(resolve(options("nameserver 127.0.0.1\n", server.port()), "a.test").size(), 60U);
  EXPECT_EQ(server.tcp_queries(), 2);
}

TEST_F(ResolverTest, ForgedReplyIsIgnored) {
  DnsFakeServer server(
      [](const DnsQuestion&, bool) { return DnsReply{.addresses = {"10.0.0.1"}, .wrong_id_first = true}; });
  EXPECT_EQ(resolve(options("nameserver 127.0.0.1\n", server.port()), "a.test"), Texts{"10.0.0.1"});
}

TEST_F(ResolverTest, SearchDomainsAreTriedInOrder) {
  std::mutex mutex;
  Texts asked;
  const auto take_asked = [&] {
    const std::lock_guard lock(mutex);
    return std::exchange(asked, {});
  };
  DnsFakeServer server([&](const DnsQuestion& question, bool) {
    const std::lock_guard lock(mutex);
    if (question.type == DnsType::kA) asked.push_back(question.name);
    if (question.name == "db.two.test") return DnsReply{.addresses = {"10.0.0.2"}};
    return DnsReply{.rcode = 3};
  });
  const auto o = options("search one.test two.test\nnameserver 127.0.0.1\n", server.port());
  EXPECT_EQ(resolve(o, "db"), Texts{"10.0.0.2"});
  EXPECT_EQ(take_asked(), (Texts{"db.one.test", "db.two.test"}));
  EXPECT_EQ(resolve(o, "db.two.test"), Texts{"10.0.0.2"});
  EXPECT_EQ(take_asked(), Texts{"db.two.test"});
}

TEST_F(ResolverTest, RefusingServerIsPassedOver) {
  DnsFakeServer server([](const DnsQuestion&, bool) { return DnsReply{.addresses = {"10.0.0.4"}}; });
  // 127.0.0.2 has nobody listening on that port: the kernel says so at once.
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(resolve(options("nameserver 127.0.0.2\nnameserver 127.0.0.1\n", server.port()), "a.test"),
            Texts{"10.0.0.4"});
  EXPECT_LT(std::chrono::steady_clock::now() - begin, kLong / 2);
}

TEST_F(ResolverTest, SilenceForOneFamilyDelaysButDoesNotFail) {
  DnsFakeServer server([](const DnsQuestion& question, bool) {
    return DnsReply{.addresses = {"10.0.0.5"}, .silent = question.type == DnsType::kAaaa};
  });
  auto o = options("nameserver 127.0.0.1\n", server.port());
  o.server_timeout = kShort;
  EXPECT_EQ(resolve(o, "a.test"), Texts{"10.0.0.5"});
}

TEST_F(ResolverTest, MissingNameNamesItAndSilentServerIsNamed) {
  DnsFakeServer server(
      [](const DnsQuestion& question, bool) { return DnsReply{.rcode = 3, .silent = question.name == "silent.test"}; });
  auto o = options("nameserver 127.0.0.1\noptions attempts:1\n", server.port());
  const auto missing = DnsResolver(o).resolve("none.test", {});
  ASSERT_FALSE(missing.ok());
  EXPECT_NE(missing.error().message.find("'none.test' does not exist"), std::string::npos);
  EXPECT_TRUE(missing.error().retriable);
  o.server_timeout = kShort;
  const auto silent = DnsResolver(o).resolve("silent.test", {});
  ASSERT_FALSE(silent.ok());
  EXPECT_NE(silent.error().message.find("no usable answer from name server 127.0.0.1"), std::string::npos);
}

TEST_F(ResolverTest, TimeIsBoundedAndStopEndsALookup) {
  DnsFakeServer server([](const DnsQuestion&, bool) { return DnsReply{.silent = true}; });
  auto o = options("search a.test b.test c.test\noptions attempts:5 timeout:30\nnameserver 127.0.0.1\n", server.port());
  o.server_timeout = milliseconds{0};
  o.total_most = milliseconds{500};  // of 4 names x 5 attempts x 30 s
  auto begin = std::chrono::steady_clock::now();
  EXPECT_FALSE(DnsResolver(o).resolve("x", {}).ok());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, milliseconds{15'000});
  o.total_most = milliseconds{60'000};
  std::stop_source stop;
  std::jthread stopper([&] {
    std::this_thread::sleep_for(milliseconds{150});
    stop.request_stop();
  });
  begin = std::chrono::steady_clock::now();
  EXPECT_FALSE(DnsResolver(o).resolve("x", stop.get_token()).ok());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, milliseconds{15'000});
}

TEST_F(ResolverTest, UnreadableAnswersAreFailuresNotCrashes) {
  for (const std::string& raw :
       {std::string("\x81\x80", 2), std::string(30, '\xff'),
        std::string("\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00\x01x\x00\x00\x01\x00\x01\xc0", 18)}) {
    DnsFakeServer server([&](const DnsQuestion&, bool) { return DnsReply{.raw = raw}; });
    auto o = options("nameserver 127.0.0.1\noptions attempts:1\n", server.port());
    o.server_timeout = milliseconds{100};
    EXPECT_FALSE(DnsResolver(o).resolve("x.test", {}).ok());
  }
}

TEST_F(ResolverTest, NameThatCanNeverBeOneIsFatal) {
  for (const char* host : {"", "a..b", "has space", "-\n", "x/y", "a.b..", "ümlaut.test"}) {
    const auto result = DnsResolver(options("", 1)).resolve(host, {});
    ASSERT_FALSE(result.ok()) << host;
    EXPECT_FALSE(result.error().retriable) << host;
  }
  EXPECT_FALSE(is_dns_name(std::string(64, 'a')));
  EXPECT_TRUE(is_dns_name(std::string(63, 'a')));
}

TEST(ResolvConf, ReadsWhatTheManualSays) {
  const auto conf = parse_resolv_conf(
      "; comment\n# comment\ndomain old.test\nsearch A.test b.test.\nnameserver 10.0.0.2 # first\nnameserver ::1\n"
      "nameserver nonsense\nnameserver 10.0.0.3\nnameserver 10.0.0.4\noptions ndots:5 timeout:2 attempts:99 rotate "
      "ndots:x\n");
  EXPECT_EQ(conf.servers.size(), 3U);
  EXPECT_EQ(conf.servers[2].text(), "10.0.0.3");
  EXPECT_EQ(conf.search, (Texts{"a.test", "b.test"}));
  EXPECT_EQ(conf.ndots, 5);
  EXPECT_EQ(conf.timeout, std::chrono::seconds{2});
  EXPECT_EQ(conf.attempts, 5);
  EXPECT_EQ(parse_resolv_conf("").servers.at(0).text(), "127.0.0.1");
}

TEST(ResolvConf, CandidatesFollowNdots) {
  ResolvConf conf;
  conf.search = {"s.test"};
  conf.ndots = 2;
  EXPECT_EQ(search_candidates(conf, "A.b"), (Texts{"a.b.s.test", "a.b"}));
  EXPECT_EQ(search_candidates(conf, "a.b.c"), (Texts{"a.b.c", "a.b.c.s.test"}));
  EXPECT_EQ(search_candidates(conf, "a.b."), Texts{"a.b"});
}

}  // namespace
}  // namespace culvert::http
