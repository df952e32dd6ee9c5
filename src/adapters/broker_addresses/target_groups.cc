// SPDX-License-Identifier: Apache-2.0
#include "adapters/broker_addresses/target_groups.h"

#include <fmt/format.h>

#include <boost/property_tree/ptree.hpp>
#include <boost/property_tree/xml_parser.hpp>
#include <charconv>
#include <optional>
#include <sstream>

#include "adapters/aws/digest.h"

namespace culvert::broker_addresses {

namespace {

using boost::property_tree::ptree;

Error unreadable(std::string_view what) {
  return Error::retriable_error(ErrorKind::kUnavailable,
                                fmt::format("Elastic Load Balancing's answer to DescribeTargetHealth: {}", what));
}

bool too_deep(std::string_view xml) {
  int depth = 0;
  for (std::size_t at = xml.find('<'); at != std::string_view::npos; at = xml.find('<', at + 1)) {
    const std::string_view tag = xml.substr(at, xml.find('>', at) - at);
    if (tag.starts_with("</")) {
      --depth;
    } else if (!tag.starts_with("<?") && !tag.starts_with("<!") && !tag.ends_with('/') && ++depth > kDepthMost) {
      return true;
    }
  }
  return false;
}

Health health_of(std::string_view state) {
  if (state == "healthy") return Health::kHealthy;
  if (state == "initial") return Health::kStarting;
  if (state == "draining" || state == "unhealthy.draining") return Health::kLeaving;
  return Health::kUnhealthy;
}

std::optional<Target> read_target(const ptree& member) {
  Target target;
  target.address = member.get("Target.Id", "");
  const std::string port = member.get("Target.Port", "");
  const auto read = std::from_chars(port.data(), port.data() + port.size(), target.port);
  const std::string state = member.get("TargetHealth.State", "");
  if (target.address.empty() || port.empty() || read.ptr != port.data() + port.size() || state.empty()) {
    return std::nullopt;
  }
  target.health = health_of(state);
  if (target.health != Health::kHealthy) {
    const std::string reason = member.get("TargetHealth.Reason", "");
    target.reason = reason.empty() ? state : fmt::format("{}, {}", state, reason);
  }
  return target;
}

Result<http::Response> query(aws::Service& balancing, std::string_view action, const std::string& target_group_arn,
                             const std::string& parameters, aws::Service::Steady deadline) {
  http::Request request{.method = "POST"};
  request.headers = {{"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"}};
  request.body = fmt::format("Action={}&Version=2015-12-01&TargetGroupArn={}{}", action,
                             aws::uri_encode(target_group_arn), parameters);
  auto response = balancing.call(request, deadline);
  if (!response || response->status == 200) return response;
  const aws::Refusal refusal = aws::read_refusal(*response);
  const bool gone = refusal.code == "TargetGroupNotFound";
  return Error::fatal(gone ? ErrorKind::kConfiguration : ErrorKind::kPermission,
                      fmt::format("{} of {}: {} ({})", action, target_group_arn, refusal.text(),
                                  gone ? "apply the stream root" : "the function's role must allow it"));
}

}  // namespace

Result<std::vector<Target>> parse_target_health(const std::string& xml) {
  if (too_deep(xml)) return unreadable("is nested too deeply");
  ptree document;
  try {
    std::istringstream stream(xml);
    boost::property_tree::read_xml(stream, document, boost::property_tree::xml_parser::trim_whitespace);
  } catch (const boost::property_tree::xml_parser_error& error) {
    return unreadable(error.message());
  }
  const auto list =
      document.get_child_optional("DescribeTargetHealthResponse.DescribeTargetHealthResult.TargetHealthDescriptions");
  if (!list) return unreadable("has no TargetHealthDescriptions");
  std::vector<Target> targets;
  for (const auto& [name, member] : *list) {
    if (name != "member") return unreadable(fmt::format("has the unknown element '{}'", name));
    auto target = read_target(member);
    if (!target) return unreadable("a target without address, port or state");
    targets.push_back(*std::move(target));
  }
  return targets;
}

Result<std::vector<Target>> describe_targets(aws::Service& balancing, const std::string& target_group_arn,
                                             aws::Service::Steady deadline) {
  const auto response = query(balancing, "DescribeTargetHealth", target_group_arn, "", deadline);
  if (!response) return response.error();
  return parse_target_health(response->body);
}

Result<void> change_targets(aws::Service& balancing, TargetChange change, const std::string& target_group_arn,
                            std::span<const Target> targets, aws::Service::Steady deadline) {
  std::string parameters;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    parameters += fmt::format("&Targets.member.{0}.Id={1}&Targets.member.{0}.Port={2}", i + 1,
                              aws::uri_encode(targets[i].address), targets[i].port);
  }
  const auto response = query(balancing, change == TargetChange::kRegister ? "RegisterTargets" : "DeregisterTargets",
                              target_group_arn, parameters, deadline);
  if (!response) return response.error();
  return {};
}

}  // namespace culvert::broker_addresses
