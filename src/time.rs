//! Instants: milliseconds since 1970-01-01T00:00:00Z, written as RFC 3339. No clock: whoever decides is told `now`.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// An instant in milliseconds since the Unix epoch, from year 0 to the end of year 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(i64);

const YEAR_0: i64 = -62_167_219_200_000;
const YEAR_10_000: i64 = 253_402_300_800_000;

impl Instant {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);

    /// The instant `milliseconds` after the epoch, held to years 0 to 9999.
    pub fn from_millis(milliseconds: i64) -> Self {
        Self(milliseconds.clamp(YEAR_0, YEAR_10_000 - 1))
    }

    /// Milliseconds since the epoch.
    pub fn millis(self) -> i64 {
        self.0
    }

    /// This instant moved by `seconds`.
    pub fn plus_seconds(self, seconds: i64) -> Self {
        Self::from_millis(self.0.saturating_add(seconds.saturating_mul(1000)))
    }

    /// This instant moved by `milliseconds`.
    pub fn plus_millis(self, milliseconds: i64) -> Self {
        Self::from_millis(self.0.saturating_add(milliseconds))
    }

    /// Reads an RFC 3339 date-time (§5.6) with `Z` or a numeric offset; digits past the millisecond are dropped.
    /// `None` for anything else, years past 9999 included.
    pub fn parse(text: &str) -> Option<Self> {
        // A space for the `T`, which the RFC leaves to agreement, is not agreed to here.
        if text.len() > 35 || text.as_bytes().get(10) != Some(&b'T') {
            return None;
        }
        let parsed = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        let millis = i64::try_from(parsed.unix_timestamp_nanos().div_euclid(1_000_000)).ok()?;
        (YEAR_0..YEAR_10_000).contains(&millis).then_some(Self(millis))
    }
}

impl fmt::Display for Instant {
    /// RFC 3339 in UTC with milliseconds: `2026-11-21T06:20:00.000Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000).map_err(|_| fmt::Error)?;
        let (year, month, day) = at.to_calendar_date();
        let (hour, minute, second, milli) = at.to_hms_milli();
        let month = u8::from(month);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
    }
}

impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not an RFC 3339 instant"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_rfc_3339_is_an_instant() {
        for good in [
            "2026-11-21T06:20:00Z",
            "2026-11-21T06:20:00.123456789Z",
            "2026-11-21T06:20:00+05:30",
            "9999-12-31T23:59:59.999Z",
            "0000-01-01T00:00:00Z",
        ] {
            assert!(Instant::parse(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "now",
            "2026-11-21",
            "2026-11-21 06:20:00Z",
            "2026-11-21T06:20:00",
            "2026-02-30T00:00:00Z",
            "10000-01-01T00:00:00Z",
            "+010000-01-01T00:00:00Z",
            "9999-12-31T23:59:59.999-01:00",
            "2026-11-21T06:20:00Z[UTC]",
            "2026-11-21T06:20:00+05:30[Asia/Kolkata]",
            "1700000000",
        ] {
            assert_eq!(Instant::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn an_instant_survives_being_written_and_read(millis in YEAR_0..YEAR_10_000) {
            let instant = Instant::from_millis(millis);
            prop_assert_eq!(Instant::parse(&instant.to_string()), Some(instant));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,40}") {
            let _ = Instant::parse(&text);
        }
    }
}
