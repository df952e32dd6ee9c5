// SPDX-License-Identifier: Apache-2.0
// What a command says about itself on its board: names and settings, without secrets.
//
// Flow    options of consume, demo, dashboard -> [board_about] -> Board.
// Owner   free functions.
// Time    none.
// Bounds  none.
// See     docs/security.md: secrets never reach the page.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "app/cli/option_groups.h"
#include "app/session/consume_session.h"
#include "dashboard/board.h"

namespace culvert {

// `definition` as the table has it.
[[nodiscard]] dashboard::About board_about(const std::string& table, const Definition& definition);
// Topic, group and the client's properties; the values of secret ones are replaced.
void add_kafka(dashboard::About& about, const KafkaTarget& target);
void add_consumer(dashboard::About& about, const ConsumeSettings& settings);

}  // namespace culvert
