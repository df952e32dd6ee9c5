// SPDX-License-Identifier: Apache-2.0
// The bearer token by which a client proves its IAM identity to a managed Kafka cluster.
//
// Flow    credentials -> [msk_iam_token] -> the Kafka client's OAUTHBEARER refresh callback.
// Owner   pure function.
// Time    the caller's clock, UTC; the token lives for 15 minutes, or as long as the credentials if that is shorter.
// Bounds  none.
// See     docs/security.md: IAM; SASL/OAUTHBEARER is RFC 7628.
#pragma once

#include <chrono>
#include <string>

#include "adapters/aws/sigv4.h"

namespace culvert::aws {

struct MskIamToken {
  std::string value;      // secret
  std::string principal;  // for people: the access key's id
  std::chrono::sys_seconds expires_at;
};

[[nodiscard]] MskIamToken msk_iam_token(const std::string& region, const Credentials& credentials,
                                        std::chrono::sys_seconds now);

}  // namespace culvert::aws
