// SPDX-License-Identifier: Apache-2.0
#include "adapters/aws/msk_iam.h"

#include <fmt/format.h>

#include <algorithm>

namespace culvert::aws {

MskIamToken msk_iam_token(const std::string& region, const Credentials& credentials, std::chrono::sys_seconds now) {
  constexpr std::chrono::seconds kValid{900};
  const std::string host = fmt::format("kafka.{}.amazonaws.com", region);
  Signer signer(region, "kafka-cluster");
  const std::string signed_target =
      signer.presign("GET", host, "/", {{"Action", "kafka-cluster:Connect"}}, credentials, now, kValid);
  // The broker does not count the user agent among what is signed, so it goes behind the signature.
  MskIamToken token;
  token.value = base64url(fmt::format("https://{}{}&User-Agent=culvert", host, signed_target));
  token.principal = credentials.access_key_id;
  token.expires_at = now + kValid;
  if (credentials.expires_at) token.expires_at = std::min(token.expires_at, *credentials.expires_at);
  return token;
}

}  // namespace culvert::aws
