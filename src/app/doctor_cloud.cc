// SPDX-License-Identifier: Apache-2.0
#include "app/doctor_cloud.h"

#include <fmt/format.h>

#include <cstdlib>

#include "adapters/aws/credentials.h"
#include "adapters/http/client.h"
#include "adapters/http/resolver.h"

namespace culvert {

namespace {

constexpr std::chrono::minutes kRefused{5};  // AWS refuses signatures that are farther off

std::string off_text(std::chrono::milliseconds ahead) {
  const auto seconds = std::chrono::round<std::chrono::seconds>(ahead).count();
  return fmt::format("{} s {}", std::llabs(seconds), seconds < 0 ? "behind" : "ahead");
}

}  // namespace

Finding clock_finding(const std::optional<ClockComparison>& comparison, const KernelTime& kernel) {
  const std::string synchronised =
      kernel.synchronised ? fmt::format("synchronised, at most {} ms off by the kernel's account",
                                        std::chrono::ceil<std::chrono::milliseconds>(kernel.error_most).count())
                          : "nobody tells the kernel that it is synchronised";
  if (!comparison) return Finding::passed(fmt::format("{}; no other clock to compare it with", synchronised));
  const auto off = comparison->ahead < std::chrono::milliseconds{0} ? -comparison->ahead : comparison->ahead;
  // A Date header has whole seconds, and travelled.
  if (off < std::chrono::seconds{3})
    return Finding::passed(fmt::format("agrees with {} ({})", comparison->by, synchronised));
  const std::string found = fmt::format("{} of {} ({})", off_text(comparison->ahead), comparison->by, synchronised);
  if (off < kRefused) return Finding::passed(found);
  return Finding::failed(ErrorKind::kConfiguration, "this machine's clock is " + found,
                         {{"the clock is not synchronised: AWS refuses what is signed more than five minutes off, and "
                           "certificates are taken for expired or not yet valid",
                           "start chrony (server 169.254.169.123 on EC2), or timedatectl set-ntp true"}});
}

Finding credentials_finding(const std::string& region, Millis timeout) {
  http::ClientOptions options;
  options.connect_timeout = std::chrono::milliseconds{timeout.count()};
  options.request_timeout = options.connect_timeout;
  const SystemClock clock;
  http::DnsResolver resolver;
  http::Client client(options, resolver);
  aws::CredentialOptions credential_options;
  credential_options.region = region;
  aws::CredentialChain chain(client, clock, credential_options);
  const auto credentials = chain.get_blocking();
  if (!credentials) {
    return Finding::failed(
        credentials.error().kind, credentials.error().message,
        {{"no source of credentials is configured here",
          "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; in AWS give the instance or "
          "task a role"},
         {"the instance's or container's credential service does not answer",
          "check that a role is attached; in a container allow one more hop (metadata hop limit 2)"}});
  }
  const auto& expires = (*credentials)->expires_at;
  std::string life = "without an end";
  if (expires) {
    const auto left = std::chrono::duration_cast<std::chrono::minutes>(*expires - clock.wall()).count();
    if (left < 0) {
      return Finding::failed(ErrorKind::kPermission,
                             fmt::format("access key {} has expired", (*credentials)->access_key_id),
                             {{"a session's credentials were put into the environment or a file and not renewed",
                               "fetch new ones (aws sso login, aws sts assume-role)"}});
    }
    life = fmt::format("for {} more minutes", left);
  }
  return Finding::passed(fmt::format("access key {}, {}", (*credentials)->access_key_id, life));
}

}  // namespace culvert
