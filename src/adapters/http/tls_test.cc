// SPDX-License-Identifier: Apache-2.0
#include "adapters/http/tls.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <string>
#include <thread>

#include "adapters/http/client.h"

namespace culvert::http {
namespace {

// A certificate with its key, made for one test run.
struct Identity {
  X509* certificate = nullptr;
  EVP_PKEY* key = nullptr;

  Identity(const std::string& name, const std::string& alternative_names, const Identity* issuer,
           long valid_s = 3'600) {
    key = EVP_EC_gen("P-256");
    certificate = X509_new();
    X509_set_version(certificate, 2);
    static long serial = 1;
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -7'200);
    X509_gmtime_adj(X509_getm_notAfter(certificate), valid_s);
    X509_set_pubkey(certificate, key);
    X509_NAME* subject = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(name.c_str()), -1,
                               -1, 0);
    X509_set_issuer_name(certificate, issuer == nullptr ? subject : X509_get_subject_name(issuer->certificate));
    add_extension(NID_basic_constraints, issuer == nullptr ? "critical,CA:TRUE" : "CA:FALSE");
    if (!alternative_names.empty()) add_extension(NID_subject_alt_name, alternative_names);
    X509_sign(certificate, issuer == nullptr ? key : issuer->key, EVP_sha256());
  }
  Identity(const Identity&) = delete;
  Identity& operator=(const Identity&) = delete;
  ~Identity() {
    X509_free(certificate);
    EVP_PKEY_free(key);
  }
  void add_extension(int nid, const std::string& value) const {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value.c_str());
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
  }
  [[nodiscard]] std::string pem() const {
    BIO* bio = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(bio, certificate);
    std::string text(static_cast<std::size_t>(BIO_ctrl_pending(bio)), '\0');
    BIO_read(bio, text.data(), static_cast<int>(text.size()));
    BIO_free(bio);
    return text;
  }
};

// Serves `200 OK` with the body "secure" over TLS, one connection after the other, keep-alive.
class TlsServer {
 public:
  explicit TlsServer(const Identity& identity, int version_most = 0) : context_(SSL_CTX_new(TLS_server_method())) {
    SSL_CTX_use_certificate(context_, identity.certificate);
    SSL_CTX_use_PrivateKey(context_, identity.key);
    if (version_most != 0) {
      SSL_CTX_set_security_level(context_, 0);
      SSL_CTX_set_max_proto_version(context_, version_most);
    }
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_storage at{};
    socklen_t bytes = to_sockaddr(Address::v4(127, 0, 0, 1), 0, at);
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&at), bytes), 0);
    EXPECT_EQ(::listen(listener_, 8), 0);
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &bytes);
    port_ = ntohs(reinterpret_cast<sockaddr_in*>(&at)->sin_port);
    thread_ = std::thread([this] { run(); });
  }
  TlsServer(const TlsServer&) = delete;
  TlsServer& operator=(const TlsServer&) = delete;
  ~TlsServer() {
    stop_ = true;
    thread_.join();
    ::close(listener_);
    SSL_CTX_free(context_);
  }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] int connections() const { return connections_; }
  // From now on each connection is ended after one reply, by an alert and a FIN.
  void close_after_reply() { closes_ = true; }
  [[nodiscard]] int closed() const { return closed_; }

 private:
  bool readable(int fd) const {
    while (!stop_) {
      pollfd p{fd, POLLIN, 0};
      if (::poll(&p, 1, 20) > 0) return true;
    }
    return false;
  }
  void run() {
    while (readable(listener_)) {
      const int fd = ::accept(listener_, nullptr, nullptr);
      timeval limit{2, 0};
      ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
      SSL* ssl = SSL_new(context_);
      SSL_set_fd(ssl, fd);
      if (SSL_accept(ssl) == 1) {
        ++connections_;
        serve(ssl, fd);
      }
      SSL_free(ssl);
      ::close(fd);
      ++closed_;
    }
  }
  void serve(SSL* ssl, int fd) const {
    std::array<char, 4096> buffer{};
    const std::string reply = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecure";
    while (SSL_pending(ssl) > 0 || readable(fd)) {
      if (SSL_read(ssl, buffer.data(), static_cast<int>(buffer.size())) <= 0) return;
      if (SSL_write(ssl, reply.data(), static_cast<int>(reply.size())) <= 0) return;
      if (!closes_) continue;
      SSL_shutdown(ssl);
      return;
    }
  }

  SSL_CTX* context_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<bool> stop_{false};
  std::atomic<bool> closes_{false};
  std::atomic<int> connections_{0};
  std::atomic<int> closed_{0};
  std::thread thread_;
};

class LoopbackResolver final : public Resolver {
 public:
  Result<Resolved> resolve(std::string_view, const std::stop_token&) override {
    return Resolved{{Address::v4(127, 0, 0, 1)}, std::chrono::seconds{60}};
  }
};

class TlsTest : public testing::Test {
 protected:
  Outcome call(std::uint16_t port, const std::string& host, const std::string& ca) {
    ClientOptions options;
    options.ca_pem = ca;
    Client client(options, resolver_);
    return client.call({true, host, port}, {});
  }
  LoopbackResolver resolver_;
  Identity ca_{"test authority", "", nullptr};
};

TEST_F(TlsTest, NameInTheCertificateIsAcceptedAndTheConnectionKept) {
  const Identity leaf("ignored", "DNS:table.test,IP:127.0.0.1", &ca_);
  TlsServer server(leaf);
  ClientOptions options;
  options.ca_pem = ca_.pem();
  Client client(options, resolver_);
  for (int i = 0; i < 5; ++i) {
    const auto outcome = client.call({true, "table.test", server.port()}, {.method = "POST", .body = "x"});
    ASSERT_TRUE(outcome.ok()) << outcome.failure().error.message;
    EXPECT_EQ(outcome.response().body, "secure");
  }
  EXPECT_EQ(server.connections(), 1);
}

TEST_F(TlsTest, ConnectionThatWasClosedWhileNobodyLookedIsNotUsedAgain) {
  const Identity leaf("ignored", "DNS:table.test", &ca_);
  TlsServer server(leaf);
  server.close_after_reply();
  ClientOptions options;
  options.ca_pem = ca_.pem();
  options.own_thread = false;
  Client client(options, resolver_);
  for (int i = 1; i <= 3; ++i) {
    const auto outcome = client.call({true, "table.test", server.port()}, {.method = "POST", .body = "x"});
    ASSERT_TRUE(outcome.ok()) << outcome.failure().error.message;
    while (server.closed() < i) std::this_thread::sleep_for(std::chrono::milliseconds{1});
    // Within a millisecond of its last use a connection is trusted without asking the kernel.
    std::this_thread::sleep_for(std::chrono::milliseconds{3});
  }
  EXPECT_EQ(server.connections(), 3);
}

TEST_F(TlsTest, AddressIsCheckedToo) {
  const Identity leaf("ignored", "IP:127.0.0.1", &ca_);
  TlsServer server(leaf);
  EXPECT_TRUE(call(server.port(), "127.0.0.1", ca_.pem()).ok());
  const Identity other("127.0.0.1", "IP:127.0.0.9", &ca_);
  TlsServer wrong(other);
  EXPECT_FALSE(call(wrong.port(), "127.0.0.1", ca_.pem()).ok());
}

TEST_F(TlsTest, OtherNameForeignAuthorityAndExpiredCertificateAreRefused) {
  const Identity leaf("table.test", "DNS:other.test", &ca_);
  const Identity foreign_ca("foreign", "", nullptr);
  const Identity expired("table.test", "DNS:table.test", &ca_, -60);
  TlsServer server(leaf);
  auto outcome = call(server.port(), "table.test", ca_.pem());
  ASSERT_FALSE(outcome.ok());
  EXPECT_FALSE(outcome.failure().maybe_sent);
  EXPECT_NE(outcome.failure().error.message.find("hostname mismatch"), std::string::npos)
      << outcome.failure().error.message;
  outcome = call(server.port(), "other.test", foreign_ca.pem());
  ASSERT_FALSE(outcome.ok());
  EXPECT_NE(outcome.failure().error.message.find("certificate refused"), std::string::npos)
      << outcome.failure().error.message;
  TlsServer old(expired);
  outcome = call(old.port(), "table.test", ca_.pem());
  ASSERT_FALSE(outcome.ok());
  EXPECT_NE(outcome.failure().error.message.find("expired"), std::string::npos) << outcome.failure().error.message;
}

TEST_F(TlsTest, OldProtocolIsRefused) {
  const Identity leaf("ignored", "DNS:table.test", &ca_);
  TlsServer old(leaf, TLS1_1_VERSION);
  EXPECT_FALSE(call(old.port(), "table.test", ca_.pem()).ok());
  TlsServer twelve(leaf, TLS1_2_VERSION);
  EXPECT_TRUE(call(twelve.port(), "table.test", ca_.pem()).ok());
}

TEST_F(TlsTest, UnusableCertificatesAreNamedAtPreparation) {
  ClientOptions options;
  options.ca_file = "/nonexistent/ca.pem";
  Client client(options, resolver_);
  const auto prepared = client.prepare_tls();
  ASSERT_FALSE(prepared.ok());
  EXPECT_NE(prepared.error().message.find("/nonexistent/ca.pem"), std::string::npos);
  EXPECT_FALSE(prepared.error().retriable);
  ClientOptions text;
  text.ca_pem = "not a certificate";
  EXPECT_FALSE(Client(text, resolver_).prepare_tls().ok());
}

}  // namespace
}  // namespace culvert::http
