// SPDX-License-Identifier: Apache-2.0
#include "adapters/kafka/client.h"

#include <fmt/format.h>

#include <array>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "adapters/kafka/errors.h"
#include "adapters/kafka/settings.h"

namespace culvert::kafka {

struct Client::Context {
  KafkaConfig config;
  std::vector<std::string> secrets;
  ClientObserver* observer = nullptr;
  // Why there is no token; set on the client's thread, told on the polling one.
  std::mutex mutex;
  std::optional<Error> token_error;
};

namespace {

// librdkafka uses syslog's numbers.
LogLevel to_level(int level) {
  if (level <= 3) return LogLevel::kError;
  if (level == 4) return LogLevel::kWarning;
  return level <= 6 ? LogLevel::kInfo : LogLevel::kDebug;
}

// Lets one thread wait for another with a deadline.  A future of std::async would block in its destructor.
class Signal {
 public:
  void raise() {
    {
      const std::lock_guard lock(mutex_);
      raised_ = true;
    }
    changed_.notify_all();
  }
  [[nodiscard]] bool wait(Millis timeout) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, timeout, [&] { return raised_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool raised_ = false;
};

}  // namespace

Result<std::unique_ptr<Client>> Client::open(const KafkaConfig& config, Role role, std::span<const Property> settings,
                                             ClientObserver* observer) {
  Result<Handle<rd_kafka_conf_t>> conf = make_conf(config, role, settings);
  if (!conf) return conf.error();
  std::unique_ptr<Client> client{new Client};
  client->context_ = std::make_shared<Context>();
  client->context_->config = config;
  client->context_->secrets = secret_values(config);
  client->context_->observer = observer;
  rd_kafka_conf_set_opaque(conf->get(), client->context_.get());
  rd_kafka_conf_set_log_cb(conf->get(), &Client::on_log);
  rd_kafka_conf_set_error_cb(conf->get(), &Client::on_error);
  if (config.token) {
    rd_kafka_conf_set_oauthbearer_token_refresh_cb(conf->get(), &Client::on_token_due);
    rd_kafka_conf_enable_sasl_queue(conf->get(), 1);
  }
  if (role == Role::kConsumer) rd_kafka_conf_set_rebalance_cb(conf->get(), &Client::on_rebalance);
  if (role == Role::kProducer) rd_kafka_conf_set_dr_msg_cb(conf->get(), &Client::on_delivery);
  const auto type = role == Role::kProducer ? RD_KAFKA_PRODUCER : RD_KAFKA_CONSUMER;
  std::array<char, 512> text{};
  client->rk_ = rd_kafka_new(type, conf->get(), text.data(), text.size());
  if (client->rk_ == nullptr) {
    return Error::fatal(
        ErrorKind::kConfiguration,
        redact(fmt::format("Kafka client for {}: {}", config.bootstrap, text.data()), client->context_->secrets));
  }
  std::ignore = conf->release();  // owned by the client from here on
  if (!config.token) return client;
  // A token must come also while nobody polls, and fetching one must not hold up whoever does.
  const Handle<rd_kafka_error_t> refused{rd_kafka_sasl_background_callbacks_enable(client->rk_)};
  if (refused) return to_error(refused.get(), fmt::format("Kafka client for {}", config.bootstrap));
  return client;
}

Client::~Client() {
  if (rk_ == nullptr) return;
  context_->observer = nullptr;
  const int flags = skip_group_close_ ? RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE : 0;
  auto done = std::make_shared<Signal>();
  std::thread destroyer([rk = rk_, flags, done, context = context_] {
    rd_kafka_destroy_flags(rk, flags);
    done->raise();
  });
  if (done->wait(destroy_wait_)) {
    destroyer.join();
  } else {
    log(LogLevel::kWarning,
        fmt::format("the Kafka client did not end within {} ms and is left behind", destroy_wait_.count()));
    destroyer.detach();
  }
}

const std::string& Client::bootstrap() const { return context_->config.bootstrap; }

void Client::log(LogLevel level, std::string_view text) const {
  if (context_->config.log) context_->config.log(level, redact(std::string(text), context_->secrets));
}

void Client::on_log(const rd_kafka_t* rk, int level, const char* facility, const char* text) {
  const auto* context = static_cast<const Context*>(rd_kafka_opaque(rk));
  if (context == nullptr || !context->config.log) return;
  const std::string_view kind{facility};
  // One configuration serves producers and consumers; that each ignores the other's properties is not worth a warning.
  if (kind == "CONFWARN" && std::string_view{text}.find("will be ignored") != std::string_view::npos) return;
  // These come to the observer as well, which tells them with their remedy.
  const bool told = kind == "FAIL" || kind == "ERROR";
  context->config.log(told ? LogLevel::kDebug : to_level(level),
                      redact(fmt::format("kafka {}: {}", facility, text), context->secrets));
}

void Client::on_error(rd_kafka_t*, int code, const char* reason, void* opaque) {
  auto* context = static_cast<Context*>(opaque);
  if (context->observer == nullptr) return;
  const auto kind = static_cast<rd_kafka_resp_err_t>(code);
  const std::string what = fmt::format("brokers {}", context->config.bootstrap);
  const std::string detail = redact(reason, context->secrets);
  if (!context->config.token) return context->observer->on_error(kind, to_error(kind, what, detail));
  std::optional<Error> ours;
  {
    const std::lock_guard lock(context->mutex);
    ours = context->token_error;
  }
  // librdkafka has one code for a token that could not be had and for one that the broker refused.
  const bool none = ours && detail.find(ours->message) != std::string::npos;
  context->observer->on_error(kind, none ? ours->within(what) : token_login_error(kind, what, detail));
}

void Client::on_token_due(rd_kafka_t* rk, const char*, void* opaque) {
  auto* context = static_cast<Context*>(opaque);
  std::array<char, 512> text{};
  const auto token = context->config.token();
  if (token) {
    const auto set =
        rd_kafka_oauthbearer_set_token(rk, token->value.c_str(), token->expires_at.time_since_epoch().count(),
                                       token->principal.c_str(), nullptr, 0, text.data(), text.size());
    if (set == RD_KAFKA_RESP_ERR_NO_ERROR) return;
  }
  const Error error =
      token ? Error::retriable_error(ErrorKind::kPermission,
                                     fmt::format("the token for {} cannot be used: {}", token->principal, text.data()))
            : token.error();
  {
    const std::lock_guard lock(context->mutex);
    context->token_error = error;
  }
  rd_kafka_oauthbearer_set_token_failure(rk, error.message.c_str());
}

void Client::on_rebalance(rd_kafka_t* rk, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t* partitions,
                          void* opaque) {
  const auto* context = static_cast<const Context*>(opaque);
  if (context->observer == nullptr) {
    rd_kafka_assign(rk, nullptr);  // librdkafka waits for an answer to every rebalance, also while it ends
    return;
  }
  context->observer->on_rebalance(code, partitions);
}

void Client::on_delivery(rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
  const auto* context = static_cast<const Context*>(opaque);
  if (context->observer != nullptr) context->observer->on_delivery(message);
}

}  // namespace culvert::kafka
