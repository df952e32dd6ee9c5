// SPDX-License-Identifier: Apache-2.0
#include "adapters/kafka/errors.h"

#include <gtest/gtest.h>

namespace culvert::kafka {
namespace {

bool says(const Error& error, std::string_view part) { return error.message.find(part) != std::string::npos; }

TEST(KafkaErrors, RefusedLoginIsAPermissionThatWaitingDoesNotCure) {
  const Error error = to_error(RD_KAFKA_RESP_ERR__AUTHENTICATION, "brokers b-1:9096",
                               "SASL authentication error: Authentication failed: invalid credentials");
  EXPECT_EQ(error.kind, ErrorKind::kPermission);
  EXPECT_FALSE(error.retriable);
  EXPECT_TRUE(says(error, "brokers b-1:9096: the login was refused")) << error.message;
  EXPECT_TRUE(says(error, "sasl.username")) << error.message;
}

TEST(KafkaErrors, WrongAuthorityNamesTheProperty) {
  const Error error = to_error(RD_KAFKA_RESP_ERR__SSL, "brokers b-1:9094",
                               "SSL handshake failed: error:0A000086:SSL routines::certificate verify failed: broker "
                               "certificate could not be verified");
  EXPECT_EQ(error.kind, ErrorKind::kUnavailable);
  EXPECT_FALSE(error.retriable);
  EXPECT_TRUE(says(error, "ssl.ca.location")) << error.message;
}

TEST(KafkaErrors, RefusedClientCertificateIsAPermission) {
  const Error error = to_error(RD_KAFKA_RESP_ERR__SSL, "brokers b-1:9094",
                               "error:0A00045C:SSL routines::tlsv13 alert certificate required: SSL alert number 116");
  EXPECT_EQ(error.kind, ErrorKind::kPermission);
  EXPECT_TRUE(says(error, "ssl.certificate.location")) << error.message;
}

TEST(KafkaErrors, RefusedClientCertificateIsRecognisedAfterTheHandshakeToo) {
  const Error error = to_error(RD_KAFKA_RESP_ERR__TRANSPORT, "brokers b-1:9094",
                               "ssl://b-1:9094/bootstrap: Receive failed: error:0A000412:SSL routines::sslv3 alert bad "
                               "certificate: SSL alert number 42 (after 18ms in state APIVERSION_QUERY)");
  EXPECT_EQ(error.kind, ErrorKind::kPermission);
  EXPECT_FALSE(says(error, "after 18ms")) << error.message;
}

TEST(KafkaErrors, BrokenHandshakeMayPass) {
  const Error error =
      to_error(RD_KAFKA_RESP_ERR__SSL, "brokers b-1:9094", "SSL handshake failed: wrong version number");
  EXPECT_EQ(error.kind, ErrorKind::kUnavailable);
  EXPECT_TRUE(error.retriable);
}

TEST(KafkaErrors, RefusedTopicAndGroupNameTheRightsNeeded) {
  const Error topic = to_error(RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, "topic 'telemetry'", "");
  EXPECT_EQ(topic.kind, ErrorKind::kPermission);
  EXPECT_TRUE(says(topic, "a consumer needs READ on the topic, a producer WRITE")) << topic.message;
  EXPECT_FALSE(says(topic, "DESCRIBE")) << topic.message;  // READ and WRITE include it
  const Error group = to_error(RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, "group 'g'", "");
  EXPECT_EQ(group.kind, ErrorKind::kPermission);
  EXPECT_TRUE(says(group, "READ on the group")) << group.message;
}

TEST(KafkaErrors, LostPositionsAreDataErrorsAndTruncationIsToldApart) {
  const Error retention = to_error(RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, "topic 't' partition 0 at offset 5",
                                   "fetch failed due to requested offset not available on the broker");
  EXPECT_EQ(retention.kind, ErrorKind::kData);
  EXPECT_FALSE(retention.retriable);
  EXPECT_TRUE(says(retention, "--accept-loss")) << retention.message;
  const Error truncated = to_error(RD_KAFKA_RESP_ERR__LOG_TRUNCATION, "topic 't' partition 0 at offset 5", "");
  EXPECT_EQ(truncated.kind, ErrorKind::kData);
  EXPECT_FALSE(truncated.retriable);
  EXPECT_TRUE(says(truncated, "truncated")) << truncated.message;
  // With auto.offset.reset=error, truncation found by the leader epoch comes under the general code.
  const Error reset = to_error(RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, "topic 't' partition 0 at offset 5",
                               "Partition log truncation detected at offset 5");
  EXPECT_TRUE(says(reset, "unclean leader election")) << reset.message;
}

TEST(KafkaErrors, UnreachableBrokersMayComeBack) {
  for (const auto code : {RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, RD_KAFKA_RESP_ERR__RESOLVE,
                          RD_KAFKA_RESP_ERR__TIMED_OUT, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION}) {
    const Error error = to_error(code, "brokers b-1:9092", "");
    EXPECT_EQ(error.kind, ErrorKind::kUnavailable) << error.message;
    EXPECT_TRUE(error.retriable) << error.message;
  }
}

TEST(KafkaErrors, UnknownTopicSaysWhatToDo) {
  const Error error = to_error(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, "topic 'telemtry'", "");
  EXPECT_EQ(error.kind, ErrorKind::kConfiguration);
  EXPECT_FALSE(error.retriable);
  EXPECT_TRUE(says(error, "topic 'telemtry': does not exist")) << error.message;
}

TEST(KafkaErrors, TheSameComplaintIsAdmittedOnce) {
  ComplaintFilter filter;
  const Error first = to_error(RD_KAFKA_RESP_ERR__TRANSPORT, "brokers a", "");
  const Error second = to_error(RD_KAFKA_RESP_ERR__TRANSPORT, "brokers b", "");
  EXPECT_TRUE(filter.admit(first));
  EXPECT_FALSE(filter.admit(first));
  EXPECT_TRUE(filter.admit(second));
  EXPECT_FALSE(filter.admit(first)) << "also when others came in between";
}

}  // namespace
}  // namespace culvert::kafka
