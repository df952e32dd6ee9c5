// SPDX-License-Identifier: Apache-2.0
#include "adapters/aws/secrets_manager.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <cctype>

namespace culvert::aws {

namespace {

bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

Error permission(const SecretArn& arn, std::string_view fault, const Refusal& refusal, std::string_view remedy) {
  return Error::fatal(ErrorKind::kPermission,
                      fmt::format("secret {}: {}: {} ({})", arn.text, fault, refusal.text(), remedy));
}

// Of whom the service says that he was refused: `User: arn:aws:sts::222222222222:assumed-role/..`.
std::string account_of_caller(std::string_view message) {
  constexpr std::string_view kUser = "User: arn:";
  const auto user = message.find(kUser);
  if (user == std::string_view::npos) return {};
  std::string_view rest = message.substr(user + kUser.size());
  for (int field = 0; field < 3; ++field) {  // partition, service, region
    const auto colon = rest.find(':');
    if (colon == std::string_view::npos) return {};
    rest.remove_prefix(colon + 1);
  }
  const std::string account(rest.substr(0, rest.find(':')));
  const bool digits = account.size() == 12 &&
                      std::all_of(account.begin(), account.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
  return digits ? account : std::string();
}

Error denied(const SecretArn& arn, const Refusal& refusal) {
  const std::string& said = refusal.message;
  if (contains(said, "KMS")) {
    return permission(arn, "its key may not be used", refusal,
                      "the secret itself may be read; allow kms:Decrypt to this identity in the key's policy and, in "
                      "another account, in its own: `reader_principal_arns` of connection_secret, "
                      "`reader_principal_arns` of the user's secret");
  }
  if (contains(said, "identity-based policy")) {
    return permission(arn, "this identity's own policy does not allow it", refusal,
                      "allow secretsmanager:GetSecretValue on this ARN, and kms:Decrypt on its key, to the role that "
                      "runs culvert");
  }
  const std::string caller = account_of_caller(said);
  if (!caller.empty() && caller != arn.account) {
    return permission(
        arn,
        fmt::format("the credentials are of account {}, which the secret of account {} does not let in", caller,
                    arn.account),
        refusal,
        "use the credentials of an account that it names, or name this one in allowed_service_principal_arns of the "
        "stream root and apply it");
  }
  if (contains(said, "resource-based policy")) {
    return permission(arn, "the secret's resource policy refuses this identity", refusal,
                      "name its role or account in allowed_service_principal_arns of the stream root and apply it");
  }
  return permission(arn, "access is refused", refusal,
                    "three policies must allow it: this identity's, the secret's resource policy, and its key's");
}

Result<std::string> text_of(const SecretArn& arn, const std::string& body) {
  boost::json::error_code failed;
  const auto value = boost::json::parse(body, failed);
  const auto* object = failed ? nullptr : value.if_object();
  if (object == nullptr) {
    return Error::retriable_error(ErrorKind::kUnavailable,
                                  fmt::format("secret {}: a response that is not Secrets Manager's", arn.text));
  }
  const auto* string = object->if_contains("SecretString");
  if (string == nullptr || !string->is_string()) {
    return Error::fatal(ErrorKind::kConfiguration,
                        fmt::format("secret {}: holds bytes and no text (write it as SecretString)", arn.text));
  }
  return std::string(string->get_string().data(), string->get_string().size());
}

}  // namespace

Result<SecretArn> SecretArn::parse(std::string_view text) {
  const auto refuse = [&](std::string_view why) {
    return Error::fatal(ErrorKind::kConfiguration,
                        fmt::format("'{}' {} (arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME-XXXXXX, as the stream "
                                    "root prints it)",
                                    text, why));
  };
  std::array<std::string_view, 7> fields;
  std::string_view rest = text;
  for (std::size_t i = 0; i + 1 < fields.size(); ++i) {
    const auto colon = rest.find(':');
    if (colon == std::string_view::npos) return refuse("is not the full ARN of a secret");
    fields[i] = rest.substr(0, colon);
    rest.remove_prefix(colon + 1);
  }
  fields[6] = rest;
  const bool named = fields[0] == "arn" && fields[1].starts_with("aws") && fields[2] == "secretsmanager" &&
                     !fields[3].empty() && fields[4].size() == 12 && fields[5] == "secret" && !fields[6].empty();
  if (!named || contains(text, " ") || contains(fields[6], ":")) return refuse("is not the full ARN of a secret");
  // The six characters that Secrets Manager adds to each name: without them another account's secret is not found.
  const auto dash = fields[6].rfind('-');
  const std::string_view ending = dash == std::string_view::npos ? std::string_view{} : fields[6].substr(dash + 1);
  const bool whole = ending.size() == 6 &&
                     std::all_of(ending.begin(), ending.end(), [](unsigned char c) { return std::isalnum(c) != 0; });
  if (!whole) return refuse("lacks the hyphen and six characters at its end");
  return SecretArn{std::string(text), std::string(fields[3]), std::string(fields[4])};
}

Error secret_refused(const SecretArn& arn, const Refusal& refusal) {
  const auto configuration = [&](std::string_view fault, std::string_view remedy) {
    return Error::fatal(ErrorKind::kConfiguration,
                        fmt::format("secret {}: {}: {} ({})", arn.text, fault, refusal.text(), remedy));
  };
  if (refusal.code == "ResourceNotFoundException" && contains(refusal.message, "staging label")) {
    return configuration("has no value", "the stream root's apply ended before it was written: apply it again");
  }
  if (refusal.code == "ResourceNotFoundException") {
    return configuration("there is none of this name in its account and region",
                         "take the ARN from the stream root's outputs: after destroy and apply it is another one");
  }
  if (refusal.code == "InvalidRequestException" && contains(refusal.message, "deletion")) {
    return configuration("was deleted and waits for its recovery window to end",
                         "take the new ARN from the stream root's outputs, or restore it");
  }
  if (refusal.code == "DecryptionFailure") {
    return permission(arn, "its key cannot decrypt it", refusal,
                      "the KMS key is disabled or waits for its deletion: enable it");
  }
  // The second is what servers that stand for AWS say.
  if (refusal.code == "AccessDeniedException" || refusal.code == "AccessDenied") return denied(arn, refusal);
  if (refusal.code == "UnrecognizedClientException" || refusal.code == "InvalidClientTokenId" ||
      refusal.code == "InvalidSignatureException" || refusal.code == "ExpiredTokenException" || refusal.status == 403 ||
      refusal.status == 401) {
    return permission(arn, "AWS does not take these credentials", refusal,
                      "check that access key, secret and session token belong together and have not expired");
  }
  return Error::fatal(ErrorKind::kUnavailable, fmt::format("secret {}: {}", arn.text, refusal.text()));
}

Result<std::string> read_secret_value(http::Client& client, CredentialChain& credentials, const Clock& clock,
                                      const Environment& environment, const SecretArn& arn,
                                      std::chrono::milliseconds timeout) {
  const auto endpoint = service_endpoint(environment, "SECRETS_MANAGER", "secretsmanager", arn.region);
  if (!endpoint) return endpoint.error();
  Service service(
      client, credentials, clock,
      {.name = "Secrets Manager", .endpoint = *endpoint, .region = arn.region, .signing_name = "secretsmanager"});
  http::Request request{.method = "POST"};
  request.headers = {{"Content-Type", "application/x-amz-json-1.1"}, {"X-Amz-Target", "secretsmanager.GetSecretValue"}};
  request.body = boost::json::serialize(boost::json::object{{"SecretId", arn.text}});
  const auto response = service.call(request, clock.steady() + timeout);
  if (!response) return response.error().within(fmt::format("secret {}", arn.text));
  if (response->status < 200 || response->status >= 300) return secret_refused(arn, read_refusal(*response));
  return text_of(arn, response->body);
}

}  // namespace culvert::aws
