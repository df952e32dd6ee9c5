// SPDX-License-Identifier: Apache-2.0
// What a culvert-lambda does, chosen by CULVERT_ROLE: the table of roles, and what each is given.
//
// Flow    lambda_main.cc finds the role -> its options are read from the environment -> it makes a handler for each
//         loop of the Runtime.
// Owner   main(); a role outlives its handlers.
// Time    make_handler() runs before the first invocation, while nothing is paid by the record.
// Bounds  none of its own.
// See     docs/operating.md: function.
//
// A new role is one class, one factory declared here, and one line in lambda_main.cc.
#pragma once

#include <memory>
#include <string_view>

#include "adapters/aws/credentials.h"
#include "adapters/clock/clock.h"
#include "adapters/http/resolver.h"
#include "adapters/lambda/handler.h"
#include "app/lambda/function_log.h"
#include "app/options/option_set.h"
#include "model/result.h"

namespace culvert::function {

// Everything is the program's and lives until its end.
struct RoleContext {
  const Clock& clock;
  http::Resolver& resolver;
  FunctionLog& log;
  aws::Environment environment;
  std::string function_name;
  int loops = 1;  // handlers that will be made
};

class Role {
 public:
  Role() = default;
  Role(const Role&) = delete;
  Role& operator=(const Role&) = delete;
  virtual ~Role() = default;

  // Options are named as the commands' are: `window` is read from CULVERT_WINDOW.
  virtual void declare(OptionSet& options) = 0;
  // Called once for each loop, after the options have been read; each handler is used by one thread at a time.
  // An error ends the program before its first invocation.
  [[nodiscard]] virtual Result<std::unique_ptr<lambda::Handler>> make_handler(const RoleContext& context) = 0;
};

struct RoleSpec {
  std::string_view name;
  std::unique_ptr<Role> (*make)();
};

// Folds batches of an event source mapping into the table.
[[nodiscard]] std::unique_ptr<Role> make_consume_role();
// Keeps the load balancers' targets where the brokers are.
[[nodiscard]] std::unique_ptr<Role> make_reconcile_role();

}  // namespace culvert::function
