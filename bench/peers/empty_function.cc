// SPDX-License-Identifier: Apache-2.0
// The least that a static function can be: it asks for an invocation and waits.  culvert-lambda's start is measured
// against it.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

int main() {
  const char* api = ::getenv("AWS_LAMBDA_RUNTIME_API");
  const char* colon = api == nullptr ? nullptr : ::strchr(api, ':');
  if (colon == nullptr || colon - api > 15) return 1;
  std::array<char, 16> host{};
  ::memcpy(host.data(), api, static_cast<size_t>(colon - api));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<in_port_t>(::strtol(colon + 1, nullptr, 10)));
  if (::inet_pton(AF_INET, host.data(), &address.sin_addr) != 1) return 1;
  const int connection = ::socket(AF_INET, SOCK_STREAM, 0);
  if (::connect(connection, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return 1;
  constexpr char kNext[] = "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: runtime\r\n\r\n";
  if (::write(connection, kNext, sizeof kNext - 1) != static_cast<ssize_t>(sizeof kNext - 1)) return 1;
  std::array<char, 256> reply{};
  return ::read(connection, reply.data(), reply.size()) > 0 ? 0 : 1;
}
