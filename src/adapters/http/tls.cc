// SPDX-License-Identifier: Apache-2.0
#include "adapters/http/tls.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "adapters/http/address.h"

namespace culvert::http {

namespace {

// Where distributions keep their bundle; OpenSSL's built-in path is that of the distribution it was built for, which
// is not the one a static program runs on.
constexpr std::array<const char*, 4> kBundles{"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
                                              "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "/etc/ssl/cert.pem"};

std::string openssl_errors() {
  std::string text;
  while (const unsigned long code = ERR_get_error()) {
    std::array<char, 256> buffer{};
    ERR_error_string_n(code, buffer.data(), buffer.size());
    text += (text.empty() ? "" : "; ") + std::string(buffer.data());
  }
  return text.empty() ? "unknown OpenSSL error" : text;
}

Error bad_certificates(const std::string& where) {
  return Error::fatal(ErrorKind::kConfiguration,
                      fmt::format("CA certificates: cannot read {}: {}", where, openssl_errors()));
}

Result<void> add_pem(SSL_CTX* context, const std::string& pem) {
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  const std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())),
                                                      &BIO_free);
  int added = 0;
  while (X509* certificate = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
    const bool ok = X509_STORE_add_cert(store, certificate) == 1;
    X509_free(certificate);
    if (!ok) return bad_certificates("the built-in ones");
    ++added;
  }
  ERR_clear_error();  // the loop ends with "no start line"
  if (added == 0) return bad_certificates("the built-in ones");
  return {};
}

Result<void> add_authorities(SSL_CTX* context, const std::string& ca_file, const std::string& ca_pem) {
  std::string file = ca_file;
  if (file.empty() && !ca_pem.empty()) return add_pem(context, ca_pem);
  if (file.empty()) {
    if (const char* named = std::getenv("SSL_CERT_FILE"); named != nullptr) file = named;
  }
  for (const char* bundle : kBundles) {
    if (file.empty() && ::access(bundle, R_OK) == 0) file = bundle;
  }
  if (file.empty()) {
    return Error::fatal(ErrorKind::kConfiguration,
                        "CA certificates: none found on this system (install ca-certificates, or name a PEM file)");
  }
  if (SSL_CTX_load_verify_file(context, file.c_str()) != 1) return bad_certificates(fmt::format("'{}'", file));
  return {};
}

}  // namespace

IoResult TlsStream::result(int returned, std::size_t bytes) {
  if (returned == 1) return {IoStatus::kDone, bytes, {}};
  const int saved_errno = errno;
  switch (SSL_get_error(ssl_.get(), returned)) {
    case SSL_ERROR_WANT_READ:
      return {IoStatus::kWantRead, 0, {}};
    case SSL_ERROR_WANT_WRITE:
      return {IoStatus::kWantWrite, 0, {}};
    case SSL_ERROR_ZERO_RETURN:
      return {IoStatus::kEnd, 0, {}};
    case SSL_ERROR_SYSCALL:
      ERR_clear_error();
      return {IoStatus::kFailed, 0, saved_errno == 0 ? "connection cut" : std::strerror(saved_errno)};
    default:
      break;
  }
  const long verified = SSL_get_verify_result(ssl_.get());
  if (verified != X509_V_OK) {
    ERR_clear_error();
    return {IoStatus::kFailed, 0, fmt::format("certificate refused: {}", X509_verify_cert_error_string(verified))};
  }
  return {IoStatus::kFailed, 0, openssl_errors()};
}

IoResult TlsStream::handshake() {
  ERR_clear_error();
  errno = 0;
  return result(SSL_connect(ssl_.get()), 0);
}

IoResult TlsStream::read(std::span<char> into) {
  ERR_clear_error();
  errno = 0;
  std::size_t bytes = 0;
  const int returned = SSL_read_ex(ssl_.get(), into.data(), into.size(), &bytes);
  return result(returned, bytes);
}

IoResult TlsStream::write(std::span<const char> from) {
  ERR_clear_error();
  errno = 0;
  std::size_t bytes = 0;
  const int returned = SSL_write_ex(ssl_.get(), from.data(), from.size(), &bytes);
  return result(returned, bytes);
}

Result<std::unique_ptr<TlsContext>> TlsContext::make(const std::string& ca_file, const std::string& ca_pem) {
  std::unique_ptr<TlsContext> context(new TlsContext(SSL_CTX_new(TLS_client_method())));
  SSL_CTX* raw = context->context_.get();
  if (raw == nullptr) return Error::fatal(ErrorKind::kInternal, "TLS: no context: " + openssl_errors());
  if (SSL_CTX_set_min_proto_version(raw, TLS1_2_VERSION) != 1) {
    return Error::fatal(ErrorKind::kInternal, "TLS: version 1.2 cannot be demanded: " + openssl_errors());
  }
  SSL_CTX_set_verify(raw, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_mode(raw, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  if (auto added = add_authorities(raw, ca_file, ca_pem); !added) return added.error();
  return context;
}

std::optional<TlsStream> TlsContext::connect(int fd, const std::string& host) {
  SSL* ssl = SSL_new(context_.get());
  if (ssl == nullptr) return std::nullopt;
  TlsStream stream(ssl);
  bool ok = SSL_set_fd(ssl, fd) == 1;
  if (Address::parse(host)) {
    ok = ok && X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str()) == 1;
  } else {
    const std::string name = host.ends_with('.') ? host.substr(0, host.size() - 1) : host;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    ok = ok && SSL_set1_host(ssl, name.c_str()) == 1;
    // The macro SSL_set_tlsext_host_name casts constness away, which -Wcast-qual refuses.
    std::string server_name = name;
    ok = ok && SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, server_name.data()) == 1;
  }
  if (!ok) return std::nullopt;
  SSL_set_connect_state(ssl);
  return stream;
}

}  // namespace culvert::http
