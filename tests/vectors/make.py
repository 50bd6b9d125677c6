#!/usr/bin/env python3
"""Writes the vectors: for each profile what a delivery has to be, byte for byte.

Nothing of Hookpost is used here. The rules are those of the documents, written out once more by hand, so that a
mistake would have to be made twice. `ecmascript` bodies are printed by Node itself.

    python3 tests/vectors/make.py
"""

import base64
import datetime
import hashlib
import hmac
import json
import pathlib
import subprocess

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # pip install cryptography
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

DELIVERY = "dlv_01KF0AMQ00000000000000000G"
GENERATED = "whsec_" + base64.b64encode(bytes(range(32))).decode()


def hexmac(secret, text):
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def standard_key(secret):
    if secret.startswith("whsec_") and len(secret) > 6:
        try:
            return base64.b64decode(secret[6:], validate=True)
        except ValueError:
            pass
    return secret.encode()


def standard(case, body):
    content = f"{case['event']['id']}.{case['at']}.{body}".encode()

    def one(secret):
        mac = hmac.new(standard_key(secret), content, hashlib.sha256)
        return "v1," + base64.b64encode(mac.digest()).decode()

    secrets = [case["secret"]] + ([case["old_secret"]] if "old_secret" in case else [])
    return {
        "webhook-id": case["event"]["id"],
        "webhook-timestamp": str(case["at"]),
        "webhook-signature": " ".join(one(secret) for secret in secrets),
    }


def seconds(event):
    """Whole seconds: fractions are dropped, the zone is Z."""
    moment = datetime.datetime.fromisoformat(event["created_at"].replace("Z", "+00:00"))
    return int(moment.timestamp() // 1)


def rfc3339(event):
    moment = datetime.datetime.fromtimestamp(seconds(event), datetime.timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def node(text):
    run = ["node", "-e", "process.stdout.write(JSON.stringify(JSON.parse(process.argv[1])))", text]
    return subprocess.run(run, check=True, capture_output=True).stdout.decode()


def one_secret(case):
    """What signs a header that carries one signature: the old secret while there is one."""
    return case.get("old_secret", case["secret"])


def generic(case, e):
    previous = e.get("previous_data", "null")
    body = f'{{"id":"{e["id"]}","type":"{e["type"]}","created_at":"{rfc3339(e)}","data":{e["data"]},"previous_data":{previous}}}'
    return body, {"X-Webhook-Signature": hexmac(one_secret(case), body)}


def irisync(case, e):
    test = ',"test":true' if e.get("test") else ""
    body = f'{{"id":"{e["id"]}","type":"{e["type"]}","created":"{rfc3339(e)}","data":{e["data"]}{test}}}'
    return body, {
        "X-IriSync-Timestamp": str(case["at"]),
        "X-IriSync-Signature": hexmac(one_secret(case), f"{case['at']}.{body}"),
    }


def iverton(case, e):
    body = f'{{"id":"{e["id"]}","type":"{e["type"]}","created_at":"{rfc3339(e)}","data":{e["data"]}}}'
    return body, {"X-Iverton-Signature": "sha256=" + hexmac(one_secret(case), body)}


def socialsyncer(case, e):
    body = node(f'{{"event":"{e["type"]}","timestamp":"{rfc3339(e)}","data":{e["data"]}}}')
    mac = hexmac(one_secret(case), body)
    return body, {"X-SocialSyncerAPI-Signature": mac, "X-SocialAPI-Signature": mac}


def influship(case, e):
    body = node(f'{{"event":"{e["type"]}","timestamp":"{rfc3339(e)}","data":{e["data"]}}}')
    return body, {
        "X-Influship-Event": e["type"],
        "X-Influship-Signature": hexmac(one_secret(case), body),
    }


def standard_profile(case, e):
    return f'{{"type":"{e["type"]}","timestamp":"{rfc3339(e)}","data":{e["data"]}}}', {}


def github(case, e):
    return e["data"], {
        "X-GitHub-Event": e["type"],
        "X-GitHub-Delivery": DELIVERY,
        "X-Hub-Signature-256": "sha256=" + hexmac(one_secret(case), e["data"]),
    }


def stripe(case, e):
    body = f'{{"id":"{e["id"]}","object":"event","type":"{e["type"]}","created":{seconds(e)},"data":{e["data"]}}}'
    secrets = [case["secret"]] + ([case["old_secret"]] if "old_secret" in case else [])
    content = f"{case['at']}.{body}"
    macs = [f"v1={hexmac(secret, content)}" for secret in secrets]
    return body, {"Stripe-Signature": ",".join([f"t={case['at']}"] + macs)}


PROFILES = {
    "generic": generic,
    "irisync": irisync,
    "iverton": iverton,
    "socialsyncer": socialsyncer,
    "influship": influship,
    "standard": standard_profile,
    "github": github,
    "stripe": stripe,
}

ODD = (
    '{ "b" : 1.0, "a":[1e2,-0, 12345678901234567890123],"10":"\\u00e9\\/",\n\t"9":"\u00e9 \U0001f600 \\ud83d\\ude00",'
    '"b":{"x":1E400},"text":"<\\u0026> \\u2028 \u2028" }'
)

CASES = [
    {
        "title": "a plain event",
        "secret": "your_webhook_secret",
        "at": 1768471200,
        "event": {
            "id": "evt_123abc",
            "type": "content.published",
            "created_at": "2026-01-15T10:00:00Z",
            "data": '{"content_id":"cnt_456def","title":"New Blog Post","platforms":["twitter","linkedin"]}',
        },
    },
    {
        "title": "odd spelling, a fraction and another zone in the time, previous data, a secret that only looks like base64",
        "secret": "whsec_xxxxxxxxxxxxx",
        "at": 1768471260,
        "event": {
            "id": "my-own_ID",
            "type": "a",
            "created_at": "2023-06-15T16:30:00.999+02:00",
            "data": ODD,
            "previous_data": '{ "name":"Old Resource Name" }',
        },
    },
    {
        "title": "a test event during a rotation",
        "secret": GENERATED,
        "old_secret": "~ with spaces & signs \"'",
        "at": 1768471199,
        "event": {
            "id": "evt_01KF0AMQ00000000000000000G",
            "type": "user.subscribed",
            "created_at": "1999-12-31T23:59:59Z",
            "data": "null",
            "test": True,
        },
    },
]


# Seeds of the key pair and of the one before the rotation.
SEED, OLD_SEED = bytes(range(32)), bytes(range(32, 64))


def ed25519(case):
    """The two headers of a `standard` delivery that is signed by Ed25519 alone, and beside HMAC."""
    body, _ = standard_profile(case, case["event"])
    content = f"{case['event']['id']}.{case['at']}.{body}".encode()
    seeds = [SEED] + ([OLD_SEED] if "old_secret" in case else [])
    keys = [Ed25519PrivateKey.from_private_bytes(seed) for seed in seeds]
    alone = " ".join("v1a," + base64.b64encode(key.sign(content)).decode() for key in keys)
    public = keys[0].public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return case | {
        "seed": SEED.hex(),
        "old_seed": OLD_SEED.hex(),
        "delivery_id": DELIVERY,
        "expected": {
            "public_key": "whpk_" + base64.b64encode(public).decode(),
            "ed25519": alone,
            "both": standard(case, body)["webhook-signature"] + " " + alone,
        },
    }


def main():
    write("signing/ed25519", [ed25519(case) for case in CASES])
    for name, compose in PROFILES.items():
        cases = []
        for case in CASES:
            body, headers = compose(case, case["event"])
            headers |= standard(case, body)
            cases.append(case | {"delivery_id": DELIVERY, "expected": {"headers": headers, "body": body}})
        write(name, cases)


def write(name, cases):
    path = pathlib.Path(__file__).parent / f"{name}.json"
    path.write_text(json.dumps(cases, indent=2, ensure_ascii=True) + "\n")


if __name__ == "__main__":
    main()
