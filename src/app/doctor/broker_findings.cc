// SPDX-License-Identifier: Apache-2.0
// The judging half of brokers.h: from what was seen to what it means.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <utility>

#include "app/doctor/brokers.h"
#include "model/check.h"

namespace culvert {

namespace {

using http::NameSource;
using http::NameTrace;
using http::NameVerdict;
using probe::KafkaFault;
using probe::TcpFault;
using probe::TlsFault;

// What a hop makes of one broker; no causes: nothing is wrong.
struct Seen {
  std::string text;
  std::vector<Cause> causes{};
  ErrorKind kind = ErrorKind::kUnavailable;
};

// One line for one broker; for several, a count and a line for each.  Causes are those of the first broker at fault.
Finding summed_up(const std::vector<Seen>& all, std::string_view good, std::string_view bad) {
  const auto faults = std::count_if(all.begin(), all.end(), [](const Seen& seen) { return !seen.causes.empty(); });
  if (all.empty()) return Finding::skipped("no broker came this far");
  Finding finding = Finding::passed(all.front().text);
  if (all.size() > 1) {
    finding.found = faults == 0 ? fmt::format("{} brokers {}", all.size(), good)
                                : fmt::format("{} of {} brokers {}", faults, all.size(), bad);
    for (const Seen& seen : all) {
      const std::string_view mark = faults == 0 ? "" : seen.causes.empty() ? "✓ " : "✗ ";
      finding.details.push_back(fmt::format("{}{}", mark, seen.text));
    }
  }
  const auto first = std::find_if(all.begin(), all.end(), [](const Seen& seen) { return !seen.causes.empty(); });
  if (first == all.end()) return finding;
  finding.state = HopState::kFailed;
  finding.kind = first->kind;
  finding.causes = first->causes;
  return finding;
}

std::string addresses_text(const NameTrace& name) {
  std::vector<std::string> texts;
  for (const http::Address& address : name.addresses) texts.push_back(address.text());
  return fmt::format("{}", fmt::join(texts, ", "));
}

std::string servers_text(const NameTrace& name) {
  std::vector<std::string> texts;
  for (const http::Address& address : name.asked_servers) texts.push_back(address.text());
  return fmt::format("{}", fmt::join(texts, ", "));
}

std::string source_text(const BrokerView& broker) {
  switch (broker.name.source) {
    case NameSource::kLiteral:
      return "an address, no name to resolve";
    case NameSource::kHostsFile:
      return "from the hosts file";
    case NameSource::kLocalhost:
      return "this machine";
    case NameSource::kServer:
      break;
  }
  return fmt::format("by name server {}{}{}", broker.name.server, broker.name.authoritative ? ", authoritatively" : "",
                     broker.wildcard ? ", as any other name beside it: a wildcard" : "");
}

Seen missing_name(const BrokerView& broker) {
  const NameTrace& name = broker.name;
  const std::string& host = broker.where.host;
  const bool exists = name.verdict == NameVerdict::kNoAddress;
  Seen seen{fmt::format("{} {}, says name server {}", host, exists ? "has no address" : "does not exist", name.server)};
  const bool foreign_zone = !name.zone.empty() && name.zone != host && host.ends_with("." + name.zone);
  if (foreign_zone) {
    seen.text += fmt::format(" for zone {}", name.zone);
    seen.causes.push_back(
        {fmt::format("the zone {} answers for every name below it and holds no record of this one: a private zone that "
                     "is named after more than one broker hides all names it does not hold",
                     name.zone),
         fmt::format("give each broker name a private zone of its own (infra/modules/broker_entry does) and take {} "
                     "away from this network, or add the record to it",
                     name.zone)});
  }
  seen.causes.push_back({"the private zone of this name is not associated with this network, or has no record in it",
                         fmt::format("look for a private hosted zone named {} with an address record, associated with "
                                     "this VPC; `--name-server` asks another server",
                                     host)});
  seen.causes.push_back({"the name is misspelt",
                         "compare it with the cluster's bootstrap string, or with the "
                         "connection document"});
  return seen;
}

Seen see_name(const BrokerView& broker, const NameRules& rules) {
  const NameTrace& name = broker.name;
  const std::string& host = broker.where.host;
  switch (name.verdict) {
    case NameVerdict::kNotAName:
      return {fmt::format("'{}' is neither a host name nor an address", host),
              {{"", "correct --bootstrap-server"}},
              ErrorKind::kConfiguration};
    case NameVerdict::kNoServer:
      return {fmt::format("{}: no name server gives a usable answer ({})", host, servers_text(name)),
              {{"the name server is not reachable from here", "check /etc/resolv.conf, and that port 53 is open to it"},
               {"the VPC has DNS support switched off", "set enableDnsSupport and enableDnsHostnames on the VPC"}}};
    case NameVerdict::kNoName:
    case NameVerdict::kNoAddress:
      return missing_name(broker);
    case NameVerdict::kAddresses:
      break;
  }
  const bool all_private = std::all_of(name.addresses.begin(), name.addresses.end(), private_address);
  const bool literal = name.source == NameSource::kLiteral;
  Seen seen{fmt::format("{}{} ({}; {})", literal ? "" : host + " → ", addresses_text(name),
                        all_private ? "private" : "public", source_text(broker))};
  if (rules.tls && host.ends_with('.')) {
    seen.causes = {{"the name ends with a dot, and the Kafka client then finds it in no certificate",
                    "write the name without the closing dot"}};
    seen.kind = ErrorKind::kConfiguration;
  } else if (rules.private_addresses && !all_private) {
    seen.causes = {{"the public zone answered: this network has no private zone for the name",
                    fmt::format("associate a private zone named {} with this VPC, its record an alias of the broker's "
                                "interface endpoint (infra/modules/broker_entry)",
                                host)}};
  }
  return seen;
}

// Two names for one place: whoever asks for the second broker reaches the first.
const BrokerView* same_place(std::span<const BrokerView> brokers, const BrokerView& broker) {
  if (broker.name.verdict != NameVerdict::kAddresses || broker.name.source == NameSource::kLocalhost) return nullptr;
  for (const BrokerView& other : brokers) {
    if (&other == &broker) return nullptr;
    if (other.where.port == broker.where.port && other.where.host != broker.where.host &&
        other.name.verdict == NameVerdict::kAddresses && other.name.addresses == broker.name.addresses) {
      return &other;
    }
  }
  return nullptr;
}

Seen see_tcp(const BrokerView& broker) {
  const probe::TcpReport& tcp = broker.report->tcp;
  const std::string where = fmt::format("{} ({})", broker.where.text(), tcp.address.text());
  const std::string port = fmt::format("{}", broker.where.port);
  switch (tcp.fault) {
    case TcpFault::kNone:
      return {fmt::format("{} accepts, after {} ms", where, tcp.took.count())};
    case TcpFault::kRefused:
      return {fmt::format("{} refuses the connection: the machine is there, and nothing listens on the port", where),
              {{"the port is another one",
                "compare it with the cluster's bootstrap string (on MSK 9094 is TLS, 9096 "
                "SCRAM, 9098 IAM, 9092 plaintext)"},
               {"the broker is down", "look at the broker's state and log"},
               {"a load balancer in between has no listener on this port",
                "add the listener (infra/modules/broker_exit)"}}};
    case TcpFault::kTimedOut:
      return {fmt::format("{} does not answer: packets are dropped on the way", where),
              {{"a security group or network ACL does not admit this machine",
                fmt::format("admit TCP {} from this machine's subnet at the endpoint (or broker), and from the load "
                            "balancer at the broker",
                            port)},
               {"the endpoint connection was not accepted, or is in another zone than the service",
                "accept it at the endpoint service (accepted_endpoints of the stream root); compare the zone ids of "
                "both sides"},
               {"there is no route, or the address is no longer the broker's",
                "check the route table; compare the address with the endpoint's or broker's present one"}}};
    case TcpFault::kUnreachable:
      return {fmt::format("{}: {}", where, tcp.detail),
              {{"there is no route from here to that address",
                "check the route table, or run doctor inside the network "
                "that the consumer runs in"},
               {"a firewall of this machine refuses it", fmt::format("admit outgoing TCP {}", port)}}};
    case TcpFault::kClosedAtOnce:
      return {
          fmt::format("{} accepts and closes at once, without a word", where),
          {{"a load balancer accepts for a target that is not healthy",
            "look at the target group: the broker may be down, its address replaced (infra/modules/broker_addresses "
            "registers the new one), or its security group closed to the load balancer"},
           {"the broker refuses more connections, or this is no Kafka listener",
            "check max.connections and connection.failed.authentication.delay.ms, and the port"}}};
    case TcpFault::kOther:
      break;
  }
  return {fmt::format("{}: {}", where, tcp.detail), {{"", "check address and port"}}};
}

std::string day_text(std::chrono::sys_seconds time) {
  const std::chrono::year_month_day day{std::chrono::floor<std::chrono::days>(time)};
  return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(day.year()), static_cast<unsigned>(day.month()),
                     static_cast<unsigned>(day.day()));
}

std::string names_text(const probe::CertificateFacts& certificate) {
  constexpr std::size_t kShownMost = 6;
  if (certificate.names.empty()) return fmt::format("no alternative name (subject {})", certificate.subject);
  std::vector<std::string> shown(
      certificate.names.begin(),
      certificate.names.begin() + static_cast<std::ptrdiff_t>(std::min(certificate.names.size(), kShownMost)));
  const auto more = certificate.names.size() - shown.size();
  return fmt::format("{}{}", fmt::join(shown, ", "), more > 0 ? fmt::format(" and {} more", more) : "");
}

std::string validity_text(const probe::CertificateFacts& certificate, std::chrono::sys_seconds now) {
  const auto days = std::chrono::floor<std::chrono::days>(certificate.last_valid - now).count();
  if (now < certificate.first_valid) return fmt::format("valid from {}", day_text(certificate.first_valid));
  if (days < 0) return fmt::format("expired on {}", day_text(certificate.last_valid));
  constexpr int kSoonDays = 21;
  return fmt::format("{}{} day{} left", days < kSoonDays ? "only " : "", days, days == 1 ? "" : "s");
}

std::vector<Cause> certificate_causes(const probe::TlsReport& tls, const std::string& host) {
  const probe::CertificateFacts& certificate = *tls.certificate;
  switch (tls.fault) {
    case TlsFault::kUnknownAuthority:
      return {
          {"the certificate's authority is not among those trusted here",
           fmt::format("-X ssl.ca.location=FILE with the certificate of {}", certificate.issuer)},
          {"somebody stands in between and shows a certificate of his own", "ask who issued it before you trust it"}};
    case TlsFault::kExpired:
      return {{fmt::format("it expired on {}", day_text(certificate.last_valid)), "renew the broker's certificate"},
              {"this machine's clock is ahead", "compare `date -u` with another machine"}};
    case TlsFault::kNotYetValid:
      return {{"this machine's clock is behind", "compare `date -u` with another machine"},
              {fmt::format("it is valid from {} on", day_text(certificate.first_valid)), "wait, or issue another one"}};
    default:
      return {{"the name leads to another machine: two brokers' names, endpoints or targets are mixed up",
               fmt::format("compare {} with the names of the certificate: {}", host, names_text(certificate))},
              {"the broker was reached by a name (or address) that its certificate does not carry",
               "use one of the certificate's names in --bootstrap-server, and let that name resolve here"}};
  }
}

Seen see_tls(const BrokerView& broker, std::chrono::sys_seconds now) {
  const probe::TlsReport& tls = *broker.report->tls;
  const std::string where = broker.where.text();
  if (tls.certificate) {
    const probe::CertificateFacts& certificate = *tls.certificate;
    const std::string facts = fmt::format("certificate for {}, issued by {}, {}", names_text(certificate),
                                          certificate.issuer, validity_text(certificate, now));
    if (tls.fault == TlsFault::kNone) return {fmt::format("{}: {}, {}", where, tls.protocol, facts)};
    std::string_view what = "is for other names";
    if (tls.fault == TlsFault::kUnknownAuthority) what = "comes from an authority that is not trusted here";
    if (tls.fault == TlsFault::kExpired) what = "has expired";
    if (tls.fault == TlsFault::kNotYetValid) what = "is not valid yet";
    return {fmt::format("{}: the certificate {}: {}", where, what, facts), certificate_causes(tls, broker.where.host)};
  }
  switch (tls.fault) {
    case TlsFault::kNone:
      return {fmt::format("{}: {}", where, tls.protocol)};
    case TlsFault::kClientCertificate:  // TLS itself is in order: the login hop says it
      return {fmt::format("{}: the broker's side is in order", where)};
    case TlsFault::kNotTls:
      if (broker.report->plaintext_port) {
        return {fmt::format("{} speaks Kafka in plaintext, not TLS", where),
                {{"the port is that of the plaintext listener", "use the TLS port (on MSK 9094, SCRAM 9096, IAM 9098)"},
                 {"the cluster has no TLS", "-X security.protocol=PLAINTEXT (or SASL_PLAINTEXT) if that is intended"}},
                ErrorKind::kConfiguration};
      }
      return {fmt::format("{} answers, but not in TLS ({})", where, tls.detail),
              {{"the port belongs to another service", "use the port of the brokers' TLS listener"}},
              ErrorKind::kConfiguration};
    case TlsFault::kNoCommonVersion:
      return {fmt::format("{}: no common TLS version or cipher ({})", where, tls.detail),
              {{"", "let the broker accept TLS 1.2 or 1.3 (ssl.enabled.protocols, ssl.cipher.suites)"}}};
    case TlsFault::kTimedOut:
      return {fmt::format("{} accepts, but does not answer the TLS handshake", where),
              {{"the broker hangs or is overloaded", "look at the broker's state and log"},
               {"large packets are dropped on the way", "check the path's MTU and that ICMP is let through"}}};
    default:
      break;
  }
  return {fmt::format("{} breaks the TLS handshake off ({})", where, tls.detail),
          {{"the broker is restarting or refuses this handshake", "look at the broker's log at this moment"}}};
}

Seen see_protocol(const BrokerView& broker) {
  const probe::KafkaReport& kafka = *broker.report->kafka;
  const std::string where = broker.where.text();
  switch (kafka.fault) {
    case KafkaFault::kNone: {
      const auto fetch = kafka.versions.ranges.find(probe::kApiFetch);
      if (fetch == kafka.versions.ranges.end()) {
        return {fmt::format("{} speaks Kafka, but serves no records", where),
                {{"", "this is a controller's listener: use the port of a broker's"}},
                ErrorKind::kConfiguration};
      }
      return {fmt::format(
          "{}: {} ({} requests, Fetch {} to {}{})", where, probe::kafka_release(kafka.versions),
          kafka.versions.ranges.size(), fetch->second.first, fetch->second.last,
          probe::knows_topic_ids(kafka.versions) ? "" : "; no topic ids: a topic made anew goes unnoticed")};
    }
    case KafkaFault::kTlsPort:
      return {fmt::format("{} speaks TLS, not plaintext", where),
              {{"security.protocol does not fit the port",
                "-X security.protocol=SSL, or SASL_SSL where a login is asked for"}},
              ErrorKind::kConfiguration};
    case KafkaFault::kTimedOut:
      return {fmt::format("{} accepts, but answers no request", where),
              {{"the broker hangs or is overloaded", "look at the broker's state and log"},
               {"this is no Kafka listener", "check the port"}}};
    case KafkaFault::kClientCertificate:
    case KafkaFault::kClosed:
    case KafkaFault::kNotKafka:
      break;
  }
  if (kafka.fault == KafkaFault::kClosed) {
    return {fmt::format("{} closes the connection when it is asked for its versions ({})", where, kafka.detail),
            {{"this is no Kafka listener", "check the port"},
             {"the broker is older than Kafka 0.10", "culvert needs 0.10 or later"}}};
  }
  return {fmt::format("{} answers, but not as Kafka does", where),
          {{"the port belongs to another service", "use the port of the brokers' listener"}},
          ErrorKind::kConfiguration};
}

bool wants_client_certificate(const BrokerView& broker) {
  if (!broker.report) return false;
  return (broker.report->tls && broker.report->tls->fault == TlsFault::kClientCertificate) ||
         (broker.report->kafka && broker.report->kafka->fault == KafkaFault::kClientCertificate);
}

}  // namespace

Finding name_finding(std::span<const BrokerView> brokers, const NameRules& rules) {
  std::vector<Seen> all;
  for (const BrokerView& broker : brokers) {
    Seen seen = see_name(broker, rules);
    if (const BrokerView* other = same_place(brokers, broker); other != nullptr && seen.causes.empty()) {
      seen.text += fmt::format(", which is also {}'s", other->where.host);
      seen.causes = {{"two brokers' names lead to one place, so that one of the brokers is never reached",
                      broker.wildcard ? "replace the wildcard record by one record for each broker"
                                      : "let each name lead to its own broker's endpoint or load balancer"}};
    }
    all.push_back(std::move(seen));
  }
  return summed_up(all, "have addresses", "cannot be found by their names");
}

Finding tcp_finding(std::span<const BrokerView> brokers) {
  std::vector<Seen> all;
  for (const BrokerView& broker : brokers) {
    if (broker.report) all.push_back(see_tcp(broker));
  }
  return summed_up(all, "accept connections", "cannot be reached");
}

Finding tls_finding(std::span<const BrokerView> brokers, std::chrono::sys_seconds now) {
  std::vector<Seen> all;
  for (const BrokerView& broker : brokers) {
    if (broker.report && broker.report->tls) all.push_back(see_tls(broker, now));
  }
  return summed_up(all, "show good certificates", "fail in TLS");
}

Finding protocol_finding(std::span<const BrokerView> brokers) {
  std::vector<Seen> all;
  for (const BrokerView& broker : brokers) {
    if (broker.report && broker.report->kafka && !wants_client_certificate(broker)) all.push_back(see_protocol(broker));
  }
  if (all.empty() && std::any_of(brokers.begin(), brokers.end(), wants_client_certificate)) {
    return Finding::skipped("the brokers answer nobody without a certificate that they trust");
  }
  return summed_up(all, "answer as Kafka", "do not answer as Kafka");
}

std::optional<Finding> mechanism_finding(std::span<const BrokerView> brokers, std::string_view protocol,
                                         std::string_view mechanism) {
  for (const BrokerView& broker : brokers) {
    if (wants_client_certificate(broker)) {
      return Finding::failed(
          ErrorKind::kPermission,
          fmt::format("{} asks for a client certificate and accepts none of this client's", broker.where.text()),
          {{"no certificate was given, or one that the brokers do not trust",
            "-X ssl.certificate.location=FILE -X ssl.key.location=FILE, signed by an authority in the brokers' "
            "truststore"},
           {"the port is that of the mutual TLS listener",
            "use the port of the listener for your way to log in (SCRAM: "
            "9096 on MSK)"}});
    }
    if (!broker.report || !broker.report->kafka || !broker.report->kafka->sasl) continue;
    const probe::SaslHandshakeReply& sasl = *broker.report->kafka->sasl;
    const std::string taken =
        sasl.mechanisms.empty() ? "none that it names" : fmt::format("{}", fmt::join(sasl.mechanisms, ", "));
    if (!mechanism.empty() && sasl.error == probe::kUnsupportedMechanism) {
      return Finding::failed(ErrorKind::kPermission,
                             fmt::format("{} does not take {}, but {}", broker.where.text(), mechanism, taken),
                             {{"sasl.mechanism is not one of the listener's",
                               fmt::format("-X sasl.mechanism={}, or the port of the listener for {}",
                                           sasl.mechanisms.empty() ? "NAME" : sasl.mechanisms.front(), mechanism)}});
    }
    if (!mechanism.empty() && sasl.error == probe::kNoLoginHere) {
      return Finding::failed(
          ErrorKind::kConfiguration,
          fmt::format("{} takes no login, but security.protocol is {}", broker.where.text(), protocol),
          {{"the port is that of a listener without a login",
            fmt::format("use the login's port, or -X security.protocol={}",
                        protocol == "sasl_ssl" ? "SSL" : "PLAINTEXT")}});
    }
    if (mechanism.empty() && sasl.error != probe::kNoLoginHere) {
      return Finding::failed(
          ErrorKind::kPermission,
          fmt::format("{} asks for a login ({}), but security.protocol is {}", broker.where.text(), taken, protocol),
          {{"no login was given", fmt::format("-X security.protocol={} -X sasl.mechanism={} -X sasl.username=NAME "
                                              "--password-file FILE",
                                              protocol == "ssl" ? "SASL_SSL" : "SASL_PLAINTEXT",
                                              sasl.mechanisms.empty() ? "NAME" : sasl.mechanisms.front())}});
    }
  }
  return std::nullopt;
}

}  // namespace culvert
