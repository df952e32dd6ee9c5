// SPDX-License-Identifier: Apache-2.0
#include "app/options/definition_options.h"

namespace culvert {

void DefinitionOptions::declare(OptionSet& options) {
  Definition& d = definition_;
  options.heading("Windows");
  options.duration("window", &d.size, "Length of a window.");
  options
      .duration("advance", &advance_, "Distance between the starts of windows; shorter than --window: hopping windows.")
      .default_text = "as --window: tumbling windows";
  options.duration("out-of-orderness", &d.out_of_orderness,
                   "How far a partition's event times may lag behind its newest one before a window closes.");
  options.duration("allowed-lateness", &d.allowed_lateness,
                   "How long after its closing a window still takes readings; later ones become dead letters.");
  options.duration("max-future", &d.max_future, "How far an event time may lie ahead of its record's own timestamp.");
  options.heading("Records");
  options.text("device-field", "NAME", &d.fields.device, "Field that names the device.");
  options.text("timestamp-field", "NAME", &d.fields.timestamp, "Field that holds the event time.");
  options.text("value-field", "NAME", &d.fields.value, "Field that holds the measured value.");
  options.choice<TimestampUnit>(
      "timestamp-unit",
      {{"text", TimestampUnit::kText}, {"s", TimestampUnit::kSeconds}, {"ms", TimestampUnit::kMilliseconds}},
      &d.timestamp_unit, "RFC 3339 text, or a number since 1970 in this unit.");
  options.choice<KeyType>("key-type", {{"number", KeyType::kNumber}, {"string", KeyType::kString}}, &d.key_type,
                          "What device ids are; fixed when the table is made.");
  options.text("value-name", "STEM", &d.value_name, "Stem of the columns: avg_STEM, min_STEM, ..");
  options.bytes("record-bytes-max", &d.record_bytes_max, "Longer records become dead letters.");
  options.finish([this] { return validate(definition()); });
}

Definition DefinitionOptions::definition() const {
  Definition definition = definition_;
  definition.advance = advance_.value_or(definition.size);
  definition.kind = definition.advance == definition.size ? WindowKind::kTumbling : WindowKind::kHopping;
  return definition;
}

}  // namespace culvert
