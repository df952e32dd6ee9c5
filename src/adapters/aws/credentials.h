// SPDX-License-Identifier: Apache-2.0
// Where AWS credentials come from, and when they are fetched anew.
//
// Flow    environment, shared file, web identity, container endpoint, instance metadata (the first that is configured)
//         -> [CredentialChain] -> Signer.
// Owner   the program, one for each identity; used on the HTTP client's I/O thread.
// Time    wall clock, as expiry is wall time: renewed 5 to 10 minutes before the end (at half to three quarters of a
//         shorter life), at a random moment, so that a fleet does not ask at once.  Until then the old ones are used.
// Bounds  files of 1 MiB; one fetch at a time, whoever asks meanwhile waits for it.
// See     docs/security.md: credentials; AWS SDKs and tools reference, "Credential provider chain".
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "adapters/aws/sigv4.h"
#include "adapters/clock/clock.h"
#include "adapters/http/transport.h"
#include "model/result.h"

namespace culvert::aws {

using CredentialsPtr = std::shared_ptr<const Credentials>;

// A variable's value; nullopt if it is not set or empty.
using Environment = std::function<std::optional<std::string>(const char* name)>;
[[nodiscard]] std::optional<std::string> process_environment(const char* name);

struct CredentialOptions {
  Environment environment = process_environment;
  std::string region;  // of the token service for web identities
  std::string container_url = "http://169.254.170.2";
  std::string instance_url = "http://169.254.169.254";  // overridden by $AWS_EC2_METADATA_SERVICE_ENDPOINT
};

class CredentialChain {
 public:
  using Ready = std::function<void(Result<CredentialsPtr>)>;

  // `client` and `clock` must outlive the chain, and nothing may be under way when it ends.
  CredentialChain(http::Transport& client, const Clock& clock, CredentialOptions options);
  CredentialChain(const CredentialChain&) = delete;
  CredentialChain& operator=(const CredentialChain&) = delete;
  ~CredentialChain();

  // Calls `ready` at once if there are credentials that have not expired.  I/O thread only.
  // Error: kPermission, fatal if nothing is configured or was refused; retriable if a source did not answer.
  void get(Ready ready);
  // A service refused `refused` as expired: the next get() fetches, unless that has happened already.
  void discard(const CredentialsPtr& refused);
  // For start-up checks and tests, from another thread.
  [[nodiscard]] Result<CredentialsPtr> get_blocking();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// The region by --region's fallbacks: $AWS_REGION, $AWS_DEFAULT_REGION, the profile's `region`.
[[nodiscard]] std::optional<std::string> region_from(const Environment& environment);

}  // namespace culvert::aws
