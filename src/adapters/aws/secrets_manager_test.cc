// SPDX-License-Identifier: Apache-2.0
#include "adapters/aws/secrets_manager.h"

#include <gtest/gtest.h>

#include <map>
#include <mutex>
#include <string>

#include "fakes/http_fake_server.h"

namespace culvert::aws {
namespace {

using fakes::FakeReply;
using fakes::FakeRequest;
using fakes::HttpFakeServer;

constexpr const char* kArn =
    "arn:aws:secretsmanager:eu-central-1:111111111111:secret:telemetry-connection-20261124100000001-Ab12Cd";

TEST(SecretArn, OnlyFullOnesAreTaken) {
  const auto arn = SecretArn::parse(kArn);
  ASSERT_TRUE(arn) << arn.error().message;
  EXPECT_EQ(arn->region, "eu-central-1");
  EXPECT_EQ(arn->account, "111111111111");
  for (const char* text : {"", "telemetry", "arn:aws:secretsmanager:eu-central-1:111111111111:secret:telemetry",
                           "arn:aws:secretsmanager:eu-central-1:111111111111:secret:telemetry-connection",
                           "arn:aws:secretsmanager:eu-central-1:1111:secret:telemetry-Ab12Cd",
                           "arn:aws:secretsmanager::111111111111:secret:telemetry-Ab12Cd",
                           "arn:aws:s3:eu-central-1:111111111111:secret:telemetry-Ab12Cd",
                           "arn:aws:secretsmanager:eu-central-1:111111111111:secret:telemetry-Ab12Cd:password::",
                           "arn:aws:secretsmanager:eu-central-1:111111111111:secret:tele metry-Ab12Cd"}) {
    const auto refused = SecretArn::parse(text);
    ASSERT_FALSE(refused) << text;
    EXPECT_EQ(refused.error().kind, ErrorKind::kConfiguration);
    EXPECT_NE(refused.error().message.find("secret:NAME-XXXXXX"), std::string::npos);
  }
}

class SecretsTest : public testing::Test {
 protected:
  Result<std::string> read(FakeReply reply) {
    {
      const std::lock_guard lock(mutex_);
      reply_ = std::move(reply);
    }
    const Environment environment = [this](const char* name) -> std::optional<std::string> {
      const auto found = environment_.find(name);
      if (found == environment_.end()) return std::nullopt;
      return found->second;
    };
    CredentialOptions options;
    options.environment = environment;
    CredentialChain chain(client_, clock_, options);
    const auto arn = SecretArn::parse(kArn);
    return read_secret_value(client_, chain, clock_, environment, *arn, std::chrono::milliseconds{3'000});
  }
  // The message of a refusal with this code and text.
  Error refused(const std::string& code, const std::string& message, int status = 400) {
    const auto result =
        read({.status = status, .body = R"({"__type":")" + code + R"(","Message":")" + message + "\"}"});
    EXPECT_FALSE(result) << code;
    EXPECT_FALSE(result.error().retriable) << code;
    EXPECT_NE(result.error().message.find(kArn), std::string::npos) << result.error().message;
    EXPECT_EQ(result.error().message.find("hidden"), std::string::npos);
    return result.error();
  }
  FakeRequest request() {
    const std::lock_guard lock(mutex_);
    return request_;
  }

  std::mutex mutex_;
  FakeReply reply_;
  FakeRequest request_;
  HttpFakeServer server_{[this](const FakeRequest& request) {
    const std::lock_guard lock(mutex_);
    request_ = request;
    return reply_;
  }};
  std::map<std::string, std::string> environment_{{"AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"},
                                                  {"AWS_SECRET_ACCESS_KEY", "hidden"},
                                                  {"AWS_REGION", "us-east-1"},
                                                  {"AWS_ENDPOINT_URL_SECRETS_MANAGER", server_.url()}};
  SystemClock clock_;
  http::DnsResolver resolver_;
  http::Client client_{{}, resolver_};
};

TEST_F(SecretsTest, TheTextIsReadFromTheRegionOfTheArn) {
  const auto text = read({.status = 200, .body = R"({"ARN":"x","SecretString":"{\"a\":\"\u00e4\"}"})"});
  ASSERT_TRUE(text) << text.error().message;
  EXPECT_EQ(*text, "{\"a\":\"\xc3\xa4\"}");
  EXPECT_EQ(request().header("X-Amz-Target"), "secretsmanager.GetSecretValue");
  EXPECT_EQ(request().body, std::string(R"({"SecretId":")") + kArn + "\"}");
  EXPECT_NE(request().header("Authorization").find("/eu-central-1/secretsmanager/aws4_request"), std::string::npos);
}

TEST_F(SecretsTest, BytesAndForeignResponsesAreTold) {
  const auto bytes = read({.status = 200, .body = R"({"SecretBinary":"AAAA"})"});
  ASSERT_FALSE(bytes);
  EXPECT_EQ(bytes.error().kind, ErrorKind::kConfiguration);
  const auto page = read({.status = 200, .body = "<html>captive</html>"});
  ASSERT_FALSE(page);
  EXPECT_EQ(page.error().kind, ErrorKind::kUnavailable);
}

struct Case {
  const char* name;
  const char* code;
  const char* message;
  ErrorKind kind;
  const char* says;    // what is wrong
  const char* remedy;  // what to do
};

TEST_F(SecretsTest, EachRefusalHasItsCauseAndItsRemedy) {
  constexpr const char* kOwner =
      "User: arn:aws:sts::111111111111:assumed-role/culvert/i-1 is not authorized to perform: "
      "secretsmanager:GetSecretValue on resource: arn:x because ";
  constexpr const char* kOther =
      "User: arn:aws:sts::222222222222:assumed-role/culvert/i-1 is not authorized to perform: "
      "secretsmanager:GetSecretValue on resource: arn:x because ";
  const std::string no_resource = "no resource-based policy allows the secretsmanager:GetSecretValue action";
  const std::string no_identity = "no identity-based policy allows the secretsmanager:GetSecretValue action";
  const std::string from_owner = kOwner + std::string("an explicit deny in a resource-based policy");
  const std::string from_other = kOther + no_resource;
  const std::string by_identity = kOther + no_identity;
  const Case cases[] = {
      {"missing", "ResourceNotFoundException", "Secrets Manager can't find the specified secret.",
       ErrorKind::kConfiguration, "there is none of this name", "stream root's outputs"},
      {"empty", "ResourceNotFoundException",
       "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT", ErrorKind::kConfiguration,
       "has no value", "apply it again"},
      {"deleted", "InvalidRequestException",
       "You can't perform this operation on the secret because it was marked for deletion.", ErrorKind::kConfiguration,
       "was deleted", "restore it"},
      {"resource policy", "AccessDeniedException", from_owner.c_str(), ErrorKind::kPermission,
       "the secret's resource policy refuses this identity", "allowed_service_principal_arns"},
      {"wrong account", "AccessDeniedException", from_other.c_str(), ErrorKind::kPermission,
       "credentials are of account 222222222222, which the secret of account 111111111111 does not let in",
       "use the credentials of an account that it names"},
      {"identity policy", "AccessDeniedException", by_identity.c_str(), ErrorKind::kPermission,
       "this identity's own policy does not allow it", "allow secretsmanager:GetSecretValue on this ARN"},
      {"of a stand-in", "AccessDenied", "User: u is not authorized to perform: secretsmanager:GetSecretValue",
       ErrorKind::kPermission, "access is refused", "three policies must allow it"},
      {"key", "AccessDeniedException", "Access to KMS is not allowed", ErrorKind::kPermission,
       "its key may not be used", "kms:Decrypt"},
      {"key gone", "DecryptionFailure", "Secrets Manager can't decrypt the protected secret text",
       ErrorKind::kPermission, "its key cannot decrypt it", "enable it"},
      {"credentials", "UnrecognizedClientException", "The security token included in the request is invalid.",
       ErrorKind::kPermission, "AWS does not take these credentials", "belong together"},
      {"anything else", "InvalidParameterException", "You sent an invalid parameter.", ErrorKind::kUnavailable,
       "InvalidParameterException", "You sent an invalid parameter."},
  };
  for (const Case& each : cases) {
    const Error error = refused(each.code, each.message);
    EXPECT_EQ(error.kind, each.kind) << each.name;
    EXPECT_NE(error.message.find(each.says), std::string::npos) << each.name << ": " << error.message;
    EXPECT_NE(error.message.find(each.remedy), std::string::npos) << each.name << ": " << error.message;
    EXPECT_NE(error.message.find(each.code), std::string::npos) << each.name << ": " << error.message;
  }
}

}  // namespace
}  // namespace culvert::aws
