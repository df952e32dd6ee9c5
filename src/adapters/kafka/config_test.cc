// SPDX-License-Identifier: Apache-2.0
#include "adapters/kafka/config.h"

#include <gtest/gtest.h>

#include <array>
#include <mutex>

#include "adapters/kafka/admin.h"
#include "adapters/kafka/settings.h"

namespace culvert::kafka {
namespace {

KafkaConfig with(std::vector<Property> properties) {
  return KafkaConfig{.bootstrap = "127.0.0.1:9", .properties = std::move(properties)};
}

std::string value_of(const Handle<rd_kafka_conf_t>& conf, const char* name) {
  std::array<char, 512> text{};
  std::size_t size = text.size();
  if (rd_kafka_conf_get(conf.get(), name, text.data(), &size) != RD_KAFKA_CONF_OK) return "<unknown>";
  return text.data();
}

bool says(const Error& error, std::string_view part) { return error.message.find(part) != std::string::npos; }

TEST(KafkaConfig, EveryOwnedKeyIsRefusedWithItsReason) {
  for (const OwnedKey& key : owned_keys()) {
    const Result<void> checked = validate(with({{std::string(key.name), "1"}}), Role::kConsumer);
    ASSERT_FALSE(checked.ok()) << key.name;
    EXPECT_EQ(checked.error().kind, ErrorKind::kConfiguration);
    EXPECT_TRUE(says(checked.error(), key.name) && says(checked.error(), key.reason)) << checked.error().message;
  }
}

TEST(KafkaConfig, OwnedKeysAndDefaultsAreKeysThatTheClientKnows) {
  for (const OwnedKey& key : owned_keys()) {
    const Handle<rd_kafka_conf_t> conf{rd_kafka_conf_new()};
    std::array<char, 512> text{};
    EXPECT_NE(rd_kafka_conf_set(conf.get(), std::string(key.name).c_str(), "?", text.data(), text.size()),
              RD_KAFKA_CONF_UNKNOWN)
        << key.name;
  }
  for (const Role role : {Role::kConsumer, Role::kReader, Role::kProducer, Role::kAdmin}) {
    EXPECT_TRUE(validate(with({}), role).ok());
  }
}

TEST(KafkaConfig, UnknownKeysGetTheNearestName) {
  const Result<void> checked = validate(with({{"sasl.usernam", "app"}}), Role::kConsumer);
  ASSERT_FALSE(checked.ok());
  EXPECT_TRUE(says(checked.error(), "did you mean 'sasl.username'?")) << checked.error().message;
  const Result<void> odd = validate(with({{"entirely.different", "x"}}), Role::kConsumer);
  ASSERT_FALSE(odd.ok());
  EXPECT_FALSE(says(odd.error(), "did you mean")) << odd.error().message;
}

TEST(KafkaConfig, RefusedValuesAreShownUnlessTheyAreSecret) {
  const Result<void> plain = validate(with({{"session.timeout.ms", "soon"}}), Role::kConsumer);
  ASSERT_FALSE(plain.ok());
  EXPECT_TRUE(says(plain.error(), "session.timeout.ms")) << plain.error().message;
}

TEST(KafkaConfig, LaterPropertiesWinAndDefaultsGiveWay) {
  const auto conf =
      make_conf(with({{"session.timeout.ms", "7000"}, {"session.timeout.ms", "8000"}}), Role::kConsumer, {});
  ASSERT_TRUE(conf.ok()) << conf.error().message;
  EXPECT_EQ(value_of(*conf, "session.timeout.ms"), "8000");
  EXPECT_EQ(value_of(*conf, "partition.assignment.strategy"), "range");
  EXPECT_EQ(value_of(*conf, "enable.auto.commit"), "false");
  EXPECT_EQ(value_of(*conf, "isolation.level"), "read_committed");
}

TEST(KafkaConfig, CertificatesAreVerifiedUnlessTheFieldSaysOtherwise) {
  KafkaConfig config = with({});
  EXPECT_EQ(value_of(*make_conf(config, Role::kConsumer, {}), "enable.ssl.certificate.verification"), "true");
  EXPECT_EQ(value_of(*make_conf(config, Role::kConsumer, {}), "ssl.endpoint.identification.algorithm"), "https");
  config.insecure_skip_tls_verification = true;
  EXPECT_EQ(value_of(*make_conf(config, Role::kConsumer, {}), "enable.ssl.certificate.verification"), "false");
  const Result<void> quiet = validate(with({{"ssl.endpoint.identification.algorithm", "none"}}), Role::kConsumer);
  ASSERT_FALSE(quiet.ok());
  EXPECT_TRUE(says(quiet.error(), "--insecure-skip-tls-verification")) << quiet.error().message;
}

TEST(KafkaConfig, NoBrokersIsAnError) {
  const Result<void> checked = validate(KafkaConfig{}, Role::kProducer);
  ASSERT_FALSE(checked.ok());
  EXPECT_TRUE(says(checked.error(), "--bootstrap-server")) << checked.error().message;
}

TEST(KafkaConfig, RedactionHidesSecretsAndNothingElse) {
  const KafkaConfig config = with({{"sasl.username", "app"}, {"sasl.password", "s3cr3t"}, {"ssl.key.password", "k3y"}});
  const std::string text = redacted_text(config);
  EXPECT_EQ(text, "bootstrap.servers=127.0.0.1:9 sasl.username=app sasl.password=*** ssl.key.password=***");
  EXPECT_EQ(redact("login of app with s3cr3t, k3y and s3cr3t", secret_values(config)),
            "login of app with ***, *** and ***");
  EXPECT_EQ(redact("***", std::vector<std::string>{"*"}), "*********");
}

TEST(KafkaConfig, DebugLogOfALoginHoldsNoSecret) {
  std::mutex mutex;
  std::string log;
  KafkaConfig config = with({{"security.protocol", "SASL_PLAINTEXT"},
                             {"sasl.mechanism", "PLAIN"},
                             {"sasl.username", "app"},
                             {"sasl.password", "marker-of-a-secret"},
                             {"debug", "all"}});
  config.log = [&](LogLevel, std::string_view text) {
    const std::lock_guard lock(mutex);
    log.append(text).append("\n");
  };
  {
    auto admin = Admin::open(config);
    ASSERT_TRUE(admin.ok()) << admin.error().message;
    EXPECT_FALSE((*admin)->cluster(Millis{200}).ok());
  }
  EXPECT_NE(log.find("sasl.username"), std::string::npos) << "the dump of the configuration is expected in it";
  EXPECT_EQ(log.find("marker-of-a-secret"), std::string::npos);
}

}  // namespace
}  // namespace culvert::kafka
