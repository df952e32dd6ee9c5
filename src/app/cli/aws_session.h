// SPDX-License-Identifier: Apache-2.0
// What a command needs to speak to AWS: names, connections, credentials.
//
// Flow    `secret:ARN`, --auth msk-iam -> [AwsSession] -> adapters/aws.
// Owner   whoever needs it; shared where a Kafka client may outlive its command by its own threads.
// Time    the system's clock.
// Bounds  those of the HTTP client: few connections, each response at most 1 MiB.
// See     adapters/aws/credentials.h for where credentials come from.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "adapters/aws/credentials.h"
#include "adapters/clock/clock.h"
#include "adapters/http/client.h"
#include "adapters/http/resolver.h"
#include "model/result.h"

namespace culvert {

class AwsSession {
 public:
  // `region` is that of the token service, for web identities.
  explicit AwsSession(const std::string& region);

  [[nodiscard]] http::Client& client() { return client_; }
  [[nodiscard]] aws::CredentialChain& credentials() { return credentials_; }
  [[nodiscard]] const Clock& clock() const { return clock_; }

 private:
  SystemClock clock_;
  http::DnsResolver resolver_;
  http::Client client_;
  aws::CredentialChain credentials_;
};

// What an option names: `secret:ARN` is read from Secrets Manager, everything else is a file.
// Errors: those of read_secret_value() and read_small_file().
[[nodiscard]] Result<std::string> read_document(std::string_view reference);
// Checks the form of `secret:ARN` without reading anything; a file's name always passes.
[[nodiscard]] Result<void> check_document_reference(std::string_view reference);

}  // namespace culvert
