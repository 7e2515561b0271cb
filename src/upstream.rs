//! Where a route leads: an origin and a base path that are fixed when the route is written. What cannot be a public server,
//! for routes and for webhooks, is refused there and then; that a public name leads to a private address is for the network to refuse.

use crate::network::is_origin;
use crate::target::is_plain_path;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Longest upstream, in characters.
pub const MAX_LENGTH: usize = 500;

/// Last labels of names that no public server has (RFC 6761, RFC 6762, RFC 8375, and what private networks use).
const PRIVATE: [&str; 11] =
    ["localhost", "local", "internal", "intranet", "lan", "home", "corp", "private", "arpa", "onion", "invalid"];

/// The origin of an upstream and the path that is put before that of each call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// As browsers write origins.
    pub origin: String,
    /// Empty, or from its slash to before the last one.
    pub base: String,
}

impl Upstream {
    /// Reads `https://api.example/v1`. `local` are origins that are allowed although they are private or not encrypted, `own`
    /// are hosts of this deployment, with
    /// their ports where they have one.
    ///
    /// # Errors
    /// A sentence that says what would be right.
    pub fn parse(text: &str, local: &[String], own: &[&str]) -> Result<Self, String> {
        const SHAPE: &str = "must be an origin in lower case with a path at most, such as https://api.example/v1: no user, \
                             query, fragment, trailing dot or default port";
        let (origin, path) = text.split_at(origin_of(text).len());
        let base = path.strip_suffix('/').unwrap_or(path);
        let base_fits = base.is_empty() || (is_plain_path(base) && !base.ends_with('/'));
        if text.len() > MAX_LENGTH || !is_origin(origin) || !base_fits {
            return Err(SHAPE.to_owned());
        }
        admit(origin, local, own, "KEYWARD_LOCAL_UPSTREAMS")?;
        Ok(Self { origin: origin.to_owned(), base: base.to_owned() })
    }

    /// The host without its port; an IPv6 address in its brackets.
    pub fn host(&self) -> &str {
        without_port(authority(&self.origin))
    }
}

/// Whether something may be sent to an origin: a public server under TLS that is not this deployment, or one of `local`; `own` as
/// in [`Upstream::parse`], `setting` is what names the exceptions.
///
/// # Errors
/// A sentence that says what would be right.
pub fn admit(origin: &str, local: &[String], own: &[&str], setting: &str) -> Result<(), String> {
    let is_local = local.iter().any(|allowed| allowed == origin);
    let host = without_port(authority(origin));
    // On one machine servers differ by their ports; on the internet a host is one deployment.
    let itself = |own: &&str| match is_local {
        true => own.eq_ignore_ascii_case(authority(origin)),
        false => without_port(own).eq_ignore_ascii_case(host),
    };
    // What is private or not encrypted is told first: who tries it on one machine needs to know of the setting.
    if !is_local && !origin.starts_with("https://") {
        return Err(format!("must be https://, so that nobody reads on the way ({setting} names exceptions)"));
    }
    if !is_local && !is_public(host) {
        return Err(format!("must be a public server, no private or local one ({setting} names exceptions)"));
    }
    match own.iter().any(itself) {
        true => Err("is this deployment itself: calls would go round in circles".to_owned()),
        false => Ok(()),
    }
}

fn authority(origin: &str) -> &str {
    origin.find("://").map_or("", |at| &origin[at + 3..])
}

/// The origin in an upstream as it is written, allowed or not.
pub fn origin_of(upstream: &str) -> &str {
    let scheme = upstream.find("://").map_or(0, |at| at + 3);
    upstream[scheme..].find('/').map_or(upstream, |at| &upstream[..scheme + at])
}

fn without_port(authority: &str) -> &str {
    let port = authority.rfind(':').filter(|at| !authority[*at..].contains(']'));
    port.map_or(authority, |at| &authority[..at])
}

fn is_public(host: &str) -> bool {
    if let Some(v6) = host.strip_prefix('[') {
        return v6.trim_end_matches(']').parse().is_ok_and(|address| is_public_address(IpAddr::V6(address)));
    }
    let last = host.rsplit('.').next().unwrap_or_default();
    // A last label that begins with a digit makes a URL parser read an IPv4 address, in whatever notation (WHATWG URL §3.5).
    if last.starts_with(|c: char| c.is_ascii_digit()) {
        return host.parse().is_ok_and(|address| is_public_address(IpAddr::V4(address)));
    }
    host.contains('.') && !PRIVATE.contains(&last)
}

/// Whether an address is one of the public internet (IANA's special-purpose registries, RFC 6890).
pub fn is_public_address(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            let shared = a == 100 && (64..128).contains(&b);
            let special = a == 192 && b == 0 && (c == 0 || c == 2);
            let tests =
                (a == 198 && (18..20).contains(&b)) || (a, b, c) == (198, 51, 100) || (a, b, c) == (203, 0, 113);
            !(a == 0 || a == 10 || a == 127 || a >= 224 || shared || special || tests)
                && !(v4.is_private() || v4.is_link_local())
                && v4 != Ipv4Addr::new(192, 88, 99, 1)
        }
        IpAddr::V6(v6) => {
            let [first, second, ..] = v6.segments();
            // Global unicast, less documentation, IETF protocol assignments and 6to4, which carries an IPv4 address.
            (0x2000..0x4000).contains(&first)
                && !(first == 0x2001 && (second < 0x200 || second == 0xdb8))
                && first != 0x2002
                && !(first == 0x3fff && second < 0x1000)
                && v6 != Ipv6Addr::UNSPECIFIED
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Upstream, String> {
        Upstream::parse(
            text,
            &["http://127.0.0.1:8788".to_owned(), "http://127.0.0.1:8787".to_owned()],
            &["keys.example.com", "127.0.0.1:8787"],
        )
    }

    #[test]
    fn an_upstream_is_an_origin_and_a_base_path() {
        let upstream = parse("https://api.sms.example/v1/").unwrap();
        assert_eq!(
            (upstream.origin.as_str(), upstream.base.as_str(), upstream.host()),
            ("https://api.sms.example", "/v1", "api.sms.example")
        );
        assert_eq!(parse("https://api.sms.example").unwrap().base, "");
        assert_eq!(parse("https://api.sms.example:8443/").unwrap().host(), "api.sms.example");
        assert_eq!(parse("https://[2606:4700::1111]:8443").unwrap().host(), "[2606:4700::1111]");
        assert!(parse("https://1.1.1.1").is_ok());
        assert!(parse("http://127.0.0.1:8788/api").is_ok(), "named as an exception");
    }

    #[test]
    fn what_is_private_local_or_this_deployment_is_refused() {
        for text in [
            "http://api.sms.example",
            "ftp://api.sms.example",
            "https://",
            "api.sms.example",
            "https://localhost",
            "https://api.localhost",
            "https://printer.local",
            "https://metadata.google.internal",
            "https://intranet",
            "https://10.0.0.1",
            "https://127.0.0.1",
            "https://127.1",
            "https://2130706433",
            "https://0x7f000001",
            "https://0177.0.0.1",
            "https://a.0x10",
            "https://169.254.169.254",
            "https://100.64.0.1",
            "https://192.168.1.1",
            "https://172.16.0.1",
            "https://0.0.0.0",
            "https://224.0.0.1",
            "https://[::1]",
            "https://[::ffff:1.1.1.1]",
            "https://[fe80::1]",
            "https://[fd00::1]",
            "https://[2002:7f00:1::]",
            "https://[2001:db8::1]",
            "https://[64:ff9b::a00:1]",
            "https://api.sms.example.",
            "https://API.sms.example",
            "https://user@api.sms.example",
            "https://api.sms.example:443",
            "https://api.sms.example?a",
            "https://api.sms.example#a",
            "https://api.sms.example/a/../b",
            "https://api.sms.example//",
            "https://api.sms.example/%2e",
            "https://keys.example.com",
            "https://keys.example.com:8443/x",
            "http://127.0.0.1:8787",
            "http://127.0.0.1:8789",
        ] {
            assert!(parse(text).is_err(), "20: {text}");
        }
    }
}
