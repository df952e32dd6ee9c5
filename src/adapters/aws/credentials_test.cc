// SPDX-License-Identifier: Apache-2.0
#include "adapters/aws/credentials.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <map>
#include <mutex>
#include <string>

#include "adapters/aws/credential_text.h"
#include "adapters/http/client.h"
#include "fakes/http_fake_server.h"
#include "model/time.h"

namespace culvert::aws {
namespace {

using fakes::FakeReply;
using fakes::FakeRequest;
using fakes::HttpFakeServer;
using std::chrono::seconds;

// A wall clock that a test moves while the I/O thread reads it.
class TestClock final : public Clock {
 public:
  WallTime wall() const override { return WallTime{std::chrono::microseconds{now_us_.load()}}; }
  SteadyTime steady() const override { return {}; }
  void move(seconds by) { now_us_ += std::chrono::microseconds(by).count(); }

 private:
  std::atomic<std::int64_t> now_us_{1'795'000'000'000'000};  // 2026-11-18T20:26:40Z
};

class CredentialsTest : public testing::Test {
 protected:
  CredentialsTest() {
    std::string pattern = testing::TempDir() + "culvert-credentials-XXXXXX";
    directory_ = mkdtemp(pattern.data());
    options_.environment = [this](const char* name) -> std::optional<std::string> {
      const auto found = environment_.find(name);
      if (found == environment_.end()) return std::nullopt;
      return found->second;
    };
    environment_["AWS_EC2_METADATA_DISABLED"] = "true";
  }
  ~CredentialsTest() override {
    for (const std::string& file : files_) ::unlink(file.c_str());
    ::rmdir(directory_.c_str());
  }
  std::string write(const std::string& name, const std::string& text) {
    files_.push_back(directory_ + "/" + name);
    std::ofstream(files_.back()) << text;
    return files_.back();
  }
  Result<CredentialsPtr> get() {
    CredentialChain chain(client_, clock_, options_);
    return chain.get_blocking();
  }
  std::string expiry(seconds from_now) const {
    return format_utc(
        EventTime{std::chrono::floor<std::chrono::milliseconds>(clock_.wall() + from_now).time_since_epoch().count()});
  }

  std::map<std::string, std::string> environment_;
  std::string directory_;
  std::vector<std::string> files_;
  CredentialOptions options_;
  TestClock clock_;
  http::DnsResolver resolver_;
  http::Client client_{{}, resolver_};
};

TEST_F(CredentialsTest, EnvironmentComesFirst) {
  environment_["AWS_ACCESS_KEY_ID"] = "AKID";
  environment_["AWS_SECRET_ACCESS_KEY"] = "secret";
  environment_["AWS_SESSION_TOKEN"] = "token";
  environment_["AWS_SHARED_CREDENTIALS_FILE"] = write("credentials", "[default]\naws_access_key_id=OTHER\n");
  const auto found = get();
  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_EQ((*found)->access_key_id, "AKID");
  EXPECT_EQ((*found)->secret_access_key, "secret");
  EXPECT_EQ((*found)->session_token, "token");
  EXPECT_FALSE((*found)->expires_at);
}

TEST_F(CredentialsTest, HalfAPairInTheEnvironmentIsAnErrorWithoutTheSecret) {
  environment_["AWS_SECRET_ACCESS_KEY"] = "very-secret";
  const auto found = get();
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.error().kind, ErrorKind::kPermission);
  EXPECT_EQ(found.error().message.find("very-secret"), std::string::npos);
}

TEST_F(CredentialsTest, ProfileOfTheSharedFileIsChosenByName) {
  environment_["AWS_SHARED_CREDENTIALS_FILE"] =
      write("credentials",
            "# c\n[default]\naws_access_key_id = D\naws_secret_access_key = d\n\n[work]\naws_access_key_id=W\n"
            "aws_secret_access_key=w=/+\naws_session_token = t\n");
  environment_["AWS_CONFIG_FILE"] = write("config", "[profile work]\nregion = eu-north-1\naws_access_key_id = X\n");
  EXPECT_EQ((*get())->access_key_id, "D");
  environment_["AWS_PROFILE"] = "work";
  const auto work = get();
  EXPECT_EQ((*work)->access_key_id, "W");
  EXPECT_EQ((*work)->secret_access_key, "w=/+");
  EXPECT_EQ(region_from(options_.environment), "eu-north-1");
  environment_["AWS_PROFILE"] = "none";
  EXPECT_NE(get().error().message.find("profile 'none'"), std::string::npos);
}

TEST_F(CredentialsTest, UnsupportedProfileSaysSoInsteadOfGuessing) {
  environment_["AWS_CONFIG_FILE"] = write("config", "[default]\nsso_session = corp\n");
  const auto found = get();
  ASSERT_FALSE(found.ok());
  EXPECT_NE(found.error().message.find("sso_session"), std::string::npos);
}

TEST_F(CredentialsTest, WebIdentityIsExchangedForCredentials) {
  std::mutex mutex;
  std::string body;
  HttpFakeServer sts([&](const FakeRequest& request) {
    const std::lock_guard lock(mutex);
    body = request.body;
    return FakeReply{.body =
                         "<R><Credentials><AccessKeyId>ASIA</AccessKeyId><SecretAccessKey>s&amp;k</SecretAccessKey>"
                         "<SessionToken>tok</SessionToken><Expiration>" +
                         expiry(seconds{3600}) + "</Expiration></Credentials></R>"};
  });
  environment_["AWS_ENDPOINT_URL_STS"] = sts.url();
  environment_["AWS_WEB_IDENTITY_TOKEN_FILE"] = write("token", "header.payload.signature\n");
  environment_["AWS_ROLE_ARN"] = "arn:aws:iam::111122223333:role/culvert";
  const auto found = get();
  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_EQ((*found)->access_key_id, "ASIA");
  EXPECT_EQ((*found)->secret_access_key, "s&k");
  EXPECT_TRUE((*found)->expires_at);
  const std::lock_guard lock(mutex);
  EXPECT_NE(body.find("WebIdentityToken=header.payload.signature"), std::string::npos) << body;
  EXPECT_NE(body.find("RoleArn=arn%3Aaws%3Aiam%3A%3A111122223333%3Arole%2Fculvert"), std::string::npos) << body;
}

TEST_F(CredentialsTest, RefusedWebIdentityIsFatalAndServerErrorIsNot) {
  std::atomic<int> status{403};
  HttpFakeServer sts([&](const FakeRequest&) {
    return FakeReply{.status = status,
                     .body = "<E><Error><Code>AccessDenied</Code><Message>not you</Message></Error></E>"};
  });
  environment_["AWS_ENDPOINT_URL_STS"] = sts.url();
  environment_["AWS_WEB_IDENTITY_TOKEN_FILE"] = write("token", "t");
  environment_["AWS_ROLE_ARN"] = "arn:aws:iam::1:role/r";
  auto found = get();
  ASSERT_FALSE(found.ok());
  EXPECT_FALSE(found.error().retriable);
  EXPECT_NE(found.error().message.find("AccessDenied: not you"), std::string::npos);
  status = 503;
  EXPECT_TRUE(get().error().retriable);
}

TEST_F(CredentialsTest, ContainerEndpointGetsItsAuthorizationToken) {
  HttpFakeServer endpoint([&](const FakeRequest& request) {
    if (request.header("Authorization") != "from-file" || request.target != "/v2/creds")
      return FakeReply{.status = 401};
    return FakeReply{.body = R"({"AccessKeyId":"C","SecretAccessKey":"k","Token":"t","Expiration":")" +
                             expiry(seconds{900}) + "\"}"};
  });
  environment_["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = endpoint.url() + "/v2/creds";
  environment_["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = "from-environment";
  environment_["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = write("authorization", "from-file\n");
  const auto found = get();
  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_EQ((*found)->session_token, "t");
  environment_.erase("AWS_CONTAINER_CREDENTIALS_FULL_URI");
  environment_["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] = "/v2/creds";
  options_.container_url = endpoint.url();
  EXPECT_TRUE(get().ok());
  environment_.erase("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
  environment_["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = "http://192.0.2.1/creds";
  EXPECT_NE(get().error().message.find("loopback"), std::string::npos);
}

TEST_F(CredentialsTest, InstanceMetadataIsAskedWithASessionToken) {
  HttpFakeServer instance([&](const FakeRequest& request) {
    if (request.method == "PUT" && request.target == "/latest/api/token" &&
        request.header("X-aws-ec2-metadata-token-ttl-seconds") == "21600") {
      return FakeReply{.body = "session"};
    }
    if (request.header("X-aws-ec2-metadata-token") != "session") return FakeReply{.status = 401};
    if (request.target == "/latest/meta-data/iam/security-credentials/") return FakeReply{.body = "the-role\n"};
    if (request.target != "/latest/meta-data/iam/security-credentials/the-role") return FakeReply{.status = 404};
    return FakeReply{.body = R"({"Code":"Success","AccessKeyId":"I","SecretAccessKey":"k","Token":"t","Expiration":")" +
                             expiry(seconds{21600}) + "\"}"};
  });
  environment_.erase("AWS_EC2_METADATA_DISABLED");
  options_.instance_url = instance.url();
  const auto found = get();
  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_EQ((*found)->access_key_id, "I");
  EXPECT_EQ(instance.requests(), 3U);
}

TEST_F(CredentialsTest, NothingConfiguredNamesEverySourceAndTheRemedy) {
  const auto found = get();
  ASSERT_FALSE(found.ok());
  EXPECT_FALSE(found.error().retriable);
  EXPECT_NE(found.error().message.find("set AWS_ACCESS_KEY_ID"), std::string::npos);
}

// A container endpoint whose answers are numbered and live for an hour of the test's clock.
class RefreshTest : public CredentialsTest {
 protected:
  RefreshTest()
      : endpoint_([this](const FakeRequest&) {
          const int number = ++served_;
          if (failing_) return FakeReply{.status = 500};
          return FakeReply{.body = R"({"AccessKeyId":")" + std::to_string(number) +
                                   R"(","SecretAccessKey":"k","Token":"t","Expiration":")" + expiry(seconds{3600}) +
                                   "\"}"};
        }) {
    environment_["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = endpoint_.url() + "/";
  }
  std::string now(CredentialChain& chain) {
    const auto found = chain.get_blocking();
    return found.ok() ? (*found)->access_key_id : found.error().message;
  }
  // The key in use once a fetch in the background is over: `wanted`, or what it still is when patience ends.
  std::string settled(CredentialChain& chain, int fetches, const std::string& wanted) {
    std::string key;
    for (int i = 0; i < 4'000 && (served_ < fetches || key != wanted); ++i) {
      ::usleep(5'000);
      key = now(chain);
    }
    return key;
  }
  std::atomic<int> served_{0};
  std::atomic<bool> failing_{false};
  HttpFakeServer endpoint_;
};

TEST_F(RefreshTest, RenewedBeforeTheEndWithoutMakingAnybodyWait) {
  CredentialChain chain(client_, clock_, options_);
  EXPECT_EQ(now(chain), "1");
  clock_.move(seconds{3600 - 601});  // before the earliest moment of renewal
  EXPECT_EQ(now(chain), "1");
  ::usleep(30'000);
  EXPECT_EQ(served_, 1);
  clock_.move(seconds{302});  // past the latest one
  EXPECT_EQ(now(chain), "1") << "the old ones are good still";
  EXPECT_EQ(settled(chain, 2, "2"), "2");
}

TEST_F(RefreshTest, FailedRenewalKeepsTheOldOnesUntilTheyExpire) {
  CredentialChain chain(client_, clock_, options_);
  EXPECT_EQ(now(chain), "1");
  failing_ = true;
  clock_.move(seconds{3600 - 200});
  EXPECT_EQ(now(chain), "1");
  EXPECT_EQ(settled(chain, 2, "1"), "1");
  clock_.move(seconds{201});
  EXPECT_NE(now(chain).find("HTTP 500"), std::string::npos);
  failing_ = false;
  const std::string key = now(chain);
  EXPECT_EQ(key, std::to_string(served_.load()));
}

TEST_F(RefreshTest, DiscardedCredentialsAreFetchedAnewOnce) {
  CredentialChain chain(client_, clock_, options_);
  const auto first = chain.get_blocking();
  client_.post([&] {
    chain.discard(*first);
    chain.discard(*first);
  });
  EXPECT_EQ(now(chain), "2");
  client_.post([&] { chain.discard(*first); });
  EXPECT_EQ(now(chain), "2") << "a late complaint about old credentials must not drop the new ones";
}

TEST(CredentialText, ProfilesAndDocumentsThatAreBrokenYieldNothing) {
  EXPECT_FALSE(find_profile("aws_access_key_id=x\n", "default"));
  EXPECT_EQ(find_profile("[a]\nk=v\n  nested=1\n[b]\nk=w", "a")->size(), 1U);
  EXPECT_EQ(find_profile("[ profile  b ]\nk = w", "b")->at("k"), "w");
  for (const char* text : {"", "[]", "{", "{}", R"({"AccessKeyId":1,"SecretAccessKey":"x"})",
                           R"({"AccessKeyId":"a","SecretAccessKey":"MARKER","Expiration":"soon"})"}) {
    const auto result = credentials_from_json(text);
    ASSERT_FALSE(result.ok()) << text;
    EXPECT_EQ(result.error().message.find("MARKER"), std::string::npos);
  }
  EXPECT_FALSE(credentials_from_sts("<AccessKeyId>a").ok());
}

}  // namespace
}  // namespace culvert::aws
