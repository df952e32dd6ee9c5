// SPDX-License-Identifier: Apache-2.0
// A small file of the machine's own settings, whole: resolv.conf, hosts, profiles, tokens.
//
// Flow    path -> [read_small_file] -> text for a parser.
// Owner   the caller; nothing is kept, so that a file that was replaced is read anew.
// Time    one open and a few reads of 4 KiB.
// Bounds  the first MiB (and up to 4 KiB more); what lies behind it is not read.
//         A file that cannot be opened is nullopt: each caller has something else to ask then.
// See     resolver.h, adapters/aws/credentials.h.
#pragma once

#include <optional>
#include <string>

namespace culvert::http {

[[nodiscard]] std::optional<std::string> read_small_file(const std::string& path);

}  // namespace culvert::http
