// SPDX-License-Identifier: Apache-2.0
// The page, its API, metrics and health, served over HTTP.  Nothing can be changed through it.
//
// Flow    Board -> [HttpSite] -> browsers, Prometheus, supervisors.
// Owner   the command; ends before the Board does.
// Time    an event goes to every open page with each publish(), at most kEventsApart apart.
// Bounds  kStreamsMost open pages; those of http::Server for everything else.
// See     docs/openapi.yaml, docs/security.md: HTTP.
#pragma once

#include <memory>
#include <string>

#include "adapters/clock/clock.h"
#include "app/site/listen_options.h"
#include "dashboard/board.h"
#include "model/result.h"

namespace culvert {

struct SiteOptions {
  std::int64_t ready_lag_most = 1'000'000;  // records; more: not ready
};

class HttpSite {
 public:
  [[nodiscard]] static Result<std::unique_ptr<HttpSite>> open(const ListenSettings& settings, SiteOptions options,
                                                              dashboard::Board& board, const Clock& clock);
  HttpSite(const HttpSite&) = delete;
  HttpSite& operator=(const HttpSite&) = delete;
  ~HttpSite();

  [[nodiscard]] std::string url() const;
  // Pages that are open now.
  [[nodiscard]] std::size_t watchers() const;

 private:
  class Impl;
  explicit HttpSite(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace culvert
