# SPDX-License-Identifier: Apache-2.0
"""Who calls, and whether the role's applied policies let them, judged by code that shares nothing with culvert's.

Flow    Applied -> [Identities] -> programs.py (keys for each role), services.py (who signed this, may they).
Owner   keys are made at random for each twin and live in its folder alone.
Bounds  Signature Version 4 in the header and in a query string; Allow and Deny statements with actions and resources.
        A statement with a condition counts as if it held, since only KMS uses them here, which nobody calls.
See     https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import base64
import dataclasses
import datetime
import fnmatch
import hashlib
import hmac
import json
import secrets
import urllib.parse

EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
CLOCK_SKEW_MOST = datetime.timedelta(minutes=5)
# What the real service takes: a token lives for 15 minutes.
TOKEN_SECONDS_MOST = 900


class Refused(Exception):
    """The caller is not who it says, or may not do what it asks; `code` is AWS's name for it."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


@dataclasses.dataclass(frozen=True)
class Identity:
    role: str             # ARN
    access_key: str
    secret_key: str
    statements: tuple     # of its policies, as JSON texts

    def allows(self, action, resource):
        """Whether the role's policies let it; an explicit denial wins."""
        verdicts = {s["Effect"] for s in map(json.loads, self.statements)
                    if _matches(s["Action"], action, fold=True) and _matches(s["Resource"], resource)}
        return verdicts == {"Allow"}

    def resources_of(self, action):
        """The resources on which the role may do this."""
        return sorted({resource for s in map(json.loads, self.statements)
                       if s["Effect"] == "Allow" and _matches(s["Action"], action, fold=True)
                       for resource in _listed(s["Resource"])})


def _listed(x):
    return x if isinstance(x, list) else [x]


def _matches(patterns, text, fold=False):
    return any(fnmatch.fnmatchcase(text.lower() if fold else text, (p.lower() if fold else p).replace("[", "[[]"))
               for p in _listed(patterns))


def identities_of(applied, keys):
    """One identity per applied role; `keys` (role ARN -> pair) keeps what earlier calls have made."""
    result = []
    for role in applied.of_type("aws_iam_role"):
        statements = [json.dumps(s) for policy in applied.all("aws_iam_role_policy", role=role["name"], )
                      if policy.root == role.root for s in _listed(json.loads(policy["policy"])["Statement"])]
        if role["arn"] not in keys:
            keys[role["arn"]] = (f"ASIATWIN{secrets.token_hex(6).upper()}", secrets.token_urlsafe(30))
        result.append(Identity(role["arn"], *keys[role["arn"]], tuple(statements)))
    return result


# ---- Signature Version 4 ----

def _hmac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _quote(text):
    return urllib.parse.quote(text, safe="-_.~")


def _signature(identity, scope, amz_date, canonical):
    date, region, service, _ = scope.split("/")
    key = _hmac(_hmac(_hmac(_hmac(b"AWS4" + identity.secret_key.encode(), date), region), service), "aws4_request")
    text = "\n".join(["AWS4-HMAC-SHA256", amz_date, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


class Identities:
    def __init__(self, identities, now=lambda: datetime.datetime.now(datetime.timezone.utc)):
        self._by_key = {i.access_key: i for i in identities}
        self._now = now

    def of_role(self, arn):
        return next((i for i in self._by_key.values() if i.role == arn), None)

    def _identity(self, credential):
        access_key, _, scope = credential.partition("/")
        if access_key not in self._by_key:
            raise Refused("UnrecognizedClientException", "The security token included in the request is invalid.")
        if len(scope.split("/")) != 4:
            raise Refused("IncompleteSignatureException", f"credential scope {scope!r}")
        return self._by_key[access_key], scope

    def _check_date(self, amz_date, scope, valid=CLOCK_SKEW_MOST):
        try:
            then = datetime.datetime.strptime(amz_date, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
        except ValueError as error:
            raise Refused("IncompleteSignatureException", str(error)) from error
        now = self._now()
        if not now - valid <= then <= now + CLOCK_SKEW_MOST or not amz_date.startswith(scope.split("/")[0]):
            raise Refused("InvalidSignatureException",
                          f"Signature expired: {amz_date} is not now ({now:%Y%m%dT%H%M%SZ})")

    def of_request(self, method, target, headers, body):
        """The identity that signed an HTTP request in its Authorization header; headers have lower-case names."""
        form, _, rest = headers.get("authorization", "").partition(" ")
        parts = dict(p.strip().split("=", 1) for p in rest.split(",") if "=" in p)
        if form != "AWS4-HMAC-SHA256" or not {"Credential", "SignedHeaders", "Signature"} <= set(parts):
            raise Refused("MissingAuthenticationTokenException", "Request is missing Authentication Token")
        identity, scope = self._identity(parts["Credential"])
        amz_date = headers.get("x-amz-date", "")
        self._check_date(amz_date, scope)
        path, _, query = target.partition("?")
        names = parts["SignedHeaders"].split(";")
        if "host" not in names:
            raise Refused("IncompleteSignatureException", "the host is not signed")
        pairs = sorted((_quote(k), _quote(v)) for k, v in urllib.parse.parse_qsl(query, keep_blank_values=True))
        canonical = "\n".join([
            method, urllib.parse.quote(path, safe="/-_.~"), "&".join(f"{k}={v}" for k, v in pairs),
            *(f"{n}:{' '.join(headers.get(n, '').split())}" for n in names), "", ";".join(names),
            hashlib.sha256(body).hexdigest()])
        if not hmac.compare_digest(_signature(identity, scope, amz_date, canonical), parts["Signature"]):
            raise Refused("InvalidSignatureException", "The request signature we calculated does not match the "
                          "signature you provided.")
        return identity

    def of_token(self, token, region):
        """The identity behind a broker's bearer token: a presigned request to connect."""
        try:
            text = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
        except (ValueError, UnicodeDecodeError) as error:
            raise Refused("InvalidToken", f"not base64url: {error}") from error
        url = urllib.parse.urlsplit(text)
        host = f"kafka.{region}.amazonaws.com"
        pairs = urllib.parse.parse_qsl(url.query, keep_blank_values=True)
        values = dict(pairs)
        if url.scheme != "https" or url.netloc != host or values.get("Action") != "kafka-cluster:Connect":
            raise Refused("InvalidToken", f"not a request of {host} to connect")
        identity, scope = self._identity(values.get("X-Amz-Credential", ""))
        if scope.split("/")[1:] != [region, "kafka-cluster", "aws4_request"]:
            raise Refused("InvalidToken", f"made for {scope}")
        lifetime = int(values.get("X-Amz-Expires", "0"))
        if not 0 < lifetime <= TOKEN_SECONDS_MOST:
            raise Refused("InvalidToken", f"lives for {lifetime} seconds")
        self._check_date(values.get("X-Amz-Date", ""), scope, datetime.timedelta(seconds=lifetime))
        signed = sorted((_quote(k), _quote(v)) for k, v in pairs if k not in ("X-Amz-Signature", "User-Agent"))
        canonical = "\n".join(["GET", url.path or "/", "&".join(f"{k}={v}" for k, v in signed), f"host:{host}", "",
                               "host", EMPTY_SHA256])
        expected = _signature(identity, scope, values["X-Amz-Date"], canonical)
        if not hmac.compare_digest(expected, values.get("X-Amz-Signature", "")):
            raise Refused("InvalidToken", "the signature does not match")
        return identity
