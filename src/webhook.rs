//! Webhooks as Standard Webhooks has them (<https://github.com/standard-webhooks/standard-webhooks>, version 1): what one is,
//! where it may lead, how a message is signed, and what comes of an attempt to deliver it.

use crate::crypto::Mac;
use crate::error::Invalid;
use crate::fields::{Fields, Shape};
use crate::life::Event;
use crate::network::is_origin;
use crate::seal::Sealed;
use crate::target::is_plain_path;
use crate::time::Instant;
use crate::upstream::{self, admit, origin_of};
use base64ct::{Base64, Encoding};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use zeroize::Zeroizing;

/// Most webhooks of a deployment: each event is held against all of them.
pub const MOST_WEBHOOKS: usize = 50;
/// The event that a test sends, whatever a webhook asks for.
pub const TEST: &str = "keyward.test";
/// Names of the events that a webhook may ask for. Whoever announces another one adds it here, or nobody can ask for it by name.
pub const KINDS: [&str; 17] = [
    "key.expiring",
    "key.rotation_due",
    "key.quota",
    "key.anomaly",
    "key.leaked",
    "route.anomaly",
    "key.created",
    "key.imported",
    "key.updated",
    "key.disabled",
    "key.enabled",
    "key.revoked",
    "key.rotation_started",
    "key.rotation_activated",
    "key.rotation_completed",
    "key.rotation_cancelled",
    "key.restored",
];
/// How long an attempt may take, in milliseconds.
pub const ATTEMPT_MS: u32 = 10_000;
/// How long news, and what was sent of them, are kept, in seconds: two days.
pub const KEPT_SECONDS: i64 = 2 * 86_400;
/// Attempts that are kept of a webhook.
pub const MOST_ATTEMPTS: u64 = 200;

const URL: Shape = Shape { pattern: None, most: upstream::MAX_LENGTH, example: "https://hooks.shop.example/keyward" };
const EVENT: Shape = Shape { pattern: Some(r"^(\*|[a-z]+\.(\*|[a-z_]+))$"), most: 64, example: "key.*" };
const MOST_EVENTS: usize = 50;
const DESCRIPTION: usize = 200;
const SECRET_PREFIX: &str = "whsec_";
/// Bytes of a secret, of which the specification wants 24 to 64: as many as are written in base64 without padding.
const SECRET: usize = 36;
/// How long a secret goes on signing beside the one that took its place, in seconds.
const BESIDE_SECONDS: i64 = 86_400;
/// Seconds from each failure to the next attempt; the last counts for all after it.
const SCHEDULE: [i64; 9] = [5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 28_800];
/// How long an event is tried, in seconds. The last attempt comes at the end of it.
const TRIED_SECONDS: i64 = 86_400;
/// Longest time that a receiver may ask to be left alone, in seconds.
const MOST_RETRY_AFTER: i64 = 3_600;

/// What somebody asks to be told, and where.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    /// Where events are sent. Has no `Debug`: receivers put tokens of their own into it.
    pub url: String,
    /// `*`, `key.*` or names of events. Empty does not restrict.
    pub events: Vec<String>,
    /// For whoever reads the list: one line, up to 200 characters.
    pub description: Option<String>,
    /// Whether anything is sent. What happens while nothing is waits for as long as news are kept.
    pub active: bool,
}

impl Webhook {
    /// Reads what a webhook is written with. `local` are origins that are allowed although they are private or not encrypted,
    /// `own` hosts of this deployment.
    ///
    /// # Errors
    /// [`Invalid`] naming the first field that is wrong.
    pub fn read(body: Value, local: &[String], own: &[&str]) -> Result<Self, Invalid> {
        let mut fields = Fields::of(body)?;
        let webhook = Self::take(&mut fields, local, own)?;
        fields.end()?;
        Ok(webhook)
    }

    /// As [`Webhook::read`], from fields.
    ///
    /// # Errors
    /// As [`Webhook::read`].
    pub fn take(fields: &mut Fields, local: &[String], own: &[&str]) -> Result<Self, Invalid> {
        let url = fields.required_shaped("url", &URL)?;
        let events =
            fields.list("events", MOST_EVENTS, &EVENT, |text| match KINDS.iter().any(|kind| fits(text, kind)) {
                true => Ok(text.to_owned()),
                false => Err(format!("must be *, key.* or one of: {}", KINDS.join(", "))),
            })?;
        let description = fields.line("description", DESCRIPTION)?;
        let active = fields.default_flag("active", true)?;
        if !fields.is_description() {
            check_url(&url, local, own).map_err(|problem| Invalid::new("url", problem))?;
        }
        Ok(Self { url, events, description, active })
    }

    /// Whether it is to be told of events of this kind.
    pub fn wants(&self, kind: &str) -> bool {
        self.active && (self.events.is_empty() || self.events.iter().any(|pattern| fits(pattern, kind)))
    }

    /// The origin that it leads to.
    pub fn origin(&self) -> &str {
        url_origin(&self.url)
    }

    /// Whether it may still lead there.
    pub fn is_allowed(&self, local: &[String]) -> bool {
        check_url(&self.url, local, &[]).is_ok()
    }
}

/// Whether a kind of event is what a pattern asks for.
fn fits(pattern: &str, kind: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => kind.starts_with(start) && (start.is_empty() || start.ends_with('.')),
        None => pattern == kind,
    }
}

fn url_origin(url: &str) -> &str {
    origin_of(url.split('?').next().unwrap_or_default())
}

fn check_url(url: &str, local: &[String], own: &[&str]) -> Result<(), String> {
    const SHAPE: &str = "must be an origin in lower case with a path and a query at most, such as https://hooks.example/in: \
                         no user, fragment, trailing dot or default port";
    let origin = url_origin(url);
    let rest = &url[origin.len()..];
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let query_fits = query.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    if url.len() > URL.most || !is_origin(origin) || !(path.is_empty() || is_plain_path(path)) || !query_fits {
        return Err(SHAPE.to_owned());
    }
    admit(origin, local, own, "KEYWARD_LOCAL_WEBHOOKS")
}

/// Where the secret of the webhook `name` to `origin` may be opened ([`crate::seal`]).
pub fn place(name: &str, origin: &str) -> String {
    format!("keyward webhook\n{name}\n{origin}")
}

/// A secret that signs.
#[derive(Clone, Serialize, Deserialize)]
pub struct Held {
    /// `whsec_…`, sealed.
    pub sealed: Sealed,
    /// When it was made.
    pub made_at: Instant,
    /// First instant at which it no longer signs, where another took its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Instant>,
}

impl Held {
    /// A new one.
    pub fn new(sealed: Sealed, now: Instant) -> Self {
        Self { sealed, made_at: now, until: None }
    }

    /// Whether it signs.
    pub fn signs(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// The secrets once a new one has taken the place of the last, the newest first: the last one signs beside it for a day, and
/// what was before that no more.
pub fn rotated(before: &[Held], sealed: Sealed, now: Instant) -> Vec<Held> {
    let until = Some(now.plus_seconds(BESIDE_SECONDS));
    let beside = before.first().map(|held| Held { until, ..held.clone() });
    std::iter::once(Held::new(sealed, now)).chain(beside).collect()
}

/// A new secret: `whsec_` and 48 characters of base64. `fill` fills with randomness.
pub fn new_secret(fill: &mut dyn FnMut(&mut [u8])) -> Zeroizing<String> {
    let mut bytes = Zeroizing::new([0; SECRET]);
    fill(&mut *bytes);
    let text = Zeroizing::new(Base64::encode_string(&*bytes));
    Zeroizing::new(format!("{SECRET_PREFIX}{}", *text))
}

/// The `webhook-signature` of a message: `v1,` and base64 of the HMAC-SHA-256 of `id.seconds.body` for each secret, separated by
/// spaces; `seconds` are those of `webhook-timestamp`. `None` where there is no secret, or what is none.
pub fn signature<'s>(secrets: impl IntoIterator<Item = &'s str>, id: &str, seconds: i64, body: &str) -> Option<String> {
    let seconds = seconds.to_string();
    let sign = |secret: &str| {
        let key = Zeroizing::new(Base64::decode_vec(secret.strip_prefix(SECRET_PREFIX)?).ok()?);
        let parts = [id, ".", &seconds, ".", body].map(str::as_bytes);
        Some(format!("v1,{}", Base64::encode_string(&Mac::new(&key).code(&parts))))
    };
    let signed = secrets.into_iter().map(sign).collect::<Option<Vec<String>>>()?;
    (!signed.is_empty()).then(|| signed.join(" "))
}

/// The `webhook-id` of what stands at a position of the news, for one webhook: always the same, so that a receiver that meets
/// it twice can tell. `number` is the position, or for a test `t` and its own.
pub fn message_id(name: &str, made_at: Instant, number: &str) -> String {
    format!("msg_{name}_{:x}_{number}", made_at.millis())
}

/// The body of a message.
pub fn payload(kind: &str, at: Instant, data: &Value) -> String {
    json!({"type": kind, "timestamp": at, "data": data}).to_string()
}

/// What is told of an event of a key: the key as it is shown, with no digest, what changed and by whom.
pub fn told(event: &Event) -> Value {
    let mut data = json!({
        "key": event.record.shown_with(&event.secrets, event.at), "changes": event.changes,
        "by": event.by.key_id, "request_id": event.by.request_id,
    });
    if let Some(detail) = &event.detail {
        data["detail"] = detail.clone();
    }
    if let Some(reason) = &event.record.revoke_reason {
        data["reason"] = reason.as_str().into();
    }
    data
}

/// What was answered to an attempt.
#[derive(Clone, Copy, Debug, Default)]
pub struct Answer {
    /// Its status, where there was an answer.
    pub status: Option<u16>,
    /// Seconds that it asks to be left alone for.
    pub retry_after: Option<u32>,
}

/// What comes of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver has it.
    Delivered,
    /// The receiver wants no more, of anything.
    Gone,
    /// It is tried again.
    Again {
        /// From this instant on.
        at: Instant,
        /// Nothing at all is sent before this one.
        quiet_until: Option<Instant>,
    },
    /// It was tried for a day.
    GivenUp,
}

/// What comes of an attempt, the `tries`-th (from 1) for an event that is tried since `since`. `jitter` is a random byte: of many
/// that failed together not all come back together.
pub fn outcome(answer: Answer, tries: u32, since: Instant, now: Instant, jitter: u8) -> Outcome {
    let end = since.plus_seconds(TRIED_SECONDS);
    match answer.status {
        Some(200..300) => return Outcome::Delivered,
        Some(410) => return Outcome::Gone,
        _ if now >= end => return Outcome::GivenUp,
        _ => {}
    }
    let delay = SCHEDULE[(tries.max(1) as usize - 1).min(SCHEDULE.len() - 1)] * 1_000;
    let at = now.plus_millis(delay + delay / 5 * i64::from(jitter) / 255).min(end);
    let asked = answer.retry_after.filter(|_| matches!(answer.status, Some(429 | 503)));
    let quiet_until = asked.map(|seconds| now.plus_seconds(i64::from(seconds).min(MOST_RETRY_AFTER)));
    Outcome::Again { at: quiet_until.map_or(at, |until| until.max(at)), quiet_until }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::tests::source;
    use crate::life::{Actor, EventKind};
    use crate::root::RootSecret;
    use crate::seal::SealingKeys;
    use proptest::prelude::*;

    const NOW: Instant = Instant::EPOCH;

    fn read(body: Value) -> Result<Webhook, Invalid> {
        Webhook::read(body, &["http://127.0.0.1:9000".to_owned()], &["keys.example.com", "127.0.0.1:8787"])
    }

    fn url(url: &str) -> Result<Webhook, Invalid> {
        read(json!({"url": url}))
    }

    #[test]
    fn a_message_is_signed_as_the_specification_says() {
        // The example of the specification's libraries.
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let signed = signature([secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signed.as_deref(), Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));
        let both = signature([secret, secret], "a", 1, "b").unwrap();
        let (one, other) = both.split_once(' ').unwrap();
        assert_eq!(one, other);
        assert!(signature([], "a", 1, "b").is_none());
        for bad in ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_!", ""] {
            assert!(signature([secret, bad], "a", 1, "b").is_none(), "never with one of two");
        }
    }

    #[test]
    fn a_new_secret_is_one() {
        let secret = new_secret(&mut source(1));
        assert_eq!(secret.len(), 54);
        assert!(signature([secret.as_str()], "a", 1, "b").is_some());
        assert_ne!(*secret, *new_secret(&mut source(2)));
    }

    #[test]
    fn a_webhook_leads_to_a_public_server_or_a_named_one() {
        let plain = url("https://hooks.shop.example/in/?token=a%20b").unwrap_or_else(|invalid| panic!("{invalid}"));
        assert_eq!(plain.url, "https://hooks.shop.example/in/?token=a%20b");
        assert_eq!(plain.origin(), "https://hooks.shop.example");
        assert!(plain.active && plain.wants("key.created") && plain.wants("of.another.version"));
        assert!(url("https://hooks.shop.example?a=/b").is_ok_and(|hook| hook.origin() == "https://hooks.shop.example"));
        let local = url("http://127.0.0.1:9000/in").unwrap_or_else(|invalid| panic!("{invalid}"));
        assert!(!local.is_allowed(&[]) && local.is_allowed(&["http://127.0.0.1:9000".to_owned()]));
        for bad in [
            "http://hooks.shop.example/",
            "https://hooks.shop.example./",
            "https://localhost/",
            "https://127.0.0.1/",
            "https://127.1/",
            "https://2130706433/",
            "https://10.0.0.1/",
            "https://192.168.1.1/",
            "https://169.254.169.254/latest/meta-data",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[fe80::1]/",
            "https://[fd00::1]/",
            "https://metadata.google.internal/",
            "https://keys.example.com/",
            "https://keys.example.com:8443/",
            "http://127.0.0.1:8787/",
            "http://127.0.0.1:9001/",
            "https://user@hooks.shop.example/",
            "https://hooks.shop.example/#a",
            "https://hooks.shop.example/?a#b",
            "https://hooks.shop.example/a/../b",
            "https://hooks.shop.example/?a b",
            "https://HOOKS.shop.example/",
            "https://hooks.shop.example:443/",
            "https://",
            "",
        ] {
            assert_eq!(url(bad).err().map(|invalid| invalid.field).as_deref(), Some("url"), "20: {bad}");
        }
    }

    #[test]
    fn events_are_asked_for_by_name_or_by_a_wildcard() {
        let wants = |events: Value, kind: &str| {
            read(json!({"url": "https://a.example", "events": events})).map(|hook| hook.wants(kind)).ok()
        };
        for all in [json!(["*"]), json!(["key.*"]), json!([]), json!(["key.revoked", "key.created"])] {
            assert_eq!(wants(all, "key.revoked"), Some(true));
        }
        assert_eq!(wants(json!(["key.revoked"]), "key.created"), Some(false));
        assert_eq!(wants(json!(["key.*"]), "keyward.test"), Some(false));
        for bad in ["key.gone", "key", "key.", "k*", "key*", "*.revoked", "keyward.*", ""] {
            assert_eq!(wants(json!([bad]), "key.revoked"), None, "{bad}");
        }
        let silent = read(json!({"url": "https://a.example", "active": false}));
        assert!(silent.is_ok_and(|hook| !hook.wants("key.revoked")));
    }

    #[test]
    fn every_logged_event_of_a_key_can_be_asked_for() {
        for kind in [
            EventKind::CREATED,
            EventKind::IMPORTED,
            EventKind::UPDATED,
            EventKind::DISABLED,
            EventKind::ENABLED,
            EventKind::REVOKED,
            EventKind::ROTATION_STARTED,
            EventKind::ROTATION_ACTIVATED,
            EventKind::ROTATION_COMPLETED,
            EventKind::ROTATION_CANCELLED,
            EventKind::RESTORED,
            EventKind::LEAKED,
        ] {
            assert!(KINDS.contains(&kind.as_str()), "{}", kind.as_str());
        }
    }

    #[test]
    fn an_old_secret_signs_for_a_day_beside_the_new_one() {
        let keys = SealingKeys::new(&RootSecret::from_hex(&"07".repeat(32)).unwrap(), []);
        let mut number = 0;
        let mut sealed = || {
            number += 1;
            keys.seal(&place("a", "https://a.example"), "whsec_AAAA", &mut source(number))
        };
        let first = vec![Held::new(sealed(), NOW)];
        let second = rotated(&first, sealed(), NOW.plus_seconds(10));
        let day = NOW.plus_seconds(10 + 86_400);
        let live = |held: &[Held], at: Instant| held.iter().filter(|held| held.signs(at)).count();
        assert_eq!((live(&second, day.plus_millis(-1)), live(&second, day)), (2, 1));
        assert!(second[0].signs(day) && second[0].until.is_none());
        assert_eq!(rotated(&second, sealed(), NOW.plus_seconds(20)).len(), 2, "the oldest signs no more");
    }

    #[test]
    fn what_is_told_of_an_event_holds_no_digest() {
        let record = crate::record::tests::record();
        let event = Event {
            kind: EventKind::REVOKED,
            at: NOW,
            by: Actor::keyward("test"),
            record: crate::record::Record { revoke_reason: Some("leaked".into()), ..record },
            changes: serde_json::Map::new(),
            secrets: Vec::new(),
            used: None,
            detail: None,
        };
        let body: Value = serde_json::from_str(&payload("key.revoked", NOW, &told(&event))).unwrap();
        assert_eq!(body["type"], "key.revoked");
        assert_eq!(body["timestamp"], "1970-01-01T00:00:00.000Z");
        assert_eq!((&body["data"]["key"]["id"], &body["data"]["reason"]), (&json!(event.record.id), &json!("leaked")));
        assert!(!body.to_string().contains("hmac"));
    }

    #[test]
    fn an_answer_is_delivered_gone_or_tried_again() {
        let of = |status: u16| outcome(Answer { status: Some(status), retry_after: Some(60) }, 1, NOW, NOW, 0);
        let again = |seconds: i64| Outcome::Again { at: NOW.plus_seconds(seconds), quiet_until: None };
        for status in [200, 201, 204, 299] {
            assert_eq!(of(status), Outcome::Delivered);
        }
        assert_eq!(of(410), Outcome::Gone);
        for status in [100, 199, 300, 301, 302, 307, 308, 400, 401, 404, 409, 500, 502] {
            assert_eq!(of(status), again(5), "{status}: its Retry-After counts for nothing");
        }
        for status in [429, 503] {
            let until = NOW.plus_seconds(60);
            assert_eq!(of(status), Outcome::Again { at: until, quiet_until: Some(until) });
            let greedy = Answer { status: Some(status), retry_after: Some(u32::MAX) };
            let hour = NOW.plus_seconds(3_600);
            assert_eq!(outcome(greedy, 1, NOW, NOW, 0), Outcome::Again { at: hour, quiet_until: Some(hour) });
        }
        assert_eq!(outcome(Answer::default(), 1, NOW, NOW, 0), again(5));
    }

    #[test]
    fn a_dead_receiver_is_tried_for_a_day() {
        let (mut now, mut delays, mut tries) = (NOW, Vec::new(), 0);
        loop {
            tries += 1;
            match outcome(Answer::default(), tries, NOW, now, 0) {
                Outcome::Again { at, .. } => {
                    delays.push((at.millis() - now.millis()) / 1_000);
                    now = at;
                }
                end => {
                    assert_eq!(end, Outcome::GivenUp);
                    break;
                }
            }
        }
        assert_eq!(delays[..9], SCHEDULE);
        assert_eq!(now, NOW.plus_seconds(86_400), "the last attempt");
        assert_eq!(delays.len(), 11);
    }

    proptest! {
        #[test]
        fn the_next_attempt_is_later_and_within_bounds(status in proptest::option::of(100u16..600), retry_after in proptest::option::of(any::<u32>()), tries in 0u32..40, age in 0i64..100_000_000, jitter in any::<u8>()) {
            let now = NOW.plus_millis(age);
            if let Outcome::Again { at, .. } = outcome(Answer { status, retry_after }, tries, NOW, now, jitter) {
                prop_assert!(at > now || at == NOW.plus_seconds(86_400));
                prop_assert!(at <= NOW.plus_seconds(86_400 + 3_600));
            }
        }
    }
}
