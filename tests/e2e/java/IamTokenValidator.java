// SPDX-License-Identifier: Apache-2.0
// The broker's side of IAM over SASL/OAUTHBEARER, as a managed cluster does it: the token is a presigned request, and
// it is verified by signing it anew.  Written apart from the program under test, with Java's own cryptography.
//
// Identities stand in the file that -Dculvert.iam.identities names, one a line:
//   access key, secret key, session token or -, end of life in Unix milliseconds, principal
// Every verdict is appended to the file that -Dculvert.iam.verdicts names: accepted KEY, or refused and why.
import java.io.IOException;
import java.net.URI;
import java.net.URLDecoder;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.time.Instant;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.Arrays;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import javax.security.auth.callback.Callback;
import javax.security.auth.callback.UnsupportedCallbackException;
import javax.security.auth.login.AppConfigurationEntry;
import org.apache.kafka.common.security.auth.AuthenticateCallbackHandler;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerToken;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallback;

public final class IamTokenValidator implements AuthenticateCallbackHandler {
  private static final DateTimeFormatter DATE = DateTimeFormatter.ofPattern("yyyyMMdd'T'HHmmss'Z'");
  private static final long CLOCK_SKEW_MS = 300_000;
  private static final Set<String> SIGNED =
      Set.of("Action", "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders",
          "X-Amz-Security-Token");

  private static final class Refused extends Exception {
    Refused(String why) {
      super(why);
    }
  }

  private record Identity(String accessKey, String secretKey, String sessionToken, long endMs, String principal) {}

  private record Token(String value, String principalName, long lifetimeMs) implements OAuthBearerToken {
    @Override
    public Set<String> scope() {
      return Set.of();
    }

    @Override
    public Long startTimeMs() {
      return null;
    }
  }

  @Override
  public void configure(Map<String, ?> configs, String mechanism, List<AppConfigurationEntry> entries) {}

  @Override
  public void close() {}

  @Override
  public void handle(Callback[] callbacks) throws IOException, UnsupportedCallbackException {
    for (Callback callback : callbacks) {
      if (!(callback instanceof OAuthBearerValidatorCallback validation)) {
        throw new UnsupportedCallbackException(callback);
      }
      try {
        validation.token(verify(validation.tokenValue()));
      } catch (Refused refused) {
        note("refused " + refused.getMessage());
        validation.error("invalid_token", null, null);
      } catch (GeneralSecurityException | IllegalArgumentException broken) {
        note("refused as unreadable: " + broken);
        validation.error("invalid_token", null, null);
      }
    }
  }

  private static Token verify(String text) throws Refused, IOException, GeneralSecurityException {
    URI uri = URI.create(new String(Base64.getUrlDecoder().decode(text), StandardCharsets.UTF_8));
    String region = System.getProperty("culvert.iam.region");
    String host = "kafka." + region + ".amazonaws.com";
    demand("https".equals(uri.getScheme()), "scheme " + uri.getScheme());
    demand(host.equals(uri.getHost()) && uri.getPort() == -1, "host " + uri.getHost());
    demand("/".equals(uri.getPath()), "path " + uri.getPath());
    demand(text.indexOf('=') < 0, "padding");

    Map<String, String> query = parameters(uri.getRawQuery());
    demand("kafka-cluster:Connect".equals(query.get("Action")), "action " + query.get("Action"));
    demand("AWS4-HMAC-SHA256".equals(query.get("X-Amz-Algorithm")), "algorithm");
    demand("host".equals(query.get("X-Amz-SignedHeaders")), "signed headers");
    demand("900".equals(query.get("X-Amz-Expires")), "expires " + query.get("X-Amz-Expires"));
    demand(query.containsKey("User-Agent"), "no user agent");

    String date = query.get("X-Amz-Date");
    String[] credential = query.get("X-Amz-Credential").split("/");
    demand(credential.length == 5, "credential");
    List<String> scope = List.of(date.substring(0, 8), region, "kafka-cluster", "aws4_request");
    demand(Arrays.asList(credential).subList(1, 5).equals(scope), "scope " + query.get("X-Amz-Credential"));

    Identity identity = find(credential[0]);
    long now = System.currentTimeMillis();
    long signedMs = LocalDateTime.parse(date, DATE).toInstant(ZoneOffset.UTC).toEpochMilli();
    long endMs = signedMs + 900_000;
    demand(signedMs < now + CLOCK_SKEW_MS, "signed in the future");
    demand(now < endMs, "expired token");
    demand(now < identity.endMs(), "credentials of " + identity.accessKey() + " have expired");
    demand(identity.sessionToken().equals(query.getOrDefault("X-Amz-Security-Token", "-")), "session token");

    String expected = signature(identity.secretKey(), host, date, String.join("/", scope), query);
    byte[] given = query.get("X-Amz-Signature").getBytes(StandardCharsets.US_ASCII);
    demand(MessageDigest.isEqual(expected.getBytes(StandardCharsets.US_ASCII), given), "signature");
    note("accepted " + identity.accessKey());
    return new Token(text, identity.principal(), Math.min(endMs, identity.endMs()));
  }

  private static Map<String, String> parameters(String query) throws Refused {
    Map<String, String> found = new TreeMap<>();
    boolean signatureSeen = false;
    for (String pair : query.split("&")) {
      int equals = pair.indexOf('=');
      demand(equals > 0, "query " + pair);
      String name = decode(pair.substring(0, equals));
      demand(found.put(name, decode(pair.substring(equals + 1))) == null, "twice " + name);
      demand(SIGNED.contains(name) != signatureSeen || name.equals("X-Amz-Signature"), "order of " + name);
      signatureSeen |= name.equals("X-Amz-Signature");
    }
    demand(signatureSeen, "no signature");
    return found;
  }

  private static String signature(String secret, String host, String date, String scope, Map<String, String> query)
      throws GeneralSecurityException {
    StringBuilder signed = new StringBuilder();
    for (Map.Entry<String, String> pair : query.entrySet()) {
      if (!SIGNED.contains(pair.getKey())) {
        continue;
      }
      signed.append(signed.isEmpty() ? "" : "&").append(encode(pair.getKey())).append('=').append(
          encode(pair.getValue()));
    }
    String emptyBody = HexFormat.of().formatHex(sha256(""));
    String request = String.join("\n", "GET", "/", signed.toString(), "host:" + host + "\n", "host", emptyBody);
    String toSign = String.join("\n", "AWS4-HMAC-SHA256", date, scope, HexFormat.of().formatHex(sha256(request)));
    byte[] key = ("AWS4" + secret).getBytes(StandardCharsets.UTF_8);
    for (String part : scope.split("/")) {
      key = hmac(key, part);
    }
    return HexFormat.of().formatHex(hmac(key, toSign));
  }

  private static Identity find(String accessKey) throws IOException, Refused {
    for (String line : Files.readAllLines(Path.of(System.getProperty("culvert.iam.identities")))) {
      String[] field = line.split(" ");
      if (field[0].equals(accessKey)) {
        return new Identity(field[0], field[1], field[2], Long.parseLong(field[3]), field[4]);
      }
    }
    throw new Refused("unknown access key " + accessKey);
  }

  private static byte[] sha256(String text) throws GeneralSecurityException {
    return MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8));
  }

  private static byte[] hmac(byte[] key, String text) throws GeneralSecurityException {
    Mac mac = Mac.getInstance("HmacSHA256");
    mac.init(new SecretKeySpec(key, "HmacSHA256"));
    return mac.doFinal(text.getBytes(StandardCharsets.UTF_8));
  }

  private static String encode(String text) {
    return URLEncoder.encode(text, StandardCharsets.UTF_8).replace("+", "%20").replace("*", "%2A").replace("%7E", "~");
  }

  private static String decode(String text) {
    return URLDecoder.decode(text.replace("+", "%2B"), StandardCharsets.UTF_8);
  }

  private static void demand(boolean holds, String otherwise) throws Refused {
    if (!holds) {
      throw new Refused(otherwise);
    }
  }

  private static synchronized void note(String verdict) throws IOException {
    String line = Instant.now() + " " + verdict + "\n";
    Files.writeString(Path.of(System.getProperty("culvert.iam.verdicts")), line, StandardOpenOption.CREATE,
        StandardOpenOption.APPEND);
  }
}
