// SPDX-License-Identifier: Apache-2.0
// One round over all brokers: look, decide, do one step for each.
//
// Flow    each minute: ListNodes -> for each broker DescribeTargetHealth -> decide() -> Register or DeregisterTargets.
// Owner   the function's role `reconcile`; one round at a time.
// Time    a round ends by its deadline and never waits for a target to become healthy: the next round sees it.
// Bounds  one call at a time; what fails for one broker does not keep the others from being looked after.
// See     plan.h; infra/modules/broker_addresses.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "adapters/aws/service.h"
#include "adapters/broker_addresses/plan.h"
#include "model/result.h"

namespace culvert::broker_addresses {

// `{"1":{"host":..,"port":..,"target_group_arn":..},..}`, as the infrastructure passes it.  Error: kConfiguration,
// fatal, names the member at fault.
[[nodiscard]] Result<std::vector<Broker>> parse_brokers(std::string_view text);

struct BrokerRound {
  std::int32_t id = 0;
  Step step = Step::kRefuse;
  std::string why{};
  bool identity_changed = false;
  bool behind = false;
  std::optional<Error> error{};  // a call failed: what `step` says was not done, or nothing could be decided

  [[nodiscard]] bool good() const { return !error && step != Step::kRefuse; }
};

struct Round {
  std::vector<BrokerRound> brokers;

  [[nodiscard]] std::int64_t count(Step step) const;  // carried out
  // What everything that is not good comes to, or nothing.
  [[nodiscard]] std::optional<Error> error() const;
  // `{"brokers":{"1":"in place","2":"registered: ..",..}}`
  [[nodiscard]] std::string json() const;
};

class Reconciler {
 public:
  Reconciler(aws::Service& kafka, aws::Service& balancing, std::string cluster_arn, std::vector<Broker> brokers)
      : kafka_(kafka), balancing_(balancing), cluster_arn_(std::move(cluster_arn)), brokers_(std::move(brokers)) {}

  // Error: where the brokers are could not be learnt, so nothing was done.
  [[nodiscard]] Result<Round> round(aws::Service::Steady deadline);

 private:
  [[nodiscard]] BrokerRound look_after(const Broker& broker, const std::vector<Node>& nodes,
                                       aws::Service::Steady deadline);

  aws::Service& kafka_;
  aws::Service& balancing_;
  const std::string cluster_arn_;
  const std::vector<Broker> brokers_;
};

}  // namespace culvert::broker_addresses
