// SPDX-License-Identifier: Apache-2.0
// A consumer's board with what fills it and what serves it.
//
// Flow    consume, demo -> [ConsumeBoard]: ConsumeSession -> BoardFeed -> Board -> HttpSite.
// Owner   the command; outlives the session, whose reports and flushes come here.
// Time    none of its own.
// Bounds  those of its parts.
// See     board_feed.h, http_site.h.
#pragma once

#include <memory>
#include <utility>

#include "app/site/board_feed.h"
#include "app/site/http_site.h"

namespace culvert {

class ConsumeBoard {
 public:
  [[nodiscard]] static Result<std::unique_ptr<ConsumeBoard>> serve(const ListenSettings& listen, SiteOptions options,
                                                                   dashboard::About about, const Definition& definition,
                                                                   const Clock& clock) {
    std::unique_ptr<ConsumeBoard> board(new ConsumeBoard(std::move(about), definition, clock));
    auto site = HttpSite::open(listen, options, board->board_, clock);
    if (!site) return site.error();
    board->site_ = *std::move(site);
    return board;
  }

  // Lets the session's flushes come here.
  void watch(ConsumeSettings& settings) {
    settings.on_flush = [this](const FlushRequest& request, const FlushResult& result, std::chrono::microseconds took) {
      feed_.on_flush(request, result, took);
    };
  }
  [[nodiscard]] BoardFeed& feed() { return feed_; }
  [[nodiscard]] const HttpSite& site() const { return *site_; }

 private:
  ConsumeBoard(dashboard::About about, const Definition& definition, const Clock& clock)
      : board_(std::move(about)), feed_(board_, definition, clock) {}

  dashboard::Board board_;
  BoardFeed feed_;
  std::unique_ptr<HttpSite> site_;
};

}  // namespace culvert
