// SPDX-License-Identifier: Apache-2.0
// The CA certificates that the endpoints of AWS are signed under, carried inside the program.
//
// Flow    Debian's ca-certificates, at build time -> [aws_authorities] -> the HTTP client's TLS context.
// Owner   constant.
// Time    the certificates' own, until 2037 and later; AWS_CA_BUNDLE names a file to be used in their place.
// Bounds  five certificates, so that a cold start does not read the 140 others.
// See     Amazon Trust Services, "Root certificates"; CMakeLists.txt has their names.
#pragma once

#include <string>

namespace culvert::function {

// PEM.
[[nodiscard]] std::string aws_authorities();

}  // namespace culvert::function
