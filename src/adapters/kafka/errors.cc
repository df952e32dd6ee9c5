// SPDX-License-Identifier: Apache-2.0
#include "adapters/kafka/errors.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

namespace culvert::kafka {

bool is_lost_log(rd_kafka_resp_err_t code) {
  return code == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET || code == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE ||
         code == RD_KAFKA_RESP_ERR__LOG_TRUNCATION;
}

namespace {

bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

std::string with_detail(std::string_view what, std::string_view fault, std::string_view detail,
                        std::string_view remedy) {
  return detail.empty() ? fmt::format("{}: {} ({})", what, fault, remedy)
                        : fmt::format("{}: {}: {} ({})", what, fault, detail, remedy);
}

Error permission(std::string_view what, std::string_view fault, std::string_view detail, std::string_view remedy) {
  return Error::fatal(ErrorKind::kPermission, with_detail(what, fault, detail, remedy));
}

Error unavailable(std::string_view what, std::string_view fault, std::string_view detail, std::string_view remedy) {
  return Error::retriable_error(ErrorKind::kUnavailable, with_detail(what, fault, detail, remedy));
}

// librdkafka has one code for all of TLS; the text of OpenSSL tells a wrong authority from a refused client certificate
// and both from a connection that broke during the handshake, as it does while a broker restarts.
bool refuses_client_certificate(std::string_view detail) {
  return contains(detail, "alert") &&
         (contains(detail, "certificate") || contains(detail, "unknown ca") || contains(detail, "access denied"));
}

Error client_certificate_error(std::string_view what, std::string_view detail) {
  return permission(what, "the broker refused this client's certificate", detail,
                    "set ssl.certificate.location and ssl.key.location to a certificate that the brokers trust");
}

Error tls_error(std::string_view what, std::string_view detail) {
  if (contains(detail, "certificate verify failed") || contains(detail, "could not be verified") ||
      contains(detail, "Failed to verify broker certificate")) {
    return Error::fatal(
        ErrorKind::kUnavailable,
        with_detail(what, "the broker's certificate does not verify", detail,
                    "set ssl.ca.location to the CA that signed the brokers' certificates, and use the host names that "
                    "these certificates carry"));
  }
  if (refuses_client_certificate(detail)) return client_certificate_error(what, detail);
  return unavailable(what, "the TLS handshake failed", detail,
                     "check that the port is a TLS port and that security.protocol fits it");
}

// librdkafka appends how long a connection lasted; that makes the same fault read differently each time.
std::string_view without_timing(std::string_view detail) {
  const auto at = detail.rfind(" (after ");
  return at == std::string_view::npos || !detail.ends_with(')') ? detail : detail.substr(0, at);
}

Error login_error(std::string_view what, std::string_view detail) {
  return permission(what, "the login was refused", detail,
                    "check sasl.mechanism, sasl.username and sasl.password against the cluster's users");
}

bool is_login(rd_kafka_resp_err_t code) {
  return code == RD_KAFKA_RESP_ERR__AUTHENTICATION || code == RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED ||
         code == RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM || code == RD_KAFKA_RESP_ERR_ILLEGAL_SASL_STATE;
}

bool is_unknown_topic(rd_kafka_resp_err_t code) {
  return code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
         code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION || code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_ID;
}

Error lost_log_error(rd_kafka_resp_err_t code, std::string_view what, std::string_view detail) {
  if (code == RD_KAFKA_RESP_ERR__LOG_TRUNCATION || contains(detail, "truncation")) {
    return Error::fatal(ErrorKind::kData,
                        with_detail(what, "the log was truncated below the position (unclean leader election)", detail,
                                    "the table holds readings that the log has lost, and their offsets are used "
                                    "again: fold the log into a new table, or go on in this one with the next "
                                    "--generation and --start at a time after the loss"));
  }
  return Error::fatal(ErrorKind::kData,
                      with_detail(what, "the position is not in the log any more", detail,
                                  "retention removed records before they were read: the next start says how many, and "
                                  "`consume --accept-loss` goes on without them; or the topic was created anew: go "
                                  "on with the next --generation"));
}

}  // namespace

Error to_error(rd_kafka_resp_err_t code, std::string_view what, std::string_view detail) {
  const std::string_view text = rd_kafka_err2str(code);
  const std::string_view more = detail.empty() ? text : without_timing(detail);
  if (is_login(code)) return login_error(what, more);
  if (code == RD_KAFKA_RESP_ERR__SSL) return tls_error(what, more);
  // With TLS 1.3 the broker's verdict on the client's certificate comes after the handshake.
  if (code == RD_KAFKA_RESP_ERR__TRANSPORT && refuses_client_certificate(more)) {
    return client_certificate_error(what, more);
  }
  if (is_lost_log(code)) return lost_log_error(code, what, more);
  if (is_unknown_topic(code)) {
    return Error::fatal(
        ErrorKind::kConfiguration,
        with_detail(what, "does not exist", more, "check the name and the cluster, or create the topic first"));
  }
  switch (code) {
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
      return permission(what, "access is refused", more,
                        "a consumer needs READ on the topic, a producer WRITE, and CREATE to create it");
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
      return permission(what, "the consumer group is refused", more, "grant READ on the group to this user");
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
      return permission(what, "the operation is refused", more, "grant it to this user, or use another one");
    case RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS:
      return Error::fatal(ErrorKind::kConfiguration,
                          with_detail(what, "exists already", more, "use it, or choose another name"));
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
      return Error::fatal(ErrorKind::kConfiguration,
                          with_detail(what, "a record is larger than allowed", more,
                                      "raise message.max.bytes here and at the topic, or send smaller records"));
    case RD_KAFKA_RESP_ERR__FENCED:
    case RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID:
      return Error::fatal(ErrorKind::kConfiguration,
                          with_detail(what, "another consumer joined with the same group.instance.id", more,
                                      "give each consumer its own"));
    case RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED:
      return Error::retriable_error(ErrorKind::kTryAgain,
                                    with_detail(what,
                                                "the group took the partitions back, because writing took longer than "
                                                "max.poll.interval.ms",
                                                more, "they are read again from the checkpoint; is the table slow?"));
    case RD_KAFKA_RESP_ERR__BAD_MSG:
    case RD_KAFKA_RESP_ERR__BAD_COMPRESSION:
    case RD_KAFKA_RESP_ERR_INVALID_MSG:
      return Error::fatal(ErrorKind::kData, with_detail(what, "records arrive damaged", more,
                                                        "check the brokers' disks and network; nothing was skipped"));
    case RD_KAFKA_RESP_ERR__RESOLVE:
      return unavailable(what, "the host name does not resolve", more,
                         "check the name, and the private zone that should answer it");
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE:
    case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
      return unavailable(what, "no answer in time", more, "check route, port and the brokers' health");
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
      return unavailable(what, "cannot be reached", more,
                         "check route, port, security.protocol and the brokers' health");
    default:
      return unavailable(what, rd_kafka_err2name(code), more, "the client goes on trying");
  }
}

Error token_login_error(rd_kafka_resp_err_t code, std::string_view what, std::string_view detail) {
  if (!is_login(code)) return to_error(code, what, detail);
  return permission(what, "the token was refused", detail.empty() ? rd_kafka_err2str(code) : without_timing(detail),
                    "check that the cluster lets this identity in (kafka-cluster:Connect), that its region is right, "
                    "and this machine's clock");
}

Error to_error(const rd_kafka_error_t* error, std::string_view what) {
  Error result = to_error(rd_kafka_error_code(error), what, rd_kafka_error_string(error));
  if (rd_kafka_error_is_fatal(error) != 0) result.retriable = false;
  return result;
}

bool ends_connecting(const Error& error) { return !error.retriable; }

bool ComplaintFilter::admit(const Error& error) {
  constexpr std::chrono::seconds kInterval{10};
  constexpr std::size_t kRecentMost = 16;
  const auto now = std::chrono::steady_clock::now();
  while (!recent_.empty() && (now - recent_.front().at >= kInterval || recent_.size() > kRecentMost)) {
    recent_.pop_front();
  }
  const auto same = [&](const Complaint& complaint) { return complaint.message == error.message; };
  if (std::any_of(recent_.begin(), recent_.end(), same)) return false;
  recent_.push_back(Complaint{error.message, now});
  return true;
}

}  // namespace culvert::kafka
