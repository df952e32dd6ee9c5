// SPDX-License-Identifier: Apache-2.0
#include "app/site/build_info.h"

#include <openssl/crypto.h>
#include <sqlite3.h>

namespace culvert {

std::vector<std::pair<std::string, std::string>> build_info() {
  std::vector<std::pair<std::string, std::string>> parts;
  parts.emplace_back("culvert", CULVERT_VERSION);
  if (std::string git = CULVERT_GIT; !git.empty()) parts.emplace_back("git", std::move(git));
  parts.emplace_back("build", CULVERT_BUILD_TYPE);
  parts.emplace_back("compiler", "g++ " __VERSION__);
  parts.emplace_back("librdkafka", CULVERT_RDKAFKA_VERSION);
  parts.emplace_back("sqlite", ::sqlite3_libversion());
  parts.emplace_back("openssl", ::OpenSSL_version(OPENSSL_VERSION_STRING));
  return parts;
}

}  // namespace culvert
