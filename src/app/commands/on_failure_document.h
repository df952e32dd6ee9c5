// SPDX-License-Identifier: Apache-2.0
// What an event source mapping leaves behind of a batch it gave up: one JSON document with the event in it.
//
// Flow    files of an on-failure destination -> [on_failure_documents, payload_of] -> EventReader.
// Owner   free functions.
// Time    none.
// Bounds  a document of kDocumentBytesMost.
// See     docs/formats.md: on-failure document.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model/result.h"

namespace culvert {

inline constexpr std::size_t kDocumentBytesMost = 32 << 20;

// The files of a directory (without those that begin with a dot, and not those of directories inside), in the order of
// their names; a path to a file is that file.  Error: there is no such path, or no file in it.
[[nodiscard]] Result<std::vector<std::string>> on_failure_documents(const std::string& path);

// The event of the document in that file, as JSON text; the payload may be an object or its text.  nullopt: the
// document names the batch but does not hold it, as destinations that take no whole event (SQS, SNS) have it.
// Error (kData): the file holds no such document.
[[nodiscard]] Result<std::optional<std::string>> payload_of(const std::string& file);

}  // namespace culvert
