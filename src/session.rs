//! Sessions of browsers: a token that is good for a few calls of one route from one origin, for minutes. It is
//! authenticated, so that an invented one is refused without asking anybody; how many calls are left is counted elsewhere,
//! under its id.
//!
//! `kws_` payload `.` code, both base64url without padding (RFC 4648 §5): the payload is the fields below, each on a line;
//! the code is HMAC-SHA-256 of the payload under the session key of the root secret that the payload names.

use crate::base62;
use crate::crypto::Mac;
use crate::key::ID_LENGTH;
use crate::root::{Code, Purpose, RootName, RootSecret};
use crate::time::Instant;
use base64ct::{Base64UrlUnpadded, Encoding};

/// How every token begins: no key does.
pub const PREFIX: &str = "kws_";
/// Longest token, in characters: longer ones are refused before anything is computed.
pub const MAX_LENGTH: usize = 800;
/// Characters of a token's code.
const CODE_LENGTH: usize = 43;
/// Longest life, in seconds.
pub const MOST_SECONDS: u64 = 3_600;
/// Most calls.
pub const MOST_CALLS: u64 = 10_000;

/// Whether `text` holds what may be a whole token, anywhere.
pub fn holds_token(text: &str) -> bool {
    let is_digit = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    text.match_indices(PREFIX).any(|(at, _)| {
        let rest = &text.as_bytes()[at + PREFIX.len()..];
        let payload = rest.iter().take_while(|b| is_digit(b)).count();
        let code = rest.get(payload + 1..).unwrap_or_default().iter().take_while(|b| is_digit(b)).count();
        payload > 0 && rest.get(payload) == Some(&b'.') && code >= CODE_LENGTH
    })
}

/// A session, as its token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// 16 base62 digits, public: what its calls are counted under.
    pub id: String,
    /// The route that it is good for.
    pub route: String,
    /// When that route was made: a session dies with its route, whatever is made under the name later.
    pub made_at: Instant,
    /// The origin of the pages that may use it.
    pub origin: String,
    /// Exclusive.
    pub ends_at: Instant,
    /// Calls in all.
    pub calls: u32,
    /// Whether it is answered from the route's mock.
    pub mock: bool,
    /// Id of the key that it was made with and that it dies with, if it was made with one.
    pub parent: Option<String>,
}

/// Draws the id of a session.
pub fn draw_id(fill: &mut dyn FnMut(&mut [u8])) -> String {
    let mut id = String::new();
    base62::push_random(&mut id, ID_LENGTH, fill);
    id
}

/// The keys that sessions are authenticated with: the current root secret's makes, all of them are accepted.
pub struct SessionKeys(Vec<(RootName, Mac)>);

impl SessionKeys {
    /// Derives the keys.
    pub fn new<'a>(current: &'a RootSecret, retired: impl IntoIterator<Item = &'a RootSecret>) -> Self {
        let key = |root: &RootSecret| (root.name(), Mac::new(&root.subkey(Purpose::Session)[..]));
        Self(std::iter::once(current).chain(retired).map(key).collect())
    }

    /// The token of a session. Its texts must hold no line break; no route's, origin's or key's does.
    pub fn issue(&self, session: &Session) -> String {
        let Session { id, route, made_at, origin, ends_at, calls, mock, parent } = session;
        let (root, mac) = &self.0[0];
        let (made, ends, mock) = (made_at.millis(), ends_at.millis(), u8::from(*mock));
        let parent = parent.as_deref().unwrap_or("");
        let payload = format!("{root}\n{id}\n{route}\n{made}\n{origin}\n{ends}\n{calls}\n{mock}\n{parent}");
        let code = mac.code(&[payload.as_bytes()]);
        let encode = Base64UrlUnpadded::encode_string;
        format!("{PREFIX}{}.{}", encode(payload.as_bytes()), encode(&code))
    }

    /// The session that a token stands for: `None` for one that was not made here, or is over at `now`.
    pub fn read(&self, token: &str, now: Instant) -> Option<Session> {
        let Claims { payload, code, root, session } = Claims::of(token)?;
        let (_, mac) = self.0.iter().find(|(name, _)| name.to_string() == root)?;
        if !Code::new(mac.code(&[payload.as_bytes()])).equals(&code) {
            return None;
        }
        (now < session.ends_at).then_some(session)
    }
}

/// What a token says, by whomever it was made.
struct Claims {
    payload: String,
    code: Code,
    root: String,
    session: Session,
}

impl Claims {
    fn of(token: &str) -> Option<Self> {
        if token.len() > MAX_LENGTH {
            return None;
        }
        let (payload, code) = token.strip_prefix(PREFIX)?.split_once('.')?;
        let decode = |text: &str| Base64UrlUnpadded::decode_vec(text).ok();
        let (payload, code) = (decode(payload)?, decode(code)?);
        let code = Code::new(code.try_into().ok()?);
        let payload = String::from_utf8(payload).ok()?;
        let mut parts = payload.split('\n').map(str::to_owned);
        let root = parts.next()?;
        let mut next = || parts.next();
        let session = Session {
            id: next()?,
            route: next()?,
            made_at: Instant::from_millis(next()?.parse().ok()?),
            origin: next()?,
            ends_at: Instant::from_millis(next()?.parse().ok()?),
            calls: next()?.parse().ok()?,
            mock: next()? == "1",
            parent: next().filter(|id| !id.is_empty()),
        };
        Some(Self { payload, code, root, session })
    }
}

/// What a token says of its session. Proves nothing: only who holds the session key can tell an invented one.
pub fn claims(token: &str) -> Option<Session> {
    Claims::of(token).map(|claims| claims.session)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::to_hex;
    use proptest::prelude::*;

    fn root(byte: u8) -> RootSecret {
        RootSecret::from_hex(&to_hex(&[byte; 32])).unwrap()
    }

    fn session() -> Session {
        Session {
            id: "0123456789abcdef".to_owned(),
            route: "sms".to_owned(),
            made_at: Instant::from_millis(7),
            origin: "https://shop.example".to_owned(),
            ends_at: Instant::from_millis(2_000),
            calls: 5,
            mock: false,
            parent: Some("7Qm2ZxT0aBcD3fGh".to_owned()),
        }
    }

    #[test]
    fn a_session_is_read_back_until_its_end_and_under_a_retired_root_secret() {
        let (old, new) = (SessionKeys::new(&root(1), []), (root(2), root(1)));
        let token = old.issue(&session());
        assert_eq!(old.read(&token, Instant::from_millis(1_999)), Some(session()));
        assert_eq!(old.read(&token, Instant::from_millis(2_000)), None, "the end is exclusive");
        assert_eq!(SessionKeys::new(&new.0, [&new.1]).read(&token, Instant::EPOCH), Some(session()));
        assert_eq!(SessionKeys::new(&new.0, []).read(&token, Instant::EPOCH), None);
        let mock = Session { mock: true, parent: None, ..session() };
        assert_eq!(old.read(&old.issue(&mock), Instant::EPOCH), Some(mock));
    }

    #[test]
    fn a_token_is_found_wherever_it_stands() {
        let token = SessionKeys::new(&root(1), []).issue(&session());
        for text in
            [token.clone(), format!("/a/{token}/b?c"), format!("?x=kws_&kws_y={token}&z"), format!("xkws_{token}")]
        {
            assert!(holds_token(&text), "{text}");
        }
        let (payload, code) = token.split_once('.').unwrap();
        for text in [
            "",
            "kws_",
            "kws_.",
            payload,
            &format!("{payload}."),
            &format!("{payload}.{}", &code[1..]),
            &format!("kws_.{code}"),
            code,
        ] {
            assert!(!holds_token(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_token_with_any_character_changed_is_refused(at in any::<prop::sample::Index>(), with in "[ -~]") {
            let keys = SessionKeys::new(&root(1), []);
            let token = keys.issue(&session());
            let at = at.index(token.len());
            let changed = format!("{}{with}{}", &token[..at], &token[at + 1..]);
            prop_assume!(changed != token);
            prop_assert_eq!(keys.read(&changed, Instant::EPOCH), None);
        }

        #[test]
        fn no_text_breaks_the_reader(text in "\\PC{0,900}") {
            prop_assert_eq!(SessionKeys::new(&root(1), []).read(&text, Instant::EPOCH), None);
            prop_assert_eq!(SessionKeys::new(&root(1), []).read(&format!("{PREFIX}{text}"), Instant::EPOCH), None);
        }
    }
}
