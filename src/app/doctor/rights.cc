// SPDX-License-Identifier: Apache-2.0
#include "app/doctor/rights.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <string_view>

namespace culvert {

namespace {

// As a shell takes it for one word.
std::string shell_word(const std::string& text) {
  const bool plain = !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || std::string_view("._-:=,/@").find(static_cast<char>(c)) != std::string_view::npos;
  });
  if (plain) return text;
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

}  // namespace

std::string acl_command(const std::string& server, const std::string& principal, const MissingRight& right) {
  const std::string on =
      right.type == "cluster" ? "--cluster" : fmt::format("--{} {}", right.type, shell_word(right.name));
  return fmt::format(
      "let an administrator grant {}: kafka-acls.sh --bootstrap-server {} --command-config ADMIN.properties --add "
      "--allow-principal {} --operation {} {}",
      right.operation, shell_word(server), principal.empty() ? "User:NAME" : shell_word(principal), right.operation,
      on);
}

std::string iam_statement(const std::string& cluster_arn, const MissingRight& right) {
  std::string action = "kafka-cluster:DescribeClusterDynamicConfiguration";
  if (right.type == "topic") action = right.operation == "Write" ? "kafka-cluster:WriteData" : "kafka-cluster:ReadData";
  if (right.type == "group") action = "kafka-cluster:AlterGroup";
  if (right.type != "cluster") {
    action += fmt::format(" and kafka-cluster:Describe{}", right.type == "topic" ? "Topic" : "Group");
  }
  std::string on = "the cluster";
  if (const auto at = cluster_arn.find(":cluster/"); at != std::string::npos) {
    on = right.type == "cluster"
             ? cluster_arn
             : fmt::format("{}:{}/{}/{}", cluster_arn.substr(0, at), right.type,
                           cluster_arn.substr(at + std::string_view(":cluster/").size()), right.name);
  } else if (right.type != "cluster") {
    on = fmt::format("{} '{}' of the cluster", right.type, right.name);
  }
  return fmt::format(
      "allow {} on {} in this identity's policy, and in the cluster's where it belongs to another account", action, on);
}

}  // namespace culvert
