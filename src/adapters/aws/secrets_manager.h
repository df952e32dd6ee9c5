// SPDX-License-Identifier: Apache-2.0
// Reads secrets from AWS Secrets Manager, also another account's.
//
// Flow    `secret:ARN` of an option -> [SecretsManager::read] -> the secret's text.
// Owner   a command, while it starts.
// Time    a call ends by its deadline.
// Bounds  Secrets Manager's own: 64 KiB a secret.
// See     infra/modules/connection_secret; docs/security.md: secrets across accounts.  A secret of another account is
//         found by its full ARN alone, and needs three permissions: the reader's policy, the secret's, and its key's.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "adapters/aws/service.h"
#include "model/result.h"

namespace culvert::aws {

struct SecretArn {
  std::string text;
  std::string region;
  std::string account;

  // Full ARNs only: `arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME-XXXXXX`.  Error: kConfiguration, with what is
  // missing.
  [[nodiscard]] static Result<SecretArn> parse(std::string_view text);
};

// What a refusal of GetSecretValue says, with its remedy; never retriable.
[[nodiscard]] Error secret_refused(const SecretArn& arn, const Refusal& refusal);

// The secret's text.  Errors: see secret_refused() and Service::call().
[[nodiscard]] Result<std::string> read_secret_value(http::Client& client, CredentialChain& credentials,
                                                    const Clock& clock, const Environment& environment,
                                                    const SecretArn& arn, std::chrono::milliseconds timeout);

}  // namespace culvert::aws
