// SPDX-License-Identifier: Apache-2.0
// Rights that are missing, as whoever may grant them is told.
//
// Flow    DoctorKafka's hops -> MissingRight -> [acl_command, iam_statement] -> a cause's remedy.
// Owner   free functions.
// Time    none.
// Bounds  none.
// See     docs/doctor.md: "Rights"; infra/README.md: "First data".
#pragma once

#include <string>

namespace culvert {

struct MissingRight {
  std::string operation;  // as kafka-acls.sh spells it: `Read`
  std::string type;       // `topic`, `group` or `cluster`
  std::string name{};     // empty for the cluster
};

// The line that grants it, for one shell.  principal: as the brokers call the client, `User:name`; empty: not known.
[[nodiscard]] std::string acl_command(const std::string& server, const std::string& principal,
                                      const MissingRight& right);
// Where IAM decides instead: what the identity's policy lacks.  cluster_arn: empty where nobody told it.
[[nodiscard]] std::string iam_statement(const std::string& cluster_arn, const MissingRight& right);

}  // namespace culvert
