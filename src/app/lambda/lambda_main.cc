// SPDX-License-Identifier: Apache-2.0
// culvert-lambda: culvert as a function, a static program that is its own runtime.
#include <fmt/format.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <array>

#include "adapters/clock/clock.h"
#include "adapters/http/resolver.h"
#include "adapters/lambda/runtime.h"
#include "app/lambda/function_environment.h"
#include "app/lambda/function_log.h"
#include "app/lambda/role.h"
#include "app/options/did_you_mean.h"

namespace culvert::function {

namespace {

constexpr std::array<RoleSpec, 2> kRoles{{
    {"consume", make_consume_role},
    {"reconcile", make_reconcile_role},
}};

Result<std::unique_ptr<Role>> find_role(const aws::Environment& environment) {
  const std::string wanted = environment("CULVERT_ROLE").value_or(std::string(kRoles.front().name));
  std::vector<std::string> names;
  for (const RoleSpec& spec : kRoles) {
    if (spec.name == wanted) return spec.make();
    names.emplace_back(spec.name);
  }
  return Error::fatal(ErrorKind::kConfiguration,
                      fmt::format("CULVERT_ROLE: there is no role '{}'{}", wanted, did_you_mean(wanted, names)));
}

int run() {
  const SystemClock clock;
  http::DnsResolver resolver;
  const aws::Environment environment = aws::process_environment;
  FunctionLog log(FunctionLog::Options::from(environment), clock);
  const auto fatal = [&log](std::string_view message, const Error& error) {
    log.error(message, nullptr, {{"error", error.message}, {"error_type", lambda::error_type(error)}});
    return exit_code(error.kind);
  };

  const auto options = lambda::RuntimeOptions::from(environment);
  if (!options) return fatal("cannot start", options.error());
  // A heap of its own for each of a handful of threads costs a cold start more than it saves later.
  if (options->loops == 1) ::mallopt(M_ARENA_MAX, 1);
  lambda::Runtime runtime(*options, clock, resolver,
                          [&log](const lambda::Invocation& invocation, const std::string& what) {
                            log.error("the runtime API refused an answer", &invocation, {{"error", what}});
                          });

  auto role = find_role(environment);
  OptionSet declared;
  if (role) (*role)->declare(declared);
  const Result<void> read = role ? read_environment(declared, culvert_variables()) : Result<void>(role.error());
  if (!read) {
    runtime.report_init_error(read.error());
    return fatal("cannot start", read.error());
  }
  const RoleContext context{
      clock,         resolver, log, environment, environment("AWS_LAMBDA_FUNCTION_NAME").value_or("culvert-lambda"),
      options->loops};
  log.info("started", nullptr,
           {{"version", CULVERT_VERSION},
            {"role", environment("CULVERT_ROLE").value_or(std::string(kRoles.front().name))},
            {"loops", options->loops}});
  const Error ended = runtime.run([&] { return (*role)->make_handler(context); });
  return fatal("the runtime has ended", ended);
}

}  // namespace

}  // namespace culvert::function

int main() {  // NOLINT(bugprone-exception-escape): what nobody catches ends the program
  // A payload in a core dump would be a payload on a disk.
  constexpr rlimit kNoCore{0, 0};
  ::setrlimit(RLIMIT_CORE, &kNoCore);
  ::signal(SIGPIPE, SIG_IGN);
  return culvert::function::run();
}
