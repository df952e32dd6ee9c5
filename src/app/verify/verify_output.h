// SPDX-License-Identifier: Apache-2.0
// How the outcome of a verification is shown.
//
// Flow    VerifyReport -> [report_text, report_json] -> stdout of verify and demo.
// Owner   free functions.
// Time    none.
// Bounds  the report's own: 20 differences.
// See     docs/formats.md: verify output.
#pragma once

#include <string>

#include "app/verify/verifier.h"

namespace culvert::oracle {

// Lines: what cannot be verified, differences, and the summary that begins with `verify: `.
[[nodiscard]] std::string report_text(const VerifyReport& report);
// The summary line alone, without a line break.
[[nodiscard]] std::string report_summary(const VerifyReport& report);
// One object, no line break.
[[nodiscard]] std::string report_json(const VerifyReport& report);

}  // namespace culvert::oracle
