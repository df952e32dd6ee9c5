// SPDX-License-Identifier: Apache-2.0
#include "app/cli/aws_session.h"

#include "adapters/aws/secrets_manager.h"
#include "app/cli/config_file.h"

namespace culvert {

namespace {

constexpr std::string_view kSecret = "secret:";
constexpr std::chrono::milliseconds kSecretTimeout{15'000};

http::ClientOptions client_options() {
  http::ClientOptions options;
  options.connections_most = 4;
  options.body_bytes_most = 1 << 20;
  return options;
}

aws::CredentialOptions credential_options(const std::string& region) {
  aws::CredentialOptions options;
  options.region = region;
  return options;
}

}  // namespace

AwsSession::AwsSession(const std::string& region)
    : client_(client_options(), resolver_), credentials_(client_, clock_, credential_options(region)) {}

Result<void> check_document_reference(std::string_view reference) {
  if (!reference.starts_with(kSecret)) return {};
  const auto arn = aws::SecretArn::parse(reference.substr(kSecret.size()));
  if (!arn) return arn.error();
  return {};
}

Result<std::string> read_document(std::string_view reference) {
  if (!reference.starts_with(kSecret)) return read_small_file(std::string(reference));
  const auto arn = aws::SecretArn::parse(reference.substr(kSecret.size()));
  if (!arn) return arn.error();
  AwsSession session(arn->region);
  return aws::read_secret_value(session.client(), session.credentials(), session.clock(), aws::process_environment,
                                *arn, kSecretTimeout);
}

}  // namespace culvert
