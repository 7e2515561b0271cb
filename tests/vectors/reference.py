#!/usr/bin/env python3
"""Computes the vectors from SPEC.md alone, independently of the Rust code, with Python's standard library.

    reference.py --check            every vector beside this file: exits 1 and names each that differs
    reference.py --fill FILE...     writes the `expect` of the named vectors; refuses those with a published value

Not a library: slow, not in constant time, and it trusts the stored records of the vectors to be well formed.
"""
import calendar
import hashlib
import hmac as hmac_module
import ipaddress
import json
import re
import sys
import zlib
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class Failure(Exception):
    """A failure that the specification names."""

    def __init__(self, error, **more):
        super().__init__(error)
        self.outcome = {"error": error, **more}


class BrokenVector(Exception):
    """A vector that is not one: unknown or missing fields, impossible values."""


def hmac(key, message):
    return hmac_module.new(key, message, hashlib.sha256).digest()


def hkdf(ikm, salt, info, length):
    prk = hmac(salt or bytes(32), ikm)
    block, out, counter = b"", b"", 1
    while len(out) < length:
        block = hmac(prk, block + info + bytes([counter]))
        out, counter = out + block, counter + 1
    return out[:length]


def six_digits(number):
    text = ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        text = DIGITS[digit] + text
    return text


# 1. Key text

WORD = re.compile(r"[a-z][a-z0-9]{1,11}")
KEY = re.compile(r"([a-z][a-z0-9]{1,11})_([a-z][a-z0-9]{1,11})_([0-9A-Za-z]{16})_([0-9A-Za-z]{27})([0-9A-Za-z]{6})")


def check_digits(before):
    return six_digits(zlib.crc32(before.encode()))


def parse(text, brand=None):
    if not 56 <= len(text.encode()) <= 76:
        raise Failure("LENGTH")
    if not re.fullmatch(r"[0-9A-Za-z_]*", text):
        raise Failure("ALPHABET")
    match = KEY.fullmatch(text)
    if not match:
        raise Failure("STRUCTURE")
    if brand is not None and match[1] != brand:
        raise Failure("BRAND")
    if match[5] != check_digits(text[:-6]):
        raise Failure("CHECK")
    return {"brand": match[1], "environment": match[2], "id": match[3], "secret": match[4]}


def redacted(key):
    return f"{key['brand']}_{key['environment']}_{key['id']}_\u2026"


def secret_bytes(text):
    if not re.fullmatch(r"[0-9A-Fa-f]{64}", text):
        raise Failure("INVALID_SECRET")
    return bytes.fromhex(text)


def tag(tag_key, brand, environment, random):
    code = hmac(tag_key, f"{brand}_{environment}_{random}".encode())
    return six_digits(int.from_bytes(code[:8], "big") % 62**6)


def issued(key, tag_keys):
    random, presented = key["id"][:10], key["id"][10:]
    return any(tag(tag_key, key["brand"], key["environment"], random) == presented for tag_key in tag_keys)


def random_characters(count, blocks):
    text = ""
    while len(text) < count:
        if not blocks:
            raise BrokenVector("the random bytes do not suffice")
        text += "".join(DIGITS[byte & 63] for byte in blocks.pop(0) if byte & 63 < 62)
    return text[:count]


def generate(brand, environment, tag_key, random):
    for field, value in (("brand", brand), ("environment", environment)):
        if not WORD.fullmatch(value):
            raise Failure("INVALID_REQUEST", field=field)
    if len(random) % 64:
        raise BrokenVector("random bytes come in blocks of 64")
    blocks = [random[at:at + 64] for at in range(0, len(random), 64)]
    if tag_key is None:
        identity = random_characters(16, blocks)
    else:
        identity = random_characters(10, blocks)
        identity += tag(tag_key, brand, environment, identity)
    text = f"{brand}_{environment}_{identity}_{random_characters(27, blocks)}"
    if blocks:
        raise BrokenVector("random bytes are left over")
    return text + check_digits(text)


# 2. Root secret, subkeys, digests

LABELS = ("pepper", "session", "sealing", "audit", "identity", "name")


def subkey(root_secret, label):
    return hkdf(root_secret, b"keyward/v1", label.encode(), 32)


def root_name(root_secret):
    return subkey(root_secret, "name")[:4].hex()


def digest(root_secret, key):
    code = hmac(subkey(root_secret, "pepper"), f"{key['id']}_{key['secret']}".encode())
    return {"root": root_name(root_secret), "hmac": code.hex()}


def find(key, root_secrets, digests):
    own = [digest(root_secret, key) for root_secret in root_secrets]
    return next((position for position, stored in enumerate(digests)
                 if {"root": stored["root"], "hmac": stored["hmac"]} in own), None)


# 3. Scopes

NAME = r"[a-z0-9.\-_]+"
HELD = re.compile(rf"(\*|keyward\.\*|{NAME}):(\*|{NAME})")
NEEDED = re.compile(rf"({NAME}):({NAME})")


def held_scope(text):
    if ":" not in text:
        raise Failure("SHAPE")
    if len(text.encode()) > 100:
        raise Failure("LENGTH")
    resource, action = text.split(":", 1)
    if resource == "keyward.*" and action != "*":
        raise Failure("OWN_WILDCARD")
    if not HELD.fullmatch(text):
        raise Failure("SHAPE")
    return resource, action


def needed_scope(text):
    if len(text.encode()) > 100:
        raise Failure("LENGTH")
    if not NEEDED.fullmatch(text):
        raise Failure("SHAPE")
    return tuple(text.split(":"))


def is_own(resource):
    return resource.startswith("keyward.")


def matches(held, other):
    """Whether a held scope grants a needed one, or covers another held one: the wildcards of `other` are plain names then."""
    (resource, action), (other_resource, other_action) = held, other
    if resource == "*":
        reaches = not is_own(other_resource)
    elif resource == "keyward.*":
        reaches = is_own(other_resource)
    else:
        reaches = resource == other_resource
    return reaches and action in ("*", other_action)


def grants(held, needed):
    return all(any(matches(held_scope(h), needed_scope(n)) for h in held) for n in needed)


def beyond(held, given):
    for text in given:
        scope = held_scope(text)
        if is_own(scope[0]) and not any(matches(held_scope(h), scope) for h in held):
            return text
    return None


# 4. Addresses

def address(text):
    if "%" in text:
        raise ValueError("zone")
    value = ipaddress.ip_address(text)
    mapped = getattr(value, "ipv4_mapped", None)
    return mapped if mapped is not None else value


def address_range(text):
    try:
        if "/" not in text:
            return ipaddress.ip_network(address(text))
        base, prefix = text.split("/", 1)
        if "%" in base or not re.fullmatch(r"0|[1-9][0-9]{0,2}", prefix):
            raise ValueError("prefix")
        base, length = ipaddress.ip_address(base), int(prefix)
        if length > base.max_prefixlen:
            raise ValueError("prefix")
    except ValueError:
        raise Failure("NOT_A_RANGE") from None
    mapped = getattr(base, "ipv4_mapped", None)
    if mapped is not None and length >= 96:
        base, length = mapped, length - 96
    if length == 0:
        raise Failure("EVERY_ADDRESS")
    try:
        return ipaddress.ip_network(f"{base}/{length}")
    except ValueError:
        raise Failure("HOST_BITS") from None


def passes(caller, allowed, denied):
    allowed, denied = [address_range(r) for r in allowed], [address_range(r) for r in denied]
    if not allowed and not denied:
        return True
    try:
        caller = address(caller or "")
    except ValueError:
        return False

    def lies_in(ranges):
        return any(caller.version == r.version and caller in r for r in ranges)
    return not lies_in(denied) and (not allowed or lies_in(allowed))


# 5. Instants

DATE_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII)


def days_before_year(year):
    """Days from 0000-01-01 to the first day of a year of the proleptic Gregorian calendar."""
    return 365 * year + (year + 3) // 4 - (year + 99) // 100 + (year + 399) // 400


def month_length(year, month):
    return 28 + calendar.isleap(year) if month == 2 else 30 + (month in (1, 3, 5, 7, 8, 10, 12))


DAY, EPOCH_DAY = 86_400_000, days_before_year(1970)
FIRST, PAST = -EPOCH_DAY * DAY, (days_before_year(10_000) - EPOCH_DAY) * DAY


def civil(milliseconds):
    """(year, month, day, milliseconds of the day) of an instant in UTC."""
    day, rest = divmod(milliseconds, DAY)
    day += EPOCH_DAY
    year = day // 366
    while days_before_year(year + 1) <= day:
        year += 1
    day -= days_before_year(year)
    month = 1
    while day >= month_length(year, month):
        day, month = day - month_length(year, month), month + 1
    return year, month, day + 1, rest


def instant(text):
    match = DATE_TIME.fullmatch(text)
    if not match or len(text) > 35:
        raise Failure("NOT_AN_INSTANT")
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    milli = int(((match[7] or "") + "000")[:3])
    offset_hours, offset_minutes = int(match[9] or 0), int(match[10] or 0)
    fits = 1 <= month <= 12 and 1 <= day <= month_length(year, month) and hour <= 23 and minute <= 59 and second <= 60
    if not fits or offset_hours > 23 or offset_minutes > 59:
        raise Failure("NOT_AN_INSTANT")
    leap = second == 60
    if leap:
        second, milli = 59, 999
    days = days_before_year(year) + sum(month_length(year, m) for m in range(1, month)) + day - 1 - EPOCH_DAY
    offset = (60 * offset_hours + offset_minutes) * (-1 if match[8] == "-" else 1)
    value = days * DAY + ((60 * hour + minute - offset) * 60 + second) * 1000 + milli
    if not FIRST <= value < PAST:
        raise Failure("NOT_AN_INSTANT")
    if leap:
        utc_year, utc_month, utc_day, of_day = civil(value)
        if of_day != DAY - 1 or utc_day != month_length(utc_year, utc_month):
            raise Failure("NOT_AN_INSTANT")
    return value


def written(value):
    year, month, day, rest = civil(value)
    seconds, milli = divmod(rest, 1000)
    time = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{milli:03}"
    return f"{year:04}-{month:02}-{day:02}T{time}Z"


# 6. Verdict

def verdict(text, brand, root_secrets, tag_keys, stored, facts, now):
    try:
        key = parse(text, brand)
    except Failure:
        return "MALFORMED"
    if facts.get("environment") not in (None, key["environment"]):
        return "ENVIRONMENT_MISMATCH"
    if tag_keys and not issued(key, tag_keys):
        return "NOT_FOUND"
    if stored is None:
        return "NOT_FOUND"
    record = stored["record"]
    if any(record[part] != key[part] for part in ("id", "brand", "environment")):
        return "NOT_FOUND"
    position = find(key, root_secrets, stored["secrets"])
    if position is None:
        return "NOT_FOUND"
    if record["status"] in ("revoked", "disabled"):
        return record["status"].upper()
    if record["not_before"] is not None and now < instant(record["not_before"]):
        return "NOT_YET_VALID"
    if record["expires_at"] is not None and now >= instant(record["expires_at"]):
        return "EXPIRED"
    secret = stored["secrets"][position]
    status = secret.get("status", "active")
    if status == "gone" or (status == "retiring" and now >= instant(secret["until"])):
        return "ROTATED_OUT"
    if not passes(facts.get("address"), record["allowed_ips"], record["denied_ips"]):
        return "IP_NOT_ALLOWED"
    if record["allowed_countries"] and facts.get("country") not in record["allowed_countries"]:
        return "COUNTRY_NOT_ALLOWED"
    if record["allowed_origins"] and facts.get("origin") not in record["allowed_origins"]:
        return "ORIGIN_NOT_ALLOWED"
    if not grants(record["scopes"], facts.get("scopes", [])):
        return "INSUFFICIENT_SCOPE"
    return "VALID"


# 7. Vectors

def fields(value, required, optional=()):
    """The object, if it has all of the required fields and none but those and the optional ones."""
    if not isinstance(value, dict):
        raise BrokenVector("not an object")
    missing, unknown = set(required) - set(value), set(value) - set(required) - set(optional)
    if missing or unknown:
        raise BrokenVector(f"missing fields {sorted(missing)}, unknown fields {sorted(unknown)}")
    return value


def message(value):
    if set(value) == {"text"}:
        return value["text"].encode()
    if set(value) == {"hex"}:
        return bytes.fromhex(value["hex"])
    if set(value) == {"repeat", "count"}:
        return value["repeat"].encode() * value["count"]
    raise BrokenVector("bytes are one of text, hex, repeat with count")


def secrets(given, current, retired):
    return [secret_bytes(text) for text in [given[current], *given.get(retired, [])]] if current in given else []


def run_parse(given):
    key = parse(given["key"], given.get("brand"))
    return {**key, "redacted": redacted(key)}


def run_generate(given):
    tag_key = secret_bytes(given["tag_key"]) if "tag_key" in given else None
    return {"key": generate(given["brand"], given["environment"], tag_key, bytes.fromhex(given["random"]))}


def run_issued(given):
    tag_keys = secrets(given, "tag_key", "retired_tag_keys")
    return {"issued": issued(parse(given["key"]), tag_keys)}


def run_subkey(given):
    if given["label"] not in LABELS:
        raise BrokenVector("unknown label")
    return {"subkey": subkey(secret_bytes(given["root_secret"]), given["label"]).hex()}


def run_digest(given):
    root_secret = secret_bytes(given["root_secret"])
    return digest(root_secret, parse(given["key"], given["brand"]))


def run_find(given):
    root_secrets = secrets(given, "root_secret", "retired_root_secrets")
    for stored in given["digests"]:
        fields(stored, ["root", "hmac"])
    return {"position": find(parse(given["key"]), root_secrets, given["digests"])}


def run_scope_parse(given):
    readers = {"held": held_scope, "needed": needed_scope}
    if given["as"] not in readers:
        raise BrokenVector("a scope is held or needed")
    return {"own": is_own(readers[given["as"]](given["text"])[0])}


def run_instant(given):
    value = instant(given["text"])
    return {"milliseconds": value, "written": written(value)}


RECORD = ("id brand environment name owner scopes created_at updated_at not_before expires_at allowed_ips denied_ips "
          "allowed_countries allowed_origins max_staleness_seconds rotation_days metadata status revoked_at revoke_reason version").split()


def run_verdict(given):
    if given["stored"] is not None:
        stored = fields(given["stored"], ["record", "secrets"])
        fields(stored["record"], RECORD)
        for secret in stored["secrets"]:
            fields(secret, ["root", "hmac"], ["number", "status", "until", "created_at"])
    facts = fields(given.get("facts", {}), [], ["environment", "address", "country", "origin", "scopes"])
    root_secrets = secrets(given, "root_secret", "retired_root_secrets")
    tag_keys = secrets(given, "tag_key", "retired_tag_keys")
    return {"code": verdict(given["key"], given["brand"], root_secrets, tag_keys, given["stored"], facts, instant(given["now"]))}


OPERATIONS = {
    "sha256": (["message"], [], lambda g: {"digest": hashlib.sha256(message(g["message"])).hexdigest()}),
    "hmac-sha256": (["key", "message"], ["length"], lambda g: {"mac": hmac(message(g["key"]), message(g["message"]))[:g.get("length", 32)].hex()}),
    "hkdf-sha256": (["ikm", "salt", "info", "length"], [], lambda g: {"okm": hkdf(message(g["ikm"]), message(g["salt"]), message(g["info"]), g["length"]).hex()}),
    "parse": (["key"], ["brand"], run_parse),
    "generate": (["brand", "environment", "random"], ["tag_key"], run_generate),
    "tag": (["tag_key", "brand", "environment", "random"], [], lambda g: {"tag": tag(secret_bytes(g["tag_key"]), g["brand"], g["environment"], g["random"])}),
    "issued": (["key", "tag_key"], ["retired_tag_keys"], run_issued),
    "subkey": (["root_secret", "label"], [], run_subkey),
    "root-name": (["root_secret"], [], lambda g: {"root": root_name(secret_bytes(g["root_secret"]))}),
    "digest": (["key", "brand", "root_secret"], [], run_digest),
    "find": (["key", "root_secret", "digests"], ["retired_root_secrets"], run_find),
    "scope-parse": (["text", "as"], [], run_scope_parse),
    "scope-grants": (["held", "needed"], [], lambda g: {"granted": grants(g["held"], g["needed"])}),
    "scope-beyond": (["held", "given"], [], lambda g: {"beyond": beyond(g["held"], g["given"])}),
    "range": (["text"], [], lambda g: {"range": str(address_range(g["text"]))}),
    "address": (["address", "allowed", "denied"], [], lambda g: {"passes": passes(g["address"], g["allowed"], g["denied"])}),
    "instant": (["text"], [], run_instant),
    "verdict": (["key", "brand", "root_secret", "stored", "now"], ["retired_root_secrets", "tag_key", "retired_tag_keys", "facts"], run_verdict),
}


def outcome(operation, given):
    """What the specification says that the operation gives for this input."""
    if operation not in OPERATIONS:
        raise BrokenVector("unknown operation")
    required, optional, run = OPERATIONS[operation]
    try:
        return run(fields(given, required, optional))
    except Failure as failure:
        return failure.outcome


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def text_of(vector):
    return json.dumps(vector, indent=2) + "\n"


def difference(path):
    """What is wrong with a vector, or None."""
    try:
        vector = fields(read(path), ["description", "operation", "input", "expect"], ["source"])
        if path.relative_to(HERE).parts[:-1] != (vector["operation"],):
            raise BrokenVector("does not lie in the folder of its operation")
        computed = outcome(vector["operation"], vector["input"])
    except (BrokenVector, ValueError) as broken:
        return str(broken)
    return None if computed == vector["expect"] else f"expects {vector['expect']}, computed {computed}"


def check():
    paths = sorted(HERE.rglob("*.json"))
    differences = {path: found for path in paths if (found := difference(path))}
    for path, found in differences.items():
        print(f"{path.relative_to(HERE)}: {found}")
    counts = Counter(path.parent.name for path in paths)
    empty = [operation for operation in OPERATIONS if not counts[operation]]
    if empty:
        print(f"no vector of: {', '.join(empty)}")
    print(f"{len(paths)} vectors of {len(counts)} operations, {len(differences)} differ")
    return 1 if differences or empty else 0


def fill(paths):
    for path in map(Path, paths):
        vector = read(path)
        if "source" in vector:
            sys.exit(f"{path}: published values are typed in, not computed")
        vector["expect"] = outcome(vector["operation"], vector["input"])
        path.write_text(text_of(vector), encoding="utf-8")
    return 0


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--check"]:
            sys.exit(check())
        case ["--fill", *paths] if paths:
            sys.exit(fill(paths))
        case _:
            sys.exit(__doc__)
