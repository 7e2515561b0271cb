//! Where a call comes from: address ranges (RFC 4632, RFC 4291), countries (ISO 3166-1 alpha-2), web origins (RFC 6454).

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// A range of addresses in canonical CIDR notation; a single address is a range of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Range(IpNet);

impl Range {
    /// Reads `192.0.2.0/24`, `192.0.2.7`, `2001:db8::/32`. Mapped IPv4 becomes IPv4.
    ///
    /// # Errors
    /// A sentence for host bits that are set, for `/0` (a list of everything restricts nothing) and for what is no range.
    pub fn parse(text: &str) -> Result<Self, String> {
        let net = match text.split_once('/') {
            None => text.parse::<IpAddr>().map(|address| IpNet::from(address.to_canonical())).map_err(|_| ()),
            // Both parts are read here: ipnet takes "010.0.0.0" for 10.0.0.0, and "/+8" and "/08" for prefixes.
            Some((address, prefix)) if is_plain_number(prefix) => match (address.parse(), prefix.parse()) {
                (Ok(address), Ok(prefix)) => IpNet::new(address, prefix).map_err(|_| ()),
                _ => Err(()),
            },
            Some(_) => Err(()),
        };
        let net = net.map_err(|()| "not an address or a range such as 192.0.2.0/24 or 2001:db8::/32".to_owned())?;
        let net = match net {
            IpNet::V6(v6) if v6.prefix_len() >= 96 => match v6.addr().to_ipv4_mapped() {
                Some(v4) => IpNet::new(v4.into(), v6.prefix_len() - 96)
                    .unwrap_or_else(|_| unreachable!("96 to 128 less 96 is 0 to 32")),
                None => net,
            },
            _ => net,
        };
        if net.prefix_len() == 0 {
            return Err("/0 is every address: leave the list out instead".to_owned());
        }
        if net.trunc() != net {
            return Err(format!("bits are set beyond the prefix: write {}", net.trunc()));
        }
        Ok(Self(net))
    }

    fn contains(&self, address: &IpAddr) -> bool {
        self.0.contains(address)
    }
}

fn is_plain_number(text: &str) -> bool {
    text == "0" || (!text.is_empty() && !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit()))
}

impl TryFrom<String> for Range {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl From<Range> for String {
    fn from(range: Range) -> Self {
        range.0.to_string()
    }
}

/// Whether a caller at `address` passes a list of allowed and one of denied ranges. An empty list does not restrict;
/// an unknown address passes only where neither list does.
pub fn address_allowed(address: Option<IpAddr>, allowed: &[Range], denied: &[Range]) -> bool {
    if allowed.is_empty() && denied.is_empty() {
        return true;
    }
    let Some(address) = address.map(|a| a.to_canonical()) else { return false };
    !denied.iter().any(|range| range.contains(&address))
        && (allowed.is_empty() || allowed.iter().any(|range| range.contains(&address)))
}

/// Whether `text` is two upper-case letters: a country as the platform reports it.
pub fn is_country(text: &str) -> bool {
    text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase())
}

/// The countries that a caller can come from: ISO 3166-1 alpha-2 as it was assigned in 2026, and XK, by which the platform knows Kosovo.
const COUNTRIES: &str = "\
    ADAEAFAGAIALAMAOAQARASATAUAWAXAZBABBBDBEBFBGBHBIBJBLBMBNBOBQBRBSBTBVBWBYBZ\
    CACCCDCFCGCHCICKCLCMCNCOCRCUCVCWCXCYCZDEDJDKDMDODZECEEEGEHERESETFIFJFKFMFOFR\
    GAGBGDGEGFGGGHGIGLGMGNGPGQGRGSGTGUGWGYHKHMHNHRHTHUIDIEILIMINIOIQIRISITJEJMJOJPKEKGKHKIKMKNKPKRKWKYKZ\
    LALBLCLILKLRLSLTLULVLYMAMCMDMEMFMGMHMKMLMMMNMOMPMQMRMSMTMUMVMWMXMYMZNANCNENFNGNINLNONPNRNUNZOM\
    PAPEPFPGPHPKPLPMPNPRPSPTPWPYQARERORSRURWSASBSCSDSESGSHSISJSKSLSMSNSOSRSSSTSVSXSYSZ\
    TCTDTFTGTHTJTKTLTMTNTOTRTTTVTWTZUAUGUMUSUYUZVAVCVEVGVIVNVUWFWSXKYEYTZAZMZW";

/// Reads a country that a key is to be restricted to. One that is no country's would refuse every call.
///
/// # Errors
/// A sentence without the text itself.
pub fn country(text: &str) -> Result<String, String> {
    if !is_country(text) {
        return Err("must be two capital letters, ISO 3166-1 alpha-2".to_owned());
    }
    match COUNTRIES.as_bytes().chunks(2).any(|code| code == text.as_bytes()) {
        true => Ok(text.to_owned()),
        false if text == "UK" => Err("the United Kingdom is GB".to_owned()),
        false => Err("no country has this code (ISO 3166-1 alpha-2)".to_owned()),
    }
}

/// Whether `text` is a web origin as browsers send it: scheme `https` or `http`, lower-case host, a port unless it is the
/// scheme's own, nothing after.
pub fn is_origin(text: &str) -> bool {
    let (rest, default_port) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(rest), _) => (rest, "443"),
        (_, Some(rest)) => (rest, "80"),
        _ => return false,
    };
    let (host, port) = if let Some(v6) = rest.strip_prefix('[') {
        let Some((inside, after)) = v6.split_once(']') else { return false };
        if inside.parse::<std::net::Ipv6Addr>().is_err() || inside.bytes().any(|b| b.is_ascii_uppercase()) {
            return false;
        }
        match after.strip_prefix(':') {
            Some(port) => (None, Some(port)),
            None if after.is_empty() => (None, None),
            None => return false,
        }
    } else {
        match rest.split_once(':') {
            Some((host, port)) => (Some(host), Some(port)),
            None => (Some(rest), None),
        }
    };
    let host_fits = host.is_none_or(|h| {
        h.len() <= 253
            && h.split('.').all(|label| {
                (1..=63).contains(&label.len())
                    && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'))
            })
    });
    let port_fits =
        port.is_none_or(|p| is_plain_number(p) && p != default_port && p.parse::<u16>().is_ok_and(|n| n > 0));
    host_fits && port_fits
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_country_is_one_that_there_is() {
        assert_eq!(COUNTRIES.len(), 250 * 2);
        for code in ["AD", "DE", "GB", "XK", "ZW"] {
            assert_eq!(country(code).as_deref(), Ok(code));
        }
        // "DA" stands across two of the list.
        for (code, said) in
            [("UK", "GB"), ("XX", "no country"), ("DA", "no country"), ("de", "capital"), ("DEU", "two")]
        {
            assert!(country(code).unwrap_err().contains(said), "{code}");
        }
    }

    fn ranges(texts: &[&str]) -> Vec<Range> {
        texts.iter().map(|t| Range::parse(t).unwrap()).collect()
    }

    fn passes(address: &str, allowed: &[&str], denied: &[&str]) -> bool {
        address_allowed(address.parse().ok(), &ranges(allowed), &ranges(denied))
    }

    #[test]
    fn allowed_and_denied_ranges_decide_together() {
        assert!(passes("203.0.113.9", &[], &[]));
        assert!(passes("", &[], &[]), "no restriction: the address need not be known");
        assert!(!passes("", &["203.0.113.0/24"], &[]), "unknown is not allowed");
        assert!(!passes("", &[], &["203.0.113.0/24"]), "unknown could be denied");
        assert!(passes("203.0.113.9", &["203.0.113.0/24"], &[]));
        assert!(!passes("203.0.114.9", &["203.0.113.0/24"], &[]));
        assert!(!passes("203.0.113.9", &["203.0.113.0/24"], &["203.0.113.9"]), "denied wins");
        assert!(passes("::ffff:203.0.113.9", &["203.0.113.0/24"], &[]), "mapped IPv4 is IPv4");
        assert!(passes("2001:db8::1", &["2001:db8::/32"], &[]));
        assert!(!passes("2001:db9::1", &["2001:db8::/32"], &[]));
    }

    #[test]
    fn ranges_are_canonical_or_refused() {
        for (text, canonical) in [
            ("192.0.2.7", "192.0.2.7/32"),
            ("192.0.2.0/24", "192.0.2.0/24"),
            ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
            ("::ffff:192.0.2.7", "192.0.2.7/32"),
            ("2001:DB8::/32", "2001:db8::/32"),
        ] {
            assert_eq!(String::from(Range::parse(text).unwrap()), canonical);
        }
        assert!(Range::parse("192.0.2.7/24").unwrap_err().contains("192.0.2.0/24"));
        for bad in [
            "",
            "0.0.0.0/0",
            "::/0",
            "192.0.2.0/33",
            "192.0.2.0/+8",
            "192.0.2.0/08",
            "fe80::1%eth0",
            "192.0.2",
            "x/8",
            "::ffff:0.0.0.0/96",
            "192.0.2.0/",
            "192.0.2.0/24/24",
        ] {
            assert!(Range::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn origins_are_as_browsers_send_them() {
        for good in ["https://shop.example", "http://localhost:5173", "https://shop.example:8443", "http://[::1]:8787"]
        {
            assert!(is_origin(good), "{good}");
        }
        for bad in [
            "",
            "null",
            "shop.example",
            "https://",
            "https://shop.example/",
            "https://Shop.example",
            "https://a b",
            "https://shop.example:443",
            "http://shop.example:80",
            "https://u@shop.example",
            "ftp://shop.example",
            "https://shop.example:",
            "https://shop.example:99999",
            "https://*.example",
            "https://a..b",
            "http://[::1]x",
        ] {
            assert!(!is_origin(bad), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_range_holds_exactly_the_addresses_that_share_its_prefix(address: u32, other: u32, prefix in 1u8..=32) {
            let mask = u32::MAX << (32 - prefix);
            let network = std::net::Ipv4Addr::from(address & mask);
            let range = Range::parse(&format!("{network}/{prefix}")).unwrap();
            let inside = (address & mask) == (other & mask);
            prop_assert_eq!(range.contains(&std::net::Ipv4Addr::from(other).into()), inside);
        }

        #[test]
        fn no_text_makes_a_parser_panic(text in ".{0,60}") {
            let _ = Range::parse(&text);
            let _ = is_origin(&text);
            let _ = is_origin(&format!("https://{text}"));
        }
    }
}
