// SPDX-License-Identifier: Apache-2.0
#include "adapters/probe/tls_probe.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <utility>

namespace culvert::probe {

namespace {

using ContextPtr = std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)>;
using SslPtr = std::unique_ptr<SSL, decltype(&SSL_free)>;
using BioPtr = std::unique_ptr<BIO, decltype(&BIO_free)>;
using CertificatePtr = std::unique_ptr<X509, decltype(&X509_free)>;

std::string last_error() {
  std::string text;
  while (const unsigned long code = ERR_get_error()) {
    const char* reason = ERR_reason_error_string(code);
    if (text.empty() && reason != nullptr) text = reason;
  }
  return text;
}

Error bad_property(std::string_view property, std::string_view value) {
  const std::string why = last_error();
  return Error::fatal(ErrorKind::kConfiguration,
                      fmt::format("{}: cannot use {}: {} (check path, permission and format)", property, value,
                                  why.empty() ? "not what is expected" : why));
}

// The certificate's own faults, in the order in which they appear; verification always goes on.
struct Verdicts {
  std::vector<int> codes;
};

int verdicts_index() {
  static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

int note_and_go_on(int ok, X509_STORE_CTX* store) {
  if (ok == 1) return 1;
  auto* ssl = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto* verdicts = static_cast<Verdicts*>(SSL_get_ex_data(ssl, verdicts_index()));
  if (verdicts->codes.size() < 16) verdicts->codes.push_back(X509_STORE_CTX_get_error(store));
  return 1;
}

std::string name_text(const X509_NAME* name) {
  const BioPtr bio(BIO_new(BIO_s_mem()), &BIO_free);
  X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
  char* data = nullptr;
  const long bytes = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(std::max(bytes, 0L))};
}

std::chrono::sys_seconds time_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return {};
  return std::chrono::sys_seconds{std::chrono::seconds{::timegm(&parts)}};
}

std::vector<std::string> alternative_names(const X509* certificate) {
  std::vector<std::string> names;
  auto* list = static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(list); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(list, i);
    if (name->type == GEN_DNS) {
      const auto* data = ASN1_STRING_get0_data(name->d.dNSName);
      names.emplace_back(reinterpret_cast<const char*>(data),
                         static_cast<std::size_t>(ASN1_STRING_length(name->d.dNSName)));
    } else if (name->type == GEN_IPADD) {
      const auto* data = ASN1_STRING_get0_data(name->d.iPAddress);
      const auto bytes = static_cast<std::size_t>(ASN1_STRING_length(name->d.iPAddress));
      http::Address address;
      address.family = bytes == 4 ? http::AddressFamily::kV4 : http::AddressFamily::kV6;
      if (bytes > address.bytes.size()) continue;
      std::copy(data, data + bytes, address.bytes.begin());
      names.push_back(address.text());
    }
  }
  GENERAL_NAMES_free(list);
  return names;
}

CertificateFacts facts_of(const X509* certificate) {
  return CertificateFacts{name_text(X509_get_subject_name(certificate)), name_text(X509_get_issuer_name(certificate)),
                          alternative_names(certificate), time_of(X509_get0_notBefore(certificate)),
                          time_of(X509_get0_notAfter(certificate))};
}

bool carries_name(X509* certificate, const std::string& host) {
  if (http::Address::parse(host)) return X509_check_ip_asc(certificate, host.c_str(), 0) == 1;
  return X509_check_host(certificate, host.c_str(), host.size(), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, nullptr) == 1;
}

// What a client would have refused first matters most: an unknown authority makes every other statement worthless.
void judge_certificate(X509* certificate, const Verdicts& verdicts, const std::string& host, TlsReport& report) {
  report.certificate = facts_of(certificate);
  report.fault = carries_name(certificate, host) ? TlsFault::kNone : TlsFault::kWrongName;
  for (const int code : verdicts.codes) {
    if (code == X509_V_ERR_CERT_HAS_EXPIRED) {
      report.fault = TlsFault::kExpired;
    } else if (code == X509_V_ERR_CERT_NOT_YET_VALID) {
      report.fault = TlsFault::kNotYetValid;
    } else if (report.fault != TlsFault::kExpired && report.fault != TlsFault::kNotYetValid) {
      report.fault = TlsFault::kUnknownAuthority;
    }
    report.detail += fmt::format("{}{}", report.detail.empty() ? "" : "; ", X509_verify_cert_error_string(code));
  }
}

constexpr int kAlertMissingCertificate = 1116;  // SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED

bool about_our_certificate(int reason) {
  return reason == kAlertMissingCertificate || reason == SSL_R_SSLV3_ALERT_BAD_CERTIFICATE ||
         reason == SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN || reason == SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED ||
         reason == SSL_R_TLSV1_ALERT_UNKNOWN_CA || reason == SSL_R_TLSV1_ALERT_ACCESS_DENIED ||
         reason == SSL_R_SSLV3_ALERT_NO_CERTIFICATE || reason == SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED;
}

TlsFault fault_of_reason(int reason) {
  if (about_our_certificate(reason)) return TlsFault::kClientCertificate;
  switch (reason) {
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_HTTP_REQUEST:
    case SSL_R_BAD_PACKET_LENGTH:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
    case SSL_R_RECORD_LENGTH_MISMATCH:
      return TlsFault::kNotTls;
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
    case SSL_R_TLSV1_ALERT_INSUFFICIENT_SECURITY:
      return TlsFault::kNoCommonVersion;
    case SSL_R_UNEXPECTED_EOF_WHILE_READING:
      return TlsFault::kClosed;
    default:
      return TlsFault::kOther;
  }
}

class TlsByteStream final : public ByteStream {
 public:
  TlsByteStream(SslPtr ssl, std::unique_ptr<Verdicts> verdicts, int fd)
      : verdicts_(std::move(verdicts)), ssl_(std::move(ssl)), fd_(fd) {}

  IoOutcome write(std::span<const std::uint8_t> bytes, Deadline until) override {
    std::size_t done = 0;
    while (done < bytes.size()) {
      ERR_clear_error();
      std::size_t moved = 0;
      const int returned = SSL_write_ex(ssl_.get(), bytes.data() + done, bytes.size() - done, &moved);
      done += returned == 1 ? moved : 0;
      if (returned == 1) continue;
      if (auto ended = end_of(returned, done, until)) return *ended;
    }
    return {IoEnd::kDone, done, {}};
  }

  IoOutcome read(std::span<std::uint8_t> bytes, Deadline until) override {
    std::size_t done = 0;
    while (done < bytes.size()) {
      ERR_clear_error();
      std::size_t moved = 0;
      const int returned = SSL_read_ex(ssl_.get(), bytes.data() + done, bytes.size() - done, &moved);
      done += returned == 1 ? moved : 0;
      if (returned == 1) continue;
      if (auto ended = end_of(returned, done, until)) return *ended;
    }
    return {IoEnd::kDone, done, {}};
  }

 private:
  // nullopt: try again.
  std::optional<IoOutcome> end_of(int returned, std::size_t done, Deadline until) const {
    const int system_error = errno;
    const int error = SSL_get_error(ssl_.get(), returned);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
      const short events = error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
      return wait_for(fd_, events, until) ? std::nullopt : std::optional(IoOutcome{IoEnd::kTimedOut, done, {}});
    }
    if (error == SSL_ERROR_ZERO_RETURN) return IoOutcome{IoEnd::kEnd, done, "closed by the other side"};
    if (error == SSL_ERROR_SYSCALL) {
      return IoOutcome{IoEnd::kReset, done, system_error == 0 ? "connection cut" : std::strerror(system_error)};
    }
    const int reason = ERR_GET_REASON(ERR_peek_error());
    const std::string text = last_error();
    if (about_our_certificate(reason)) return IoOutcome{IoEnd::kAlert, done, text};
    return IoOutcome{reason == SSL_R_UNEXPECTED_EOF_WHILE_READING ? IoEnd::kEnd : IoEnd::kReset, done, text};
  }

  std::unique_ptr<Verdicts> verdicts_;  // the session points to it
  SslPtr ssl_;
  int fd_;
};

class OpenSslClient final : public TlsClient {
 public:
  explicit OpenSslClient(ContextPtr context) : context_(std::move(context)) {}
  std::unique_ptr<ByteStream> handshake(const Socket& socket, const std::string& host, Deadline until,
                                        TlsReport& report) const override;
  std::string own_subject() const override {
    const X509* own = SSL_CTX_get0_certificate(context_.get());
    return own == nullptr ? std::string() : name_text(X509_get_subject_name(own));
  }

 private:
  ContextPtr context_;
};

Result<void> add_authorities(SSL_CTX* context, const TlsSettings& settings) {
  if (!settings.ca_pem.empty()) {
    const BioPtr bio(BIO_new_mem_buf(settings.ca_pem.data(), static_cast<int>(settings.ca_pem.size())), &BIO_free);
    int added = 0;
    while (true) {
      const CertificatePtr certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr), &X509_free);
      if (!certificate) break;
      added += X509_STORE_add_cert(SSL_CTX_get_cert_store(context), certificate.get()) == 1 ? 1 : 0;
    }
    if (added == 0) return bad_property("ssl.ca.pem", "the text");
    ERR_clear_error();  // the loop ends with "no start line"
    return {};
  }
  if (settings.ca_file.empty() || settings.ca_file == "probe") {
    SSL_CTX_set_default_verify_paths(context);
    return {};
  }
  struct stat entry {};
  const bool folder = ::stat(settings.ca_file.c_str(), &entry) == 0 && S_ISDIR(entry.st_mode);
  const int loaded = folder ? SSL_CTX_load_verify_dir(context, settings.ca_file.c_str())
                            : SSL_CTX_load_verify_file(context, settings.ca_file.c_str());
  if (loaded != 1) return bad_property("ssl.ca.location", fmt::format("'{}'", settings.ca_file));
  return {};
}

int give_password(char* buffer, int size, int /*writing*/, void* password) {
  const auto* text = static_cast<const std::string*>(password);
  const auto bytes = std::min(static_cast<std::size_t>(size), text->size());
  std::copy_n(text->data(), bytes, buffer);  // OpenSSL wants no zero behind it
  return static_cast<int>(bytes);
}

// `settings` outlives the calls: the password is borrowed by OpenSSL only while the key is read.
Result<void> add_own_certificate(SSL_CTX* context, const TlsSettings& settings) {
  std::string password = settings.key_password;
  SSL_CTX_set_default_passwd_cb(context, give_password);
  SSL_CTX_set_default_passwd_cb_userdata(context, &password);
  Result<void> done;
  if (!settings.certificate_file.empty() &&
      SSL_CTX_use_certificate_chain_file(context, settings.certificate_file.c_str()) != 1) {
    done = bad_property("ssl.certificate.location", fmt::format("'{}'", settings.certificate_file));
  } else if (!settings.key_file.empty() &&
             SSL_CTX_use_PrivateKey_file(context, settings.key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
    done = bad_property("ssl.key.location", fmt::format("'{}'", settings.key_file));
  }
  if (done && !settings.certificate_pem.empty()) {
    const BioPtr bio(
        BIO_new_mem_buf(settings.certificate_pem.data(), static_cast<int>(settings.certificate_pem.size())), &BIO_free);
    const CertificatePtr certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr), &X509_free);
    if (!certificate || SSL_CTX_use_certificate(context, certificate.get()) != 1) {
      done = bad_property("ssl.certificate.pem", "the text");
    }
  }
  if (done && !settings.key_pem.empty()) {
    const BioPtr bio(BIO_new_mem_buf(settings.key_pem.data(), static_cast<int>(settings.key_pem.size())), &BIO_free);
    const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(
        PEM_read_bio_PrivateKey(bio.get(), nullptr, give_password, &password), &EVP_PKEY_free);
    if (!key || SSL_CTX_use_PrivateKey(context, key.get()) != 1) done = bad_property("ssl.key.pem", "the text");
  }
  SSL_CTX_set_default_passwd_cb(context, nullptr);
  SSL_CTX_set_default_passwd_cb_userdata(context, nullptr);
  return done;
}

Result<void> add_keystore(SSL_CTX* context, const TlsSettings& settings) {
  if (settings.keystore_file.empty()) return {};
  const BioPtr bio(BIO_new_file(settings.keystore_file.c_str(), "rb"), &BIO_free);
  const std::unique_ptr<PKCS12, decltype(&PKCS12_free)> store(bio ? d2i_PKCS12_bio(bio.get(), nullptr) : nullptr,
                                                              &PKCS12_free);
  EVP_PKEY* key = nullptr;
  X509* certificate = nullptr;
  bool ok = store && PKCS12_parse(store.get(), settings.keystore_password.c_str(), &key, &certificate, nullptr) == 1;
  ok = ok && certificate != nullptr && SSL_CTX_use_certificate(context, certificate) == 1 && key != nullptr &&
       SSL_CTX_use_PrivateKey(context, key) == 1;
  EVP_PKEY_free(key);
  X509_free(certificate);
  return ok ? Result<void>{} : bad_property("ssl.keystore.location", fmt::format("'{}'", settings.keystore_file));
}

// Errors of the handshake itself, for reports that have no better one.
void note_failure(SSL* ssl, int returned, TlsReport& report) {
  const int system_error = errno;
  const int error = SSL_get_error(ssl, returned);
  const int reason = ERR_GET_REASON(ERR_peek_error());
  report.detail = last_error();
  if (error == SSL_ERROR_SYSCALL) {
    report.fault = TlsFault::kClosed;
    report.detail = system_error == 0 ? "connection cut" : std::strerror(system_error);
  } else {
    report.fault = error == SSL_ERROR_ZERO_RETURN ? TlsFault::kClosed : fault_of_reason(reason);
  }
}

std::unique_ptr<ByteStream> OpenSslClient::handshake(const Socket& socket, const std::string& host, Deadline until,
                                                     TlsReport& report) const {
  SslPtr ssl(SSL_new(context_.get()), &SSL_free);
  auto verdicts = std::make_unique<Verdicts>();
  std::string server_name = host.ends_with('.') ? host.substr(0, host.size() - 1) : host;
  bool ready = ssl && SSL_set_ex_data(ssl.get(), verdicts_index(), verdicts.get()) == 1 &&
               SSL_set_fd(ssl.get(), socket.fd()) == 1;
  if (ready && !http::Address::parse(host)) {
    // The macro SSL_set_tlsext_host_name casts constness away, which -Wcast-qual refuses.
    ready = SSL_ctrl(ssl.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, server_name.data()) == 1;
  }
  if (!ready) {
    report.detail = last_error();
    return nullptr;
  }
  int returned = 0;
  while (true) {
    ERR_clear_error();
    errno = 0;
    returned = SSL_connect(ssl.get());
    if (returned == 1) break;
    const int error = SSL_get_error(ssl.get(), returned);
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) break;
    if (!wait_for(socket.fd(), error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, until)) {
      report.fault = TlsFault::kTimedOut;
      break;
    }
  }
  report.bytes_received = BIO_number_read(SSL_get_rbio(ssl.get()));
  if (returned != 1) {
    if (report.fault != TlsFault::kTimedOut) note_failure(ssl.get(), returned, report);
    return nullptr;
  }
  report.protocol = SSL_get_version(ssl.get());
  const CertificatePtr certificate(SSL_get1_peer_certificate(ssl.get()), &X509_free);
  if (certificate) judge_certificate(certificate.get(), *verdicts, server_name, report);
  return std::make_unique<TlsByteStream>(std::move(ssl), std::move(verdicts), socket.fd());
}

}  // namespace

Result<std::shared_ptr<TlsClient>> TlsClient::make(const TlsSettings& settings) {
  ContextPtr context(SSL_CTX_new(TLS_client_method()), &SSL_CTX_free);
  if (!context || SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION) != 1) {
    return Error::fatal(ErrorKind::kInternal, "TLS: no context: " + last_error());
  }
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, note_and_go_on);
  ERR_clear_error();
  if (auto added = add_authorities(context.get(), settings); !added) return added.error();
  if (auto added = add_own_certificate(context.get(), settings); !added) return added.error();
  if (auto added = add_keystore(context.get(), settings); !added) return added.error();
  return std::shared_ptr<TlsClient>(std::make_shared<OpenSslClient>(std::move(context)));
}

}  // namespace culvert::probe
