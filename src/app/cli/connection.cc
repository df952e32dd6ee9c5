// SPDX-License-Identifier: Apache-2.0
#include "app/cli/connection.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <boost/json/basic_parser_impl.hpp>
#include <charconv>
#include <regex>
#include <span>

#include "app/options/did_you_mean.h"

namespace culvert {

namespace {

namespace json = boost::json;

// What a text may be long, before an expression looks at it: expressions take stack for each character.
constexpr std::size_t kTextBytesMost = 1'024;
constexpr std::int64_t kIdleMsLeast = 1'000;
constexpr std::int64_t kIdleMsMost = 6'000'000;  // the longest idle time-out of a network load balancer

Error refuse(std::string_view source, std::string_view what) {
  return Error::fatal(ErrorKind::kConfiguration, fmt::format("connection document {}: {}", source, what));
}

std::string_view view(const json::string& text) { return {text.data(), text.size()}; }

// Boost's parser keeps the last of two members of one name; which of them was meant is not ours to say.
class DuplicateFinder {
 public:
  static constexpr std::size_t max_object_size = std::size_t(-1);
  static constexpr std::size_t max_array_size = std::size_t(-1);
  static constexpr std::size_t max_key_size = std::size_t(-1);
  static constexpr std::size_t max_string_size = std::size_t(-1);

  [[nodiscard]] const std::string& duplicate() const { return duplicate_; }

  bool on_document_begin(json::error_code&) { return true; }
  bool on_document_end(json::error_code&) { return true; }
  bool on_object_begin(json::error_code&) {
    names_.emplace_back();
    return true;
  }
  bool on_object_end(std::size_t, json::error_code&) {
    names_.pop_back();
    return true;
  }
  bool on_array_begin(json::error_code&) { return true; }
  bool on_array_end(std::size_t, json::error_code&) { return true; }
  bool on_key_part(json::string_view part, std::size_t, json::error_code&) {
    key_.append(part.data(), part.size());
    return true;
  }
  bool on_key(json::string_view part, std::size_t, json::error_code&) {
    key_.append(part.data(), part.size());
    auto& seen = names_.back();
    if (std::find(seen.begin(), seen.end(), key_) != seen.end()) duplicate_ = key_;
    seen.push_back(key_);
    key_.clear();
    return true;
  }
  bool on_string_part(json::string_view, std::size_t, json::error_code&) { return true; }
  bool on_string(json::string_view, std::size_t, json::error_code&) { return true; }
  bool on_number_part(json::string_view, json::error_code&) { return true; }
  bool on_int64(std::int64_t, json::string_view, json::error_code&) { return true; }
  bool on_uint64(std::uint64_t, json::string_view, json::error_code&) { return true; }
  bool on_double(double, json::string_view, json::error_code&) { return true; }
  bool on_bool(bool, json::error_code&) { return true; }
  bool on_null(json::error_code&) { return true; }
  bool on_comment_part(json::string_view, json::error_code&) { return true; }
  bool on_comment(json::string_view, json::error_code&) { return true; }

 private:
  std::vector<std::vector<std::string>> names_;
  std::string key_;
  std::string duplicate_;
};

// The object that the text is, without two members of one name.
Result<json::object> parse_object(std::string_view text) {
  const auto fault = [](std::string_view what) { return Error::fatal(ErrorKind::kConfiguration, std::string(what)); };
  if (text.size() > kConnectionBytesMost) return fault("longer than 64 KiB");
  json::error_code failed;
  auto value = json::parse(json::string_view(text.data(), text.size()), failed);
  if (failed || !value.is_object()) return fault("is not a JSON object");
  json::basic_parser<DuplicateFinder> again{json::parse_options{}};
  again.write_some(false, text.data(), text.size(), failed);
  if (!again.handler().duplicate().empty()) {
    return fault(fmt::format("has the member '{}' twice", again.handler().duplicate()));
  }
  return std::move(value.get_object());
}

// Reads the members of one object; the first fault is kept.
class Members {
 public:
  Members(const json::object& object, std::string path) : object_(object), path_(std::move(path)) {}

  [[nodiscard]] const std::optional<std::string>& fault() const { return fault_; }

  void only(std::span<const std::string_view> known) {
    const std::vector<std::string> names(known.begin(), known.end());
    for (const auto& member : object_) {
      const std::string name(member.key().data(), member.key().size());
      if (std::find(names.begin(), names.end(), name) != names.end()) continue;
      fail(fmt::format("has the unknown member '{}{}'{}", path_, name, did_you_mean(name, names)));
    }
  }
  std::string text(const char* name, const char* pattern, std::string_view what, bool required = true) {
    const json::value* found = find(name, required);
    if (found == nullptr) return {};
    const json::string* string = found->if_string();
    std::string value = string == nullptr ? std::string() : std::string(view(*string));
    const bool good =
        string != nullptr && value.size() <= kTextBytesMost && std::regex_match(value, std::regex(pattern));
    if (!good) fail(name, what);
    return value;
  }
  std::optional<std::int64_t> integer(const char* name, std::int64_t first, std::int64_t last, bool required = true) {
    const json::value* found = find(name, required);
    if (found == nullptr) return std::nullopt;
    // 9096.0 is an integer, too, as JSON Schema sees it.
    const double* real = found->if_double();
    const auto* whole = found->if_int64();
    const bool small = real != nullptr && *real >= 0 && *real < 1e9;
    const bool fits = whole != nullptr || (small && *real == static_cast<double>(static_cast<int>(*real)));
    const std::int64_t value = whole != nullptr ? *whole : (fits ? static_cast<std::int64_t>(*real) : 0);
    if (!fits || value < first || value > last) fail(name, fmt::format("is not a whole number {} to {}", first, last));
    return value;
  }
  const json::value* find(const char* name, bool required) {
    const json::value* found = object_.if_contains(name);
    if (found == nullptr && required) fail(fmt::format("has no member '{}{}'", path_, name));
    return found;
  }
  void fail(const char* name, std::string_view what) { fail(fmt::format("'{}{}' {}", path_, name, what)); }
  void fail(std::string what) {
    if (!fault_) fault_ = std::move(what);
  }

 private:
  const json::object& object_;
  std::string path_;
  std::optional<std::string> fault_;
};

constexpr std::array<std::string_view, 7> kDocumentMembers{
    "version", "cluster", "region", "kafka_version", "authentication", "brokers", "client_idle_ms_max"};
constexpr std::array<std::string_view, 4> kBrokerMembers{"host", "port", "service_name", "zone_ids"};

void read_zone_ids(Members& members, ConnectionBroker& broker) {
  const json::value* zones = members.find("zone_ids", false);
  if (zones == nullptr) return;
  constexpr const char* kWhat = "is not a list of different zone ids such as euc1-az1";
  static const std::regex kZone("[a-z0-9]+-az[0-9]+");
  const json::array* list = zones->if_array();
  if (list == nullptr || list->empty()) return members.fail("zone_ids", kWhat);
  for (const json::value& zone : *list) {
    const std::string id = zone.is_string() ? std::string(view(zone.get_string())) : std::string();
    const bool known = std::find(broker.zone_ids.begin(), broker.zone_ids.end(), id) != broker.zone_ids.end();
    if (known || id.size() > kTextBytesMost || !std::regex_match(id, kZone)) return members.fail("zone_ids", kWhat);
    broker.zone_ids.push_back(id);
  }
}

std::optional<std::string> read_broker(std::string_view id, const json::value& value, ConnectionBroker& broker) {
  static const std::regex kId("[1-9][0-9]?");
  if (id.size() > 2 || !std::regex_match(id.begin(), id.end(), kId)) {
    return fmt::format("'brokers.{}': a broker's id is 1 to 99", id);
  }
  std::from_chars(id.data(), id.data() + id.size(), broker.id);
  const json::object* object = value.if_object();
  if (object == nullptr) return fmt::format("'brokers.{}' is not an object", id);
  Members members(*object, fmt::format("brokers.{}.", id));
  members.only(kBrokerMembers);
  broker.host = members.text("host", "b-[1-9][0-9]?[.][a-z0-9.-]+",
                             "is not a broker's own name, such as b-1.cluster.example.com");
  broker.port = static_cast<std::uint16_t>(members.integer("port", 1, 65'535).value_or(0));
  broker.service_name = members.text("service_name", "com[.]amazonaws[.]vpce[.][a-z0-9-]+[.]vpce-svc-[0-9a-f]+",
                                     "is not the name of an endpoint service", false);
  read_zone_ids(members, broker);
  if (!broker.service_name.empty() && broker.zone_ids.empty()) {
    members.fail(fmt::format("'brokers.{}' has a service_name and no zone_ids", id));
  }
  return members.fault();
}

std::optional<std::string> read_brokers(const json::value& value, Connection& connection) {
  const json::object* object = value.if_object();
  if (object == nullptr || object->empty()) return "'brokers' is not an object with at least one broker";
  for (const auto& member : *object) {
    ConnectionBroker& broker = connection.brokers.emplace_back();
    if (auto fault = read_broker({member.key().data(), member.key().size()}, member.value(), broker)) return fault;
  }
  std::sort(connection.brokers.begin(), connection.brokers.end(),
            [](const auto& a, const auto& b) { return a.id < b.id; });
  return std::nullopt;
}

// First of all, since another version may look like anything.
std::optional<std::string> check_version(const json::object& object) {
  const json::value* version = object.if_contains("version");
  if (version == nullptr) return "has no member 'version'; is it a connection document?";
  const bool number = version->is_int64() || version->is_double();
  if (!number) return "'version' is not a number";
  if (version->is_int64() ? version->get_int64() == kConnectionVersion : version->get_double() == 1.0) {
    return std::nullopt;
  }
  return fmt::format(
      "is of version {}, and this culvert understands version {} (use the culvert that goes with the infra/ that wrote "
      "it)",
      json::serialize(*version), kConnectionVersion);
}

}  // namespace

std::string_view authentication_name(Authentication authentication) {
  switch (authentication) {
    case Authentication::kScram:
      return "scram";
    case Authentication::kIam:
      return "iam";
    case Authentication::kMtls:
      return "mtls";
  }
  return {};
}

std::string Connection::bootstrap_servers() const {
  std::string text;
  for (const ConnectionBroker& broker : brokers) {
    text += fmt::format("{}{}:{}", text.empty() ? "" : ",", broker.host, broker.port);
  }
  return text;
}

Result<Connection> parse_connection(std::string_view text, std::string_view source) {
  const auto object = parse_object(text);
  if (!object) return refuse(source, object.error().message);
  if (const auto fault = check_version(*object)) return refuse(source, *fault);
  Connection connection;
  Members members(*object, "");
  members.only(kDocumentMembers);
  connection.cluster_arn =
      members.text("cluster", "arn:aws[a-z-]*:kafka:[a-z0-9-]+:[0-9]{12}:cluster/[0-9A-Za-z-]+/[0-9a-f-]+",
                   "is not the ARN of a cluster");
  connection.region = members.text("region", "[a-z]{2}(-[a-z]+)+-[0-9]", "is not a region such as eu-central-1");
  connection.kafka_version =
      members.text("kafka_version", "[0-9]+[.][0-9]+[.][0-9x]+([.]kraft)?", "is not a version such as 3.9.x.kraft");
  const std::string login = members.text("authentication", "scram|iam|mtls", "is neither scram, iam nor mtls");
  connection.authentication = login == "iam"    ? Authentication::kIam
                              : login == "mtls" ? Authentication::kMtls
                                                : Authentication::kScram;
  connection.client_idle_ms_max = members.integer("client_idle_ms_max", kIdleMsLeast, kIdleMsMost, false);
  const json::value* brokers = members.find("brokers", true);
  if (members.fault()) return refuse(source, *members.fault());
  if (const auto fault = read_brokers(*brokers, connection)) return refuse(source, *fault);
  return connection;
}

Result<UserPassword> parse_user_password(std::string_view text, std::string_view source) {
  const auto fault = [&](std::string_view what) {
    return Error::fatal(ErrorKind::kConfiguration,
                        fmt::format("credentials {}: {} (expected {{\"username\":..,\"password\":..}}, as in the "
                                    "user's secret)",
                                    source, what));
  };
  const auto object = parse_object(text);
  if (!object) return fault("is not one JSON object");
  UserPassword user;
  for (const auto& [name, target] : {std::pair{"username", &user.username}, std::pair{"password", &user.password}}) {
    const json::value* found = object->if_contains(name);
    if (found == nullptr || !found->is_string() || found->get_string().empty()) {
      return fault(fmt::format("has no text '{}'", name));
    }
    *target = view(found->get_string());
  }
  return user;
}

}  // namespace culvert
