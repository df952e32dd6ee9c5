// SPDX-License-Identifier: Apache-2.0
#include "app/doctor/cloud.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "adapters/aws/credentials.h"
#include "adapters/aws/service.h"
#include "adapters/http/client.h"
#include "adapters/http/resolver.h"
#include "app/cli/aws_session.h"

namespace culvert {

namespace {

constexpr std::chrono::minutes kRefused{5};  // AWS refuses signatures that are farther off

std::string off_text(std::chrono::milliseconds ahead) {
  const auto seconds = std::chrono::round<std::chrono::seconds>(ahead).count();
  return fmt::format("{} s {}", std::llabs(seconds), seconds < 0 ? "behind" : "ahead");
}

}  // namespace

Finding clock_finding(const std::optional<ClockComparison>& comparison, const KernelTime& kernel) {
  const std::string synchronised =
      kernel.synchronised ? fmt::format("synchronised, at most {} ms off by the kernel's account",
                                        std::chrono::ceil<std::chrono::milliseconds>(kernel.error_most).count())
                          : "nobody tells the kernel that it is synchronised";
  if (!comparison) return Finding::passed(fmt::format("{}; no other clock to compare it with", synchronised));
  const auto off = comparison->ahead < std::chrono::milliseconds{0} ? -comparison->ahead : comparison->ahead;
  // A Date header has whole seconds, and travelled.
  if (off < std::chrono::seconds{3})
    return Finding::passed(fmt::format("agrees with {} ({})", comparison->by, synchronised));
  const std::string found = fmt::format("{} of {} ({})", off_text(comparison->ahead), comparison->by, synchronised);
  if (off < kRefused) return Finding::passed(found);
  return Finding::failed(ErrorKind::kConfiguration, "this machine's clock is " + found,
                         {{"the clock is not synchronised: AWS refuses what is signed more than five minutes off, and "
                           "certificates are taken for expired or not yet valid",
                           "start chrony (server 169.254.169.123 on EC2), or timedatectl set-ntp true"}});
}

std::optional<ClockComparison> compare_clock(const http::Endpoint& endpoint, Millis timeout, const Clock& clock) {
  http::ClientOptions options;
  options.connect_timeout = std::chrono::milliseconds{timeout.count()};
  options.tls_timeout = options.connect_timeout;
  options.request_timeout = options.connect_timeout;
  http::DnsResolver resolver;
  http::Client client(options, resolver);
  const auto before = clock.wall();
  const http::Outcome outcome = client.call(endpoint, http::Request{});
  const auto after = clock.wall();
  const std::string* date = outcome.ok() ? outcome.response().header("Date") : nullptr;
  const auto theirs = date == nullptr ? std::nullopt : http::parse_http_date(*date);
  if (!theirs) return std::nullopt;
  // The header has no fraction: on average half a second was cut off.
  const auto middle = before + (after - before) / 2;
  const auto ahead = middle - (*theirs + std::chrono::milliseconds{500});
  return ClockComparison{endpoint.text(), std::chrono::duration_cast<std::chrono::milliseconds>(ahead)};
}

Finding credentials_finding(const std::string& region, Millis timeout) {
  http::ClientOptions options;
  options.connect_timeout = std::chrono::milliseconds{timeout.count()};
  options.request_timeout = options.connect_timeout;
  const SystemClock clock;
  http::DnsResolver resolver;
  http::Client client(options, resolver);
  aws::CredentialOptions credential_options;
  credential_options.region = region;
  aws::CredentialChain chain(client, clock, credential_options);
  const auto credentials = chain.get_blocking();
  if (!credentials) {
    return Finding::failed(
        credentials.error().kind, credentials.error().message,
        {{"no source of credentials is configured here",
          "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; in AWS give the instance or "
          "task a role"},
         {"the instance's or container's credential service does not answer",
          "check that a role is attached; in a container allow one more hop (metadata hop limit 2)"}});
  }
  const auto& expires = (*credentials)->expires_at;
  std::string life = "without an end";
  if (expires) {
    const auto left = std::chrono::duration_cast<std::chrono::minutes>(*expires - clock.wall()).count();
    if (left < 0) {
      return Finding::failed(ErrorKind::kPermission,
                             fmt::format("access key {} has expired", (*credentials)->access_key_id),
                             {{"a session's credentials were put into the environment or a file and not renewed",
                               "fetch new ones (aws sso login, aws sts assume-role)"}});
    }
    life = fmt::format("for {} more minutes", left);
  }
  return Finding::passed(fmt::format("access key {}, {}", (*credentials)->access_key_id, life));
}

Finding connection_finding(const Connection& connection) {
  Finding finding = Finding::passed(fmt::format(
      "{} broker{} in {}, login by {}, Kafka {}", connection.brokers.size(), connection.brokers.size() == 1 ? "" : "s",
      connection.region, authentication_name(connection.authentication), connection.kafka_version));
  for (const ConnectionBroker& broker : connection.brokers) {
    finding.details.push_back(fmt::format("broker {}: {}:{}{}", broker.id, broker.host, broker.port,
                                          broker.service_name.empty() ? "" : " by " + broker.service_name));
  }
  return finding;
}

Finding mapping_finding(std::span<const aws::EventSourceMapping> mappings, const std::string& topic,
                        const std::string& group, const std::string& function) {
  const auto reads = [&](const aws::EventSourceMapping& mapping) {
    return topic.empty() || std::find(mapping.topics.begin(), mapping.topics.end(), topic) != mapping.topics.end();
  };
  const auto found = std::find_if(mappings.begin(), mappings.end(), reads);
  if (found == mappings.end()) {
    const std::string none = fmt::format("no event source mapping reads topic '{}'", topic);
    if (function.empty()) return Finding::skipped(none + " here");
    return Finding::failed(ErrorKind::kConfiguration, fmt::format("{} for {}", none, function),
                           {{"the mapping was not made, or names another topic",
                             "apply the analytics root; compare the topic of infra/modules/stream_function"}});
  }
  const std::string what = fmt::format("mapping {} of {} is {}", found->uuid, found->function_arn, found->state);
  if (found->state != "Enabled" && found->state != "Creating" && found->state != "Updating" &&
      found->state != "Enabling") {
    return Finding::failed(ErrorKind::kConfiguration, fmt::format("{} ({})", what, found->reason),
                           {{"somebody, or a failed deployment, switched it off",
                             "enable it (aws lambda "
                             "update-event-source-mapping --enabled), or apply the analytics root again"}});
  }
  if (found->last_result.starts_with("PROBLEM") && found->last_result.find("authorize") != std::string::npos) {
    return Finding::failed(
        ErrorKind::kPermission, fmt::format("{}, but its last result is: {}", what, found->last_result),
        {{"the user that it logs in as lacks a right: Read on the topic, Read on the group, or DescribeConfigs on the "
          "cluster, which Lambda asks for beside",
          "run doctor as that user (--credentials, and -G of the mapping): the hops read, group and poller name it; "
          "the stream root's acl_script gives all three"}});
  }
  if (found->last_result.starts_with("PROBLEM")) {
    return Finding::failed(
        ErrorKind::kUnavailable, fmt::format("{}, but its last result is: {}", what, found->last_result),
        {{"Lambda does not reach the brokers",
          "check the mapping's subnets and security group: egress to the broker "
          "ports, and (on-demand) endpoints for Lambda, STS and Secrets Manager"},
         {"its login or its rights are refused", "check the mapping's secret and the group's and topic's ACLs"},
         {"the function fails", "look at the function's log"}});
  }
  if (!group.empty() && !found->group.empty() && found->group != group) {
    return Finding::failed(
        ErrorKind::kConfiguration, fmt::format("{}, but reads as group '{}', not '{}'", what, found->group, group),
        {{"--group is not the mapping's", fmt::format("-G {}, or change consumer_group_id", found->group)}});
  }
  return Finding::passed(
      fmt::format("{}; last result: {}", what, found->last_result.empty() ? "none yet" : found->last_result));
}

Finding ask_mappings(const std::string& region, const std::string& topic, const std::string& group,
                     const std::string& function, Millis timeout) {
  const std::string where = region.empty() ? aws::region_from(aws::process_environment).value_or("") : region;
  if (where.empty()) return Finding::skipped("no AWS region is known (--region or AWS_REGION)");
  const auto endpoint = aws::service_endpoint(aws::process_environment, "LAMBDA", "lambda", where);
  if (!endpoint) return Finding::of(endpoint.error());
  AwsSession session(where);
  aws::Service service(session.client(), session.credentials(), session.clock(),
                       {.name = "Lambda", .endpoint = *endpoint, .region = where, .signing_name = "lambda"});
  const auto until = session.clock().steady() + std::chrono::milliseconds{timeout.count()};
  const auto mappings = aws::list_event_source_mappings(service, function, until);
  if (mappings) return mapping_finding(*mappings, topic, group, function);
  if (mappings.error().kind == ErrorKind::kPermission) {
    return Finding::skipped(fmt::format("this identity may not ask ({})", mappings.error().message));
  }
  // A closed network has no way to Lambda's API, and needs none: the mapping's pollers are not in it.
  if (mappings.error().kind == ErrorKind::kUnavailable && function.empty()) {
    return Finding::skipped(
        fmt::format("Lambda's API is not reached from here; nothing in this network needs it: ask "
                    "from elsewhere with --function NAME ({})",
                    mappings.error().message));
  }
  Finding finding = Finding::of(mappings.error());
  if (finding.causes.empty()) {
    finding.causes = {{"this network has no way to Lambda's API",
                       "ask from elsewhere, or give the network an interface endpoint for Lambda"}};
  }
  return finding;
}

}  // namespace culvert
