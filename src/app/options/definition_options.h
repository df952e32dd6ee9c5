// SPDX-License-Identifier: Apache-2.0
// The options that say what a table's windows are, for every command and for the function alike.
//
// Flow    command line, file, environment -> OptionSet -> [DefinitionOptions] -> Definition.
// Owner   the command or the function's role; it must outlive the OptionSet.
// Time    none.
// Bounds  definition() went through the model's validate().
// See     docs/semantics.md.
#pragma once

#include <optional>

#include "app/options/option_set.h"
#include "model/definition.h"

namespace culvert {

class DefinitionOptions {
 public:
  DefinitionOptions() = default;
  DefinitionOptions(const DefinitionOptions&) = delete;
  DefinitionOptions& operator=(const DefinitionOptions&) = delete;
  ~DefinitionOptions() = default;

  // Also checks the whole definition after all sources are read.
  void declare(OptionSet& options);
  // As checked.
  [[nodiscard]] Definition definition() const;

 private:
  Definition definition_;
  std::optional<Millis> advance_;
};

}  // namespace culvert
