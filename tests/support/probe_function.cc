// SPDX-License-Identifier: Apache-2.0
// A function for tests: speaks Lambda's Runtime API over a plain socket and does what the event's text asks for.
//
//   echo ..        answers with the event            error ..       reports an error
//   env NAME       answers with a variable           crash          ends with status 3
//   abort          ends by a signal                  hang           never answers
//   big N          answers with N bytes              twice          asks for the next one without answering
//   say TEXT       writes TEXT to stdout and stderr  spawn          starts a child that sleeps, answers with its number
//   headers        answers with what `next` told
// PROBE_INIT=exit|error|hang makes it fail before it begins.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

constexpr std::string_view kBase = "/2018-06-01/runtime/";

struct Answer {
  int status = 0;
  std::string head;
  std::string body;
};

[[noreturn]] void give_up(const char* why) {
  std::fprintf(stderr, "probe_function: %s\n", why);
  std::_Exit(9);
}

int connect_to(const std::string& api) {
  const auto colon = api.find(':');
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(std::stoi(api.substr(colon + 1))));
  ::inet_pton(AF_INET, api.substr(0, colon).c_str(), &address.sin_addr);
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) give_up("no Runtime API");
  return fd;
}

class RuntimeApi {
 public:
  explicit RuntimeApi(std::string api) : api_(std::move(api)), fd_(connect_to(api_)) {}

  Answer call(std::string_view method, std::string_view path, std::string_view headers, std::string_view body) {
    std::string request(method);
    request.append(" ").append(kBase).append(path).append(" HTTP/1.1\r\nHost: ").append(api_).append("\r\n");
    request.append(headers).append("Content-Length: ").append(std::to_string(body.size())).append("\r\n\r\n");
    request.append(body);
    for (std::size_t sent = 0; sent < request.size();) {
      const ssize_t n = ::send(fd_, request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
      if (n <= 0) give_up("the connection broke");
      sent += static_cast<std::size_t>(n);
    }
    Answer answer;
    std::string text;
    while (text.find("\r\n\r\n") == std::string::npos) read_more(text);
    answer.head = text.substr(0, text.find("\r\n\r\n"));
    answer.status = std::stoi(answer.head.substr(answer.head.find(' ')));
    answer.body = text.substr(answer.head.size() + 4);
    const std::string length = header(answer.head, "Content-Length");
    const std::size_t size = length.empty() ? 0 : std::stoul(length);
    while (answer.body.size() < size) read_more(answer.body);
    return answer;
  }

  static std::string header(const std::string& head, const std::string& name) {
    const auto at = head.find(name + ": ");
    if (at == std::string::npos) return {};
    const auto first = at + name.size() + 2;
    return head.substr(first, head.find("\r\n", first) - first);
  }

 private:
  void read_more(std::string& text) const {
    char buffer[65536];
    const ssize_t n = ::recv(fd_, buffer, sizeof buffer, 0);
    if (n <= 0) give_up("the connection ended");
    text.append(buffer, static_cast<std::size_t>(n));
  }

  std::string api_;
  int fd_;
};

std::string spawn_sleeper() {
  const pid_t child = ::fork();
  if (child == 0) {
    ::execl("/bin/sleep", "sleep", "600", nullptr);
    std::_Exit(1);
  }
  return std::to_string(child);
}

std::string variable(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value == nullptr ? "unset" : value;
}

void serve(RuntimeApi& api, const Answer& next) {
  const std::string id = RuntimeApi::header(next.head, "Lambda-Runtime-Aws-Request-Id");
  const std::string& event = next.body;
  const auto blank = event.find(' ');
  const std::string verb = event.substr(0, blank);
  const std::string rest = blank == std::string::npos ? "" : event.substr(blank + 1);
  std::string answer = event;
  if (verb == "crash") std::_Exit(3);
  if (verb == "abort") std::abort();
  if (verb == "hang") ::pause();
  if (verb == "twice") {
    const Answer refused = api.call("GET", "invocation/next", "", "");
    answer = "next answered " + std::to_string(refused.status);
  }
  if (verb == "say") {
    std::printf("%s\n", rest.c_str());
    std::fflush(stdout);
    std::fprintf(stderr, "%s\n", rest.c_str());
  }
  if (verb == "env") answer = variable(rest);
  if (verb == "spawn") answer = spawn_sleeper();
  if (verb == "headers") answer = next.head;
  if (verb == "big") answer = std::string(std::stoul(rest), 'x');
  if (verb == "error") {
    api.call("POST", "invocation/" + id + "/error", "Lambda-Runtime-Function-Error-Type: Probe.Error\r\n",
             R"({"errorMessage":"as asked","errorType":"Probe.Error","stackTrace":[]})");
    return;
  }
  const Answer taken = api.call("POST", "invocation/" + id + "/response", "", answer);
  if (taken.status == 413) api.call("POST", "invocation/" + id + "/error", "", R"({"errorMessage":"413"})");
}

}  // namespace

int main() {
  const std::string init = variable("PROBE_INIT");
  if (init == "exit") return 7;
  if (init == "hang") ::pause();
  RuntimeApi api(variable("AWS_LAMBDA_RUNTIME_API"));
  if (init == "error") {
    api.call("POST", "init/error", "", R"({"errorMessage":"no table","errorType":"Probe.Init","stackTrace":[]})");
    return 1;
  }
  while (true) serve(api, api.call("GET", "invocation/next", "", ""));
}
