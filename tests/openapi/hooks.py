"""What schemathesis cannot know of the API it tests: which calls would end the run, how lines of JSON are written and read,
and which refusals no schema foretells."""

import json
import os
import re

import schemathesis
from schemathesis.openapi.checks import MissingHeaderNotRejected, RejectedPositiveData, UnsupportedMethodResponse

# Ids: of the key that everything is called with, of keys that are not to be revoked, of one that may be.
OWN = os.environ["KEYWARD_OWN_ID"]
KEPT = set(os.environ["KEYWARD_KEPT_IDS"].split())
OTHER = os.environ["KEYWARD_OTHER_ID"]
LINES = "application/jsonl"

# Fields whose values must fit something that a request's schema does not say: the clock, another field, the deployment's
# environments, spans of time, the length of a text once it is written down, the grammar of addresses and origins, which countries there are and which scopes of keyward's own; of a route also what its
# upstream may be, of a webhook where it may lead and which events there are, of a leak what holds its key, which parts go together, and which headers, paths and countries there are.
CIRCUMSTANTIAL = re.compile(
    r"(from|to|rate_limits|quotas|expires_at|not_before|metadata|environment|ip|origin|(allowed_ips|denied_ips|allowed_countries|allowed_origins|scopes)(\[\d+\])?"
    r"|upstream|callers|callers\.session\.(origins(\[\d+\])?|mint|per_address|per_route)|allow(\[\d+\]\.(path|methods))?"
    r"|credential\.(name|prefix|user)|request\.numbers\.(pointer|countries(\[\d+\])?)|response\.headers(\[\d+\])?"
    r"|mock\.(headers|body)(\..*|\[\d+\].*)?|secret|weight|url|events(\[\d+\])?|suspected_at|grace_seconds|leaks\[\d+\]\.(url|source|path|commit))$"
)


@schemathesis.hook
def before_call(context, case, kwargs):
    # Ids are taken from what was answered, and the key that everything is called with stands in every list: it would
    # be revoked, disabled or rotated, and nothing but refusals would be tested from then on. Of the others some are kept
    # from the one change that is final, or the rest would mostly be tried on keys that are revoked.
    key = (case.path_parameters or {}).get("id")
    if key == OWN or (key in KEPT and case.path.endswith(("/revoke", "/leak-response"))):
        case.path_parameters["id"] = OTHER
    # Whoever waits for a change to hold everywhere waits for up to a minute.
    if isinstance(case.body, dict) and case.body.get("wait") is True:
        case.body["wait"] = False


@schemathesis.hook
def before_load_schema(context, raw_schema):
    # OpenAPI 3.1 has no word for a text of lines. The document says under `x-line` what each of them is; here, where
    # they are written and read below, they are a list.
    def visit(node):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            if key == LINES:
                text = value["schema"]
                value["schema"] = {"type": "array", "items": text["x-line"], "minItems": min(1, text.get("minLength", 0))}
            if isinstance(value, (dict, list)):
                visit(value)

    visit(raw_schema["paths"])


@schemathesis.serializer(LINES)
def write_lines(context, value):
    lines = value if isinstance(value, list) else [value]
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


@schemathesis.deserializer(LINES)
def read_lines(context, response):
    return [json.loads(line) for line in response.content.splitlines()]


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Whether a failure is one: a sound request may be refused for what its schema does not speak of."""
    if not isinstance(failure, (MissingHeaderNotRejected, RejectedPositiveData, UnsupportedMethodResponse)):
        return True
    problem = response.json()
    if problem.get("code") == "IDEMPOTENCY_KEY_REUSED":
        return False
    # Of a slot's fields at least one is needed, whichever; and there is a most of webhooks, and of notes.
    if any(words in problem.get("detail", "") for words in ("give secret or environment", "webhooks already", "notes already")):
        return False
    return not (problem.get("code") == "INVALID_REQUEST" and CIRCUMSTANTIAL.match(problem.get("field", "")))
