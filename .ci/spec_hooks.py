"""Changes each request just before it is sent, for rules that a JSON Schema cannot express.

A request that is meant to be valid becomes valid, and none makes the server call another machine. A request that is
meant to be invalid stays invalid.
"""

import json
import os
import re
import uuid
from datetime import datetime, timezone
from urllib.parse import quote

import schemathesis
from hypothesis import strategies as st

schemathesis.openapi.format(
    "date-time",
    st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(9998, 1, 1)).map(
        lambda time: time.replace(tzinfo=timezone.utc).isoformat().replace("+00:00", "Z")
    ),
)


def point_nowhere(url):
    """Returns the URL with a host that never resolves (RFC 2606), within the limit for an encoded URL."""
    pointed = re.sub(
        r"^([Hh][Tt][Tt][Pp])[Ss]?://[^\s\\#/?]+(?=[/?]|$)",
        r"\1s://receiver.invalid",
        url,
    )
    if len(url) <= 2048:
        while len(quote(pointed, safe="")) > 2048:
            pointed = pointed[: len(pointed) // 2]
    return pointed


def make_valid(body, path_parameters):
    if not isinstance(body, dict):
        return
    if isinstance(body.get("url"), str):
        body["url"] = point_nowhere(body["url"])
    auth = body.get("auth")
    if isinstance(auth, dict):
        if isinstance(auth.get("token_url"), str):
            auth["token_url"] = point_nowhere(auth["token_url"])
        # A mask from a response stands for a stored secret, which a new webhook does not have.
        for field in ("password", "token", "client_secret"):
            if isinstance(auth.get(field), str) and "\u2022" in auth[field]:
                auth[field] = "secret"
        # Authentication sets this header.
        headers = body.get("headers")
        if isinstance(headers, dict):
            for name in [name for name in headers if isinstance(name, str) and name.lower() == "authorization"]:
                del headers[name]
    headers = body.get("headers")
    if isinstance(headers, dict):
        for name in [name for name, value in headers.items() if isinstance(value, str) and "\u2022" in value]:
            del headers[name]
    # Without braces, any text is a template.
    if isinstance(body.get("template"), str):
        body["template"] = body["template"].replace("{", "[")
    # Reserved for events of Hookpost itself.
    if body.get("tenant") == "hookpost":
        body["tenant"] = "acme"
    for field in ("type", "event_type", "event"):
        if isinstance(body.get(field), str) and re.match(r"hookpost(\.|$)", body[field]):
            body[field] = "content" + body[field][8:]
    # A well-formed name must be that of an existing profile.
    for field in ("profile", "based_on"):
        if isinstance(body.get(field), str) and re.fullmatch("[a-z0-9_-]{1,64}", body[field]):
            body[field] = "generic"
    make_valid(body.get("profile"), {})
    retry = body.get("retry")
    # What it leaves out is that of the profile or of the stored webhook, which may count from the first failure.
    if isinstance(retry, dict):
        delays = retry.get("delays_s")
        if isinstance(delays, list) and all(isinstance(delay, (int, float)) and not isinstance(delay, bool) for delay in delays):
            delays.sort()
    # Ed25519 signatures are in a standard header, of the stored webhook too.
    if body.get("standard_headers") is False and body.get("signing") in (None, "ed25519", "both"):
        body["signing"] = "hmac"
    elif body.get("signing") in ("ed25519", "both") and body.get("standard_headers") is None:
        body["standard_headers"] = True
    # Certificates and keys must be such.
    tls = body.get("tls")
    if isinstance(tls, dict):
        for field in ("client_certificate", "client_key", "ca"):
            if isinstance(tls.get(field), str) and len(tls[field]) <= 65536:
                tls[field] = None
    # The time range must not be empty.
    since, until = body.get("since"), body.get("until")
    if isinstance(since, str) and isinstance(until, str) and until <= since:
        del body["until"]
    # The rules of operators in filters.
    names = {"type", "tenant", "id", "data", "previous_data", "$or", "$and", "$not"}
    filter_ = body.get("filter")
    if isinstance(filter_, dict) and set(filter_) <= names and all(
        isinstance(filter_[name], list) and filter_[name] for name in {"$or", "$and"} & set(filter_)
    ):
        body["filter"] = {"type": {"$exist": True}}
    # A key must end in the future.
    ends = body.get("expires_at")
    if isinstance(ends, str) and re.fullmatch(r"20[0-2][0-9]-.*Z|(19|1[0-8])[0-9]{2}-.*Z|[01][0-9]{3}-.*Z", ends):
        body["expires_at"] = "9000" + ends[4:]
    # The name in the body must equal the one in the path.
    if isinstance(body.get("name"), str) and isinstance(path_parameters.get("name"), str):
        body["name"] = path_parameters["name"]
    if "external_id" in body and isinstance(path_parameters.get("external_id"), str):
        body["external_id"] = path_parameters["external_id"]
    # JSON Schema has a specification of its own, and the schema of an event type makes publishing fail.
    if isinstance(body.get("schema"), (dict, bool)):
        body["schema"] = {}


@schemathesis.hook
def before_call(context, case, kwargs):
    bodies = case.body if isinstance(case.body, list) else [case.body]
    for body in bodies:
        make_valid(body, case.path_parameters or {})
    # Versions that no resource has would only be refused, or cost the body of a response.
    for name in [name for name in case.headers or {} if name.lower() in ("if-match", "if-none-match")]:
        del case.headers[name]
    # A key that was used for another call would be refused.
    for name in [name for name in case.headers or {} if name.lower() == "idempotency-key"]:
        if re.fullmatch("[ -~]{1,255}", str(case.headers[name])):
            case.headers[name] = uuid.uuid4().hex
    # A cursor is of one list, and a place to go on from that of an event. Waiting for one takes its time.
    query = case.query or {}
    for name in ("cursor", "after"):
        if re.fullmatch("[A-Za-z0-9_-]{1,128}", str(query.get(name, ""))):
            del query[name]
    if re.fullmatch("[0-9]{1,2}", str(query.get("wait_s", ""))) and int(query["wait_s"]) <= 60:
        query["wait_s"] = "1"
    # The feed of events has all of them in one order, and a search goes back from the newest.
    is_feed = "wait_s" in query or "after" in query
    if is_feed and len(str(query.get("q", ""))) <= 200:
        query.pop("q", None)
    if (is_feed or "q" in query) and query.get("order") in ("asc", "desc"):
        del query["order"]
    # A key for all tenants has to name the tenant.
    if case.method == "DELETE" and case.path == "/v1/portal-links" and not (case.query or {}).get("tenant"):
        case.query = {**(case.query or {}), "tenant": "default"}
    # The name of a tenant must be repeated to delete it. The other tests need this one.
    if case.method == "DELETE" and case.path == "/v1/tenants/{tenant}":
        tenant = (case.path_parameters or {}).get("tenant")
        if str((case.query or {}).get("dry_run", "false")).lower() == "false":
            name, value = ("dry_run", "true") if tenant == "default" else ("confirm", tenant)
            case.query = {**(case.query or {}), name: value}
    # The tests themselves use this key.
    if case.method == "DELETE" and (case.path_parameters or {}).get("id") == os.environ.get("SCHEMATHESIS_KEY_ID"):
        case.path_parameters["id"] = "key_00000000000000000000000000"


@schemathesis.serializer("application/x-ndjson")
def lines(context, value):
    elements = value if isinstance(value, list) else [value]
    return "\n".join(json.dumps(element) for element in elements).encode()


@schemathesis.deserializer("application/x-ndjson")
def read_lines(context, response):
    return [json.loads(line) for line in response.content.splitlines()]


@schemathesis.deserializer("application/vnd.sqlite3")
def read_bytes(context, response):
    return len(response.content)


@schemathesis.check
def error_codes(context, response, case):
    """The code of an error is one that the specification lists for its status."""
    if response.status_code < 400 or "json" not in response.headers.get("content-type", [""])[0]:
        return
    described = case.operation.definition.raw["responses"].get(str(response.status_code), {})
    if "$ref" in described:
        name = described["$ref"].rsplit("/", 1)[-1]
        described = case.operation.schema.raw_schema["components"]["responses"][name]
    listed = described.get("x-error-codes")
    code = response.json()["code"]
    if listed is not None and code not in listed:
        raise AssertionError(f"{response.status_code} with the code {code}, which is not listed")
