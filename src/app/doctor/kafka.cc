// SPDX-License-Identifier: Apache-2.0
#include "app/doctor/kafka.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <chrono>
#include <thread>
#include <utility>
#include <variant>

#include "adapters/kafka/reader.h"
#include "app/session/kafka_client_config.h"

namespace culvert {

namespace {

constexpr std::string_view kIdleProperty = "connections.max.idle.ms";

std::string lowered(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

bool uses_tls(std::string_view protocol) { return protocol == "ssl" || protocol == "sasl_ssl"; }
bool uses_login(std::string_view protocol) { return protocol.starts_with("sasl_"); }

std::string seconds_text(Millis time) { return format_duration(time); }

}  // namespace

DoctorKafka::DoctorKafka(KafkaTarget target, const DoctorKafkaOptions& options, Log& log)
    : target_(std::move(target)), options_(options), config_(kafka_client_config(target_, log)) {
  config_.log = [&log](kafka::LogLevel, std::string_view text) { log.debug("kafka client", {{"detail", text}}); };
  protocol_ = lowered(property("security.protocol"));
  if (protocol_.empty()) protocol_ = "plaintext";
  settings_.timeout = options_.timeout;
  settings_.check_certificate = !target_.insecure_skip_tls_verification;
  if (uses_login(protocol_)) {
    settings_.mechanism = property("sasl.mechanism");
    if (settings_.mechanism.empty()) settings_.mechanism = property("sasl.mechanisms");
    if (settings_.mechanism.empty()) settings_.mechanism = "GSSAPI";  // librdkafka's default
  }
}

std::string DoctorKafka::property(const std::string& name) const {
  const auto found = target_.properties.find(name);
  return found == target_.properties.end() ? std::string() : found->second;
}

probe::TlsSettings DoctorKafka::tls_settings() const {
  return {property("ssl.ca.location"),          property("ssl.ca.pem"),
          property("ssl.certificate.location"), property("ssl.certificate.pem"),
          property("ssl.key.location"),         property("ssl.key.pem"),
          property("ssl.key.password"),         property("ssl.keystore.location"),
          property("ssl.keystore.password")};
}

bool DoctorKafka::by_iam() const { return lowered(settings_.mechanism) == "oauthbearer"; }

std::string DoctorKafka::principal() const {
  if (const std::string user = property("sasl.username"); uses_login(protocol_) && !user.empty()) return "User:" + user;
  if (!uses_login(protocol_) && settings_.tls) {
    const std::string subject = settings_.tls->own_subject();
    return subject.empty() ? "" : "User:" + subject;
  }
  return "";
}

std::string DoctorKafka::grant(const MissingRight& right) const {
  if (by_iam()) return iam_statement(options_.cluster_arn, right);
  return acl_command(brokers_.front().where.text(), principal(), right);
}

Result<void> DoctorKafka::check() {
  auto servers = parse_bootstrap(target_.bootstrap_servers);
  if (!servers) return servers.error().within("--bootstrap-server");
  for (HostPort& server : *servers) brokers_.push_back(BrokerView{std::move(server)});
  if (auto valid = kafka::validate(config_, kafka::Role::kConsumer); !valid) return valid;
  if (!uses_tls(protocol_)) return {};
  auto client = probe::TlsClient::make(tls_settings());
  if (!client) return client.error();
  settings_.tls = *std::move(client);
  return {};
}

Finding DoctorKafka::names() {
  look_up(brokers_, options_.dns);
  return name_finding(brokers_, {options_.private_addresses, uses_tls(protocol_)});
}

Finding DoctorKafka::tcp() {
  probe_all(brokers_, settings_);
  return tcp_finding(brokers_);
}

Finding DoctorKafka::tls(std::chrono::sys_seconds now) {
  if (!uses_tls(protocol_)) return Finding::skipped(fmt::format("security.protocol is {}", protocol_));
  if (target_.insecure_skip_tls_verification) {
    return Finding::skipped("--insecure-skip-tls-verification: anybody could be at the other end");
  }
  return tls_finding(brokers_, now);
}

Finding DoctorKafka::protocol() { return protocol_finding(brokers_); }

Finding DoctorKafka::login() {
  if (auto spoken = mechanism_finding(brokers_, protocol_, settings_.mechanism)) return *std::move(spoken);
  auto admin = kafka::Admin::open(config_);
  if (!admin) return Finding::of(admin.error());
  auto cluster = (*admin)->cluster(options_.timeout);
  if (!cluster) {
    const bool refused = cluster.error().kind == ErrorKind::kPermission;
    if (!refused || !uses_login(protocol_)) return Finding::of(cluster.error());
    const std::string user = property("sasl.username");
    return Finding::failed(
        ErrorKind::kPermission,
        fmt::format("the login of {} by {} was refused", user.empty() ? "this client" : fmt::format("'{}'", user),
                    settings_.mechanism),
        {{"the password is wrong (or was changed)", "compare the file that --password-file names with the secret"},
         {fmt::format("the cluster has no such user for {}", settings_.mechanism),
          "create it (on MSK: associate the secret, whose name begins with AmazonMSK_, with the cluster)"}});
  }
  admin_ = *std::move(admin);
  members_ = std::move(cluster->brokers);
  if (!uses_login(protocol_)) {
    const bool certificate = !tls_settings().certificate_file.empty() || !tls_settings().certificate_pem.empty() ||
                             !tls_settings().keystore_file.empty();
    return Finding::passed(certificate && uses_tls(protocol_) ? "the client certificate was accepted"
                                                              : "no login is asked for");
  }
  return Finding::passed(fmt::format(
      "{} by {}",
      property("sasl.username").empty() ? "logged in" : fmt::format("'{}' logged in", property("sasl.username")),
      settings_.mechanism));
}

Finding DoctorKafka::advertised(std::chrono::sys_seconds now) {
  std::vector<BrokerView> others;
  std::vector<std::string> details;
  for (const kafka::BrokerAddress& member : members_) {
    const HostPort where{member.host, static_cast<std::uint16_t>(member.port)};
    const bool known =
        std::any_of(brokers_.begin(), brokers_.end(), [&](const BrokerView& broker) { return broker.where == where; });
    details.push_back(fmt::format("broker {}: {}{}", member.id, where.text(), known ? " (a bootstrap server)" : ""));
    if (!known) others.push_back(BrokerView{where});
  }
  look_up(others, options_.dns);
  probe_all(others, settings_);
  Finding worst =
      others.empty() ? Finding::passed("") : name_finding(others, {options_.private_addresses, uses_tls(protocol_)});
  if (worst.state == HopState::kPassed && !others.empty()) worst = tcp_finding(others);
  if (worst.state == HopState::kPassed && !others.empty() && settings_.tls && !target_.insecure_skip_tls_verification) {
    worst = tls_finding(others, now);
  }
  if (worst.state == HopState::kPassed && !others.empty()) worst = protocol_finding(others);
  if (worst.state != HopState::kFailed) {
    Finding finding = Finding::passed(fmt::format("{} broker{} advertised, each reachable by its own name",
                                                  members_.size(), members_.size() == 1 ? " is" : "s are"));
    if (members_.size() > 1 || !others.empty()) finding.details = std::move(details);
    return finding;
  }
  worst.found = "a broker is advertised under a name that does not lead to it: " + worst.found;
  worst.causes.push_back({"the brokers advertise a listener that is meant for another network",
                          "set advertised.listeners to names that resolve and are reachable from here (the private "
                          "path needs a name, an endpoint and a zone for every broker, not only the bootstrap ones)"});
  if (worst.details.empty()) worst.details = std::move(details);
  return worst;
}

Finding DoctorKafka::topic() {
  if (target_.topic.empty()) return Finding::skipped("no --topic was given");
  const auto topic = admin_->topic(target_.topic, options_.timeout);
  if (!topic) {
    if (topic.error().kind == ErrorKind::kPermission) {
      return Finding::failed(
          ErrorKind::kPermission, fmt::format("topic '{}': access is refused", target_.topic),
          {{fmt::format("the user has neither {} nor DESCRIBE on the topic",
                        options_.walk_for == WalkFor::kConsume ? "READ" : "WRITE"),
            grant({options_.walk_for == WalkFor::kConsume ? "Read" : "Write", "topic", target_.topic})},
           {"the topic does not exist: brokers do not tell that to strangers",
            "check the name, or create it (culvert produce --create-topic N)"}});
    }
    if (topic.error().kind == ErrorKind::kConfiguration) {
      return Finding::failed(
          ErrorKind::kConfiguration, fmt::format("topic '{}' does not exist on this cluster", target_.topic),
          {{"the name is misspelt, or this is another cluster", "compare name and bootstrap servers"},
           {"nobody has created it", "culvert produce --create-topic N, or the cluster's own tools"}});
    }
    return Finding::of(topic.error());
  }
  std::string leaderless;
  std::size_t behind = 0;
  for (const kafka::PartitionInfo& partition : topic->partitions) {
    if (partition.leader < 0)
      leaderless += fmt::format("{}{}", leaderless.empty() ? "" : ", ", partition.partition.value());
    if (partition.in_sync < partition.replicas) ++behind;
  }
  if (!leaderless.empty()) {
    return Finding::failed(
        ErrorKind::kUnavailable, fmt::format("topic '{}': no leader for partition {}", target_.topic, leaderless),
        {{"the brokers that hold them are down", "start them; look at the cluster's offline partitions"}});
  }
  const bool compacted = admin_->compacted(target_.topic, options_.timeout).value_or(false);
  const auto replicas = topic->partitions.empty() ? 0 : topic->partitions.front().replicas;
  return Finding::passed(fmt::format("'{}' has {} partition{}, each with a leader; {} replica{}{}", target_.topic,
                                     topic->partitions.size(), topic->partitions.size() == 1 ? "" : "s", replicas,
                                     replicas == 1 ? "" : "s",
                                     behind == 0 ? "" : fmt::format(" ({} partitions are under-replicated)", behind)) +
                         (compacted ? "; it is compacted (cleanup.policy): older records of a key are removed, so a "
                                      "table is not what is left of the log"
                                    : ""));
}

Result<void> DoctorKafka::read_one(PartitionId partition, Offset first) {
  auto reader = kafka::PartitionReader::open(config_, {.topic = target_.topic, .connect_timeout = options_.timeout});
  if (!reader) return reader.error();
  const std::vector<kafka::ReadRange> ranges{{partition, first}};
  if (auto started = (*reader)->start(ranges); !started) return started;
  const auto until = std::chrono::steady_clock::now() + options_.timeout;
  std::optional<Error> last;
  while (std::chrono::steady_clock::now() < until) {
    const kafka::Polled polled = (*reader)->poll(Millis{100});
    if (std::holds_alternative<kafka::Records>(polled) || std::holds_alternative<kafka::EndReached>(polled)) return {};
    if (const auto* failed = std::get_if<kafka::Failed>(&polled)) {
      if (!failed->error.retriable) return failed->error;
      last = failed->error;
    }
  }
  if (last) return *last;
  return Error::retriable_error(
      ErrorKind::kUnavailable,
      fmt::format("topic '{}' partition {}: no answer to a fetch within {} (look at the log of "
                  "the broker that leads it)",
                  target_.topic, partition.value(), seconds_text(options_.timeout)));
}

Finding DoctorKafka::send() {
  if (options_.walk_for != WalkFor::kProduce) return Finding::skipped("--for produce was not given");
  if (target_.topic.empty()) return Finding::skipped("no --topic was given");
  const auto may = admin_->may_write(target_.topic, options_.timeout);
  if (!may) return Finding::of(may.error());
  if (*may == kafka::Right::kDenied) {
    return Finding::failed(ErrorKind::kPermission,
                           fmt::format("topic '{}' may be seen but not written to", target_.topic),
                           {{"the user has no WRITE on the topic", grant({"Write", "topic", target_.topic})}});
  }
  return Finding::passed(*may == kafka::Right::kGranted ? fmt::format("'{}' may be written to", target_.topic)
                                                        : "the brokers do not tell whether it may be written to");
}

Finding DoctorKafka::poller() {
  if (!uses_login(protocol_) || by_iam()) {
    return Finding::skipped("a mapping logs in here by its function's role, or not at all: that is not this identity");
  }
  const auto may = admin_->may_read_settings(options_.timeout);
  if (may) return Finding::passed("the brokers tell their settings, as Lambda's pollers ask for");
  if (may.error().kind != ErrorKind::kPermission) return Finding::of(may.error());
  return Finding::failed(
      ErrorKind::kPermission, "the brokers do not tell this user their settings, which Lambda's pollers ask for",
      {{"the user has no DESCRIBE_CONFIGS on the cluster: a mapping that logs in as it says 'Cluster "
        "failed to authorize Lambda' (culvert consume does without)",
        grant({"DescribeConfigs", "cluster"})}});
}

Finding DoctorKafka::read() {
  if (options_.walk_for == WalkFor::kProduce) return Finding::skipped("a producer reads nothing");
  if (target_.topic.empty()) return Finding::skipped("no --topic was given");
  const auto topic = admin_->topic(target_.topic, options_.timeout);
  if (!topic) return Finding::of(topic.error());
  std::int64_t records = 0;
  std::pair<PartitionId, Offset> tried{PartitionId{0}, Offset{0}};
  for (const kafka::PartitionInfo& partition : topic->partitions) {
    const auto range = admin_->log_range(target_.topic, partition.partition, options_.timeout);
    if (!range) return Finding::of(range.error());
    topic_log_.ranges[partition.partition] = *range;
    const bool fuller = records == 0 && range->log_end > range->log_start;
    records += range->log_end - range->log_start;
    if (topic_log_.ranges.size() == 1 || fuller) {
      const bool empty = range->log_end == range->log_start;
      tried = {partition.partition, empty ? range->log_start : Offset{range->log_end.value() - 1}};
    }
  }
  auto id = admin_->topic_id(target_.topic, options_.timeout);
  if (!id) return Finding::of(id.error());
  topic_log_.topic_id = *std::move(id);
  if (const auto read = read_one(tried.first, tried.second); !read) {
    if (read.error().kind != ErrorKind::kPermission) return Finding::of(read.error());
    return Finding::failed(
        ErrorKind::kPermission, fmt::format("topic '{}' may be seen but not read", target_.topic),
        {{"the user has DESCRIBE on the topic, but no READ", grant({"Read", "topic", target_.topic})}});
  }
  return Finding::passed(fmt::format("{} records in the log{}", records,
                                     topic_log_.topic_id.empty() ? "" : "; topic id " + topic_log_.topic_id));
}

Finding DoctorKafka::group() {
  if (options_.walk_for == WalkFor::kProduce) return Finding::skipped("a producer has no group");
  if (target_.group.empty()) return Finding::skipped("no --group was given");
  // On a young cluster, or while a coordinator moves, the group has none for a moment.
  constexpr Millis kPause{100};
  const auto until = std::chrono::steady_clock::now() + options_.timeout;
  auto group = admin_->group(target_.group, options_.timeout);
  while (!group && group.error().retriable && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(kPause);
    group = admin_->group(target_.group, options_.timeout);
  }
  const std::vector<Cause> causes{
      {"the user has no READ on the group", grant({"Read", "group", target_.group})},
      {"the group's name is another one", "compare --group with the rights that the stream account grants"}};
  if (!group) {
    if (group.error().kind != ErrorKind::kPermission) return Finding::of(group.error());
    return Finding::failed(ErrorKind::kPermission, fmt::format("group '{}': access is refused", target_.group), causes);
  }
  if (group->may_read == kafka::Right::kDenied) {
    return Finding::failed(ErrorKind::kPermission, fmt::format("group '{}' may be seen but not joined", target_.group),
                           causes);
  }
  const bool unused = group->state == "Dead";
  return Finding::passed(fmt::format("'{}' {}{}", target_.group,
                                     unused ? "has not been used yet"
                                            : fmt::format("is {} with {} member{}", lowered(group->state),
                                                          group->members, group->members == 1 ? "" : "s"),
                                     group->may_read == kafka::Right::kUnknown
                                         ? "; the brokers do not tell whether it may be joined"
                                         : "; it may be joined"));
}

Finding DoctorKafka::position(const std::vector<PartitionCheckpoint>& checkpoints) {
  // Asked again now that the checkpoints are known: a consumer that runs meanwhile would seem to be ahead of the log.
  for (auto& [partition, range] : topic_log_.ranges) {
    const auto now = admin_->log_range(target_.topic, partition, options_.timeout);
    if (!now) return Finding::of(now.error());
    range = *now;
  }
  return position_finding(target_.topic, options_.generation, topic_log_, checkpoints);
}

Finding DoctorKafka::idle() {
  const auto value = kafka::effective_value(config_, kafka::Role::kConsumer, std::string(kIdleProperty));
  if (!value) return Finding::of(value.error());
  std::int64_t milliseconds = 0;
  std::from_chars(value->data(), value->data() + value->size(), milliseconds);
  return idle_finding(Millis{milliseconds}, options_.idle_timeout);
}

Finding idle_finding(Millis client_idle, std::optional<Millis> balancer_idle) {
  constexpr Millis kUsual{350'000};
  const Millis limit = balancer_idle.value_or(kUsual);
  const std::string client =
      client_idle.count() == 0 ? "the client keeps idle connections for ever"
                               : fmt::format("the client closes idle connections after {}", seconds_text(client_idle));
  const std::string balancer = balancer_idle
                                   ? fmt::format("load balancers on the way forget them after {}", seconds_text(limit))
                                   : fmt::format(
                                         "no load balancer is known of (they forget after {} if nobody "
                                         "sets it)",
                                         seconds_text(limit));
  const bool in_order = client_idle.count() > 0 && client_idle < limit;
  if (in_order || !balancer_idle) return Finding::passed(fmt::format("{}; {}", client, balancer));
  return Finding::failed(
      ErrorKind::kConfiguration, fmt::format("{}, but {}", client, balancer),
      {{"a connection that a load balancer has forgotten hangs until a request times out",
        fmt::format("-X {}={} (or leave it out: culvert sets 240000)", kIdleProperty,
                    std::max<std::int64_t>(limit.count() * 2 / 3, 1'000))},
       {"the load balancer's time-out is too short", "raise tcp.idle_timeout.seconds of its listener"}});
}

Finding position_finding(const std::string& topic, std::int64_t generation, const TopicLog& log,
                         const std::vector<PartitionCheckpoint>& checkpoints) {
  std::int64_t lag = 0;
  std::size_t count = 0;
  std::optional<std::int64_t> other;
  const Cause anew{"the topic was deleted and made anew",
                   fmt::format("read its new incarnation with --generation {}", generation + 1)};
  for (const PartitionCheckpoint& stored : checkpoints) {
    if (stored.where.topic != topic) continue;
    if (stored.where.generation != generation) {
      other = std::max(other.value_or(0), stored.where.generation);
      continue;
    }
    const Checkpoint& checkpoint = stored.checkpoint;
    const std::string where = stored.where.name();
    const auto range = log.ranges.find(stored.where.partition);
    if (range == log.ranges.end()) {
      return Finding::failed(ErrorKind::kData,
                             fmt::format("{} has a checkpoint, but the topic has no such partition", where),
                             {anew, {"the bootstrap servers are those of another cluster", "compare them"}});
    }
    if (!checkpoint.topic_id.empty() && !log.topic_id.empty() && checkpoint.topic_id != log.topic_id) {
      return Finding::failed(ErrorKind::kData,
                             fmt::format("the checkpoints belong to another topic '{}': its id was {}, now it is {}",
                                         topic, checkpoint.topic_id, log.topic_id),
                             {anew, {"the bootstrap servers are those of another cluster", "compare them"}});
    }
    if (checkpoint.next > range->second.log_end) {
      return Finding::failed(
          ErrorKind::kData,
          fmt::format("{}: the checkpoint's next offset {} is above the log's end {}", where, checkpoint.next.value(),
                      range->second.log_end.value()),
          {anew, {"records were lost by an unclean leader election", "restore the topic, or start a new generation"}});
    }
    // As GroupMember has it: a function's checkpoint begins at 0 and promises nothing below its first batch.
    const bool promised = checkpoint.next != checkpoint.start || !checkpoint.topic_id.empty();
    if (checkpoint.next < range->second.log_start && promised) {
      return Finding::failed(
          ErrorKind::kData,
          fmt::format("{}: {} records were removed before they were read (checkpoint's next offset {}, log start {})",
                      where, range->second.log_start - checkpoint.next, checkpoint.next.value(),
                      range->second.log_start.value()),
          {{"the consumer stood still for longer than the topic's retention",
            "go on without them: culvert consume --accept-loss; raise retention.ms"}});
    }
    ++count;
    lag += range->second.log_end - checkpoint.next;
  }
  if (count == 0 && other) {
    return Finding::failed(ErrorKind::kData,
                           fmt::format("the table holds generation {} of '{}', not {}", *other, topic, generation),
                           {{"--generation was forgotten or is ahead", fmt::format("--generation {}", *other)}});
  }
  if (count == 0)
    return Finding::passed(fmt::format("the table has no checkpoint of '{}' yet: reading begins at --start", topic));
  return Finding::passed(fmt::format("{} checkpoint{} inside the log; {} records behind its end", count,
                                     count == 1 ? " is" : "s are", lag));
}

}  // namespace culvert
