// SPDX-License-Identifier: Apache-2.0
// The texts in which credentials come: profile files, JSON documents, the token service's XML.
//
// Flow    files and responses -> [parse] -> Credentials, for CredentialChain.
// Owner   pure functions.
// Time    expiry in UTC seconds.
// Bounds  the caller limits the text; nothing here grows beyond it.
// See     AWS SDKs and tools reference: "Shared config and credentials files", "Container credential provider".
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "adapters/aws/sigv4.h"
#include "model/result.h"

namespace culvert::aws {

// The pairs of one section of a profile file; `[NAME]` and `[profile NAME]` are the same.  nullopt: no such section.
using Profile = std::map<std::string, std::string, std::less<>>;
[[nodiscard]] std::optional<Profile> find_profile(std::string_view file, std::string_view name);

// `{"AccessKeyId", "SecretAccessKey", "Token", "Expiration"}`, as containers and instances serve it.  No part of the
// text appears in the error: it may hold a secret.
[[nodiscard]] Result<Credentials> credentials_from_json(std::string_view text);
// The Credentials element of an AssumeRoleWithWebIdentity response.
[[nodiscard]] Result<Credentials> credentials_from_sts(std::string_view xml);
// Code and message of an error response of a service that answers in XML.
struct XmlError {
  std::string code;
  std::string message;
};
[[nodiscard]] XmlError read_xml_error(std::string_view xml);
// The same as one text.
[[nodiscard]] std::string sts_error(std::string_view xml);

}  // namespace culvert::aws
