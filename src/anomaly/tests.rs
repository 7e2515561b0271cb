use super::*;
use proptest::prelude::*;

/// A Monday, 00:00 UTC.
const START: i64 = 1_754_265_600;
const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

fn at(second: i64) -> Instant {
    Instant::from_millis((START + second) * 1_000)
}

fn plain(second: i64, calls: u64) -> Observation<'static> {
    Observation { calls, ..Observation::none(at(second)) }
}

/// Some scatter, the same each time.
fn noise(step: i64) -> u64 {
    (step.unsigned_abs().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) % 21
}

/// A report every minute of 90 to 110 calls, or `calls` of the second if it says otherwise.
fn feed(state: &mut State, from: i64, to: i64, change: impl Fn(i64, &mut Observation)) -> Vec<Finding> {
    let home = [("DE".to_owned(), 100)];
    let mut found = Vec::new();
    for second in (from..to).step_by(60) {
        let usual = [(second as u64 / 60 % 200, 100)];
        let mut seen = plain(second, 90 + noise(second));
        (seen.countries, seen.destinations) = (&home, &usual);
        (seen.failures, seen.delivered, seen.bounced) = (1, 97, 3);
        change(second, &mut seen);
        found.extend(observe(state, &seen));
    }
    found
}

fn kinds(found: &[Finding]) -> Vec<Kind> {
    found.iter().map(|finding| finding.kind).collect()
}

fn lasting<T>(items: Vec<T>) -> &'static [T] {
    items.leak()
}

fn known(days: i64) -> State {
    let mut state = State::default();
    assert_eq!(feed(&mut state, 0, days * DAY, |_, _| {}), []);
    state
}

fn size(state: &State) -> usize {
    serde_json::to_string(state).unwrap().len()
}

#[test]
fn a_burst_is_one_spike_told_within_minutes() {
    let mut state = known(21);
    let from = 21 * DAY + 10 * HOUR;
    assert_eq!(feed(&mut state, 21 * DAY, from, |_, _| {}), []);
    let found = feed(&mut state, from, from + DAY, |second, seen| {
        if second < from + 3 * HOUR {
            seen.calls *= 5;
        }
    });
    assert_eq!(kinds(&found), [Kind::VolumeSpike]);
    let spike = &found[0];
    assert!(spike.at <= at(from + 600) && spike.since >= at(from - 600) && spike.since <= spike.at, "{spike:?}");
    assert!(spike.seen > 1.5 * spike.expected && spike.probability < 1e-5);
    // It is over: another is another.
    let from = from + DAY;
    let found = feed(&mut state, from, from + HOUR, |_, seen| seen.calls *= 20);
    assert_eq!(kinds(&found), [Kind::VolumeSpike]);
}

#[test]
fn a_burst_that_lasts_is_told_once_and_becomes_usual_by_and_by() {
    let mut state = known(21);
    let found = feed(&mut state, 21 * DAY, 60 * DAY, |_, seen| seen.calls *= 3);
    assert_eq!(kinds(&found), [Kind::VolumeSpike]);
    let mean = state.rhythm.shape().mean();
    assert!((17_000.0..19_000.0).contains(&mean), "three times 6,000 an hour: {mean}");
    assert!(!state.is_open(Kind::VolumeSpike));
}

#[test]
fn silence_is_found_when_it_is_due_and_not_before() {
    let mut state = known(21);
    let last = 21 * DAY - 60;
    let when = due(&state).unwrap();
    assert!(when > at(last + 600) && when <= at(last + HOUR), "{when}");
    assert_eq!(observe(&mut state.clone(), &Observation::none(when.plus_seconds(-60))), []);
    let found = observe(&mut state, &Observation::none(when));
    assert_eq!(kinds(&found), [Kind::VolumeDrop]);
    assert_eq!((found[0].since, found[0].at, found[0].seen), (at(last + 60), when, 0.0));
    assert_eq!(due(&state), None, "it is told once");
    for hour in 1..100 {
        assert_eq!(observe(&mut state, &Observation::none(when.plus_seconds(hour * HOUR))), []);
    }
    // What was usual is not forgotten: neither is the return a spike, nor is a second silence overlooked.
    let back = 26 * DAY;
    assert_eq!(feed(&mut state, back, back + DAY, |_, _| {}), []);
    let when = due(&state).unwrap();
    assert_eq!(kinds(&observe(&mut state, &Observation::none(when))), [Kind::VolumeDrop]);
}

#[test]
fn next_to_none_is_a_drop_and_a_holiday_is_not() {
    let mut state = known(21);
    let found = feed(&mut state.clone(), 21 * DAY, 22 * DAY, |_, seen| {
        (seen.calls, seen.failures) = (seen.calls / 60, 0);
    });
    assert_eq!(kinds(&found), [Kind::VolumeDrop]);
    let found = feed(&mut state, 21 * DAY, 25 * DAY, |second, seen| {
        if second < 22 * DAY {
            (seen.calls, seen.failures) = (seen.calls * 3 / 10, 0);
        }
    });
    assert_eq!(found, [], "neither the day nor the day after");
}

#[test]
fn a_burst_on_a_holiday_is_found_and_the_end_of_one_is_no_news() {
    // Clusters that no forecast knows of: five times a third is not far above what is expected.
    let scattered = |second: i64, seen: &mut Observation| {
        let factor = [6, 9, 10, 13, 7, 15, 8, 12][noise(second / 600 * 7) as usize % 8];
        (seen.calls, seen.failures) = (seen.calls * factor / 10, 0);
    };
    let mut state = State::default();
    assert_eq!(feed(&mut state, 0, 21 * DAY, scattered), []);
    let holiday = |second: i64, seen: &mut Observation| {
        scattered(second, seen);
        seen.calls = if second < 22 * DAY { seen.calls * 3 / 10 } else { seen.calls };
    };
    assert_eq!(feed(&mut state.clone(), 21 * DAY, 24 * DAY, holiday), [], "neither the day nor the day after");
    let from = 21 * DAY + 10 * HOUR;
    let found = feed(&mut state, 21 * DAY, from + HOUR, |second, seen| {
        holiday(second, seen);
        seen.calls *= if second < from { 1 } else { 5 };
    });
    assert_eq!(kinds(&found), [Kind::VolumeSpike]);
    assert!(found[0].at <= at(from + 600), "{found:?}");
}

#[test]
fn a_burst_in_a_mornings_ramp_is_found_though_the_hour_after_has_as_many() {
    // Up from 8:00 to 10:00, down from 16:00 to 18:00.
    let office = |second: i64, seen: &mut Observation| {
        let minute = second.rem_euclid(DAY) / 60;
        let part = (minute - 480).min(1_080 - minute).clamp(0, 120) as u64;
        (seen.calls, seen.failures) = (seen.calls * part / 120, 0);
    };
    let mut state = State::default();
    assert_eq!(feed(&mut state, 0, 21 * DAY, office), []);
    let from = 21 * DAY + 8 * HOUR + 600;
    let found = feed(&mut state, 21 * DAY, from + HOUR, |second, seen| {
        office(second, seen);
        seen.calls *= if second < from { 1 } else { 5 };
    });
    assert_eq!(kinds(&found), [Kind::VolumeSpike]);
    assert!(found[0].at <= at(from + 600), "{found:?}");
}

#[test]
fn growth_is_no_news() {
    let mut state = known(14);
    let found = feed(&mut state, 14 * DAY, 56 * DAY, |second, seen| {
        seen.calls = (seen.calls as f64 * 2_f64.powf((second - 14 * DAY) as f64 / (28 * DAY) as f64)) as u64;
    });
    assert_eq!(found, [], "times 2 in four weeks, and on");
}

#[test]
fn a_country_that_never_came_up_is_told_once_and_a_visitor_is_not() {
    let mut state = known(14);
    let from = 14 * DAY;
    let visitor = lasting(vec![("FR".to_owned(), 2)]);
    let thief = lasting(vec![("KP".to_owned(), 5), ("DE".to_owned(), 95)]);
    let found = feed(&mut state, from, from + 2 * DAY, |second, seen| {
        if second == from + HOUR {
            seen.countries = visitor;
        }
        if second > from + DAY {
            seen.countries = thief;
        }
    });
    assert_eq!(kinds(&found), [Kind::NewCountry]);
    assert_eq!(found[0].subject.as_deref(), Some("KP"));
    assert!(found[0].at < at(from + DAY + HOUR) && found[0].seen >= 3.0 && found[0].probability < 1e-3, "{found:?}");
}

#[test]
fn calls_at_night_are_unusual_for_an_office() {
    let office = |second: i64, seen: &mut Observation| {
        let (day, hour) = (second.div_euclid(DAY) % 7, second.rem_euclid(DAY) / HOUR);
        if day >= 5 || !(8..18).contains(&hour) {
            (seen.calls, seen.failures, seen.countries, seen.destinations) = (0, 0, &[], &[]);
            (seen.delivered, seen.bounced) = (0, 0);
        }
    };
    let mut state = State::default();
    assert_eq!(feed(&mut state, 0, 28 * DAY, office), []);
    assert_eq!(due(&state).map(|when| when < at(28 * DAY + 8 * HOUR)), Some(false), "nights and weekends are silent");
    let found = feed(&mut state, 28 * DAY, 29 * DAY, |second, seen| {
        office(second, seen);
        if (28 * DAY + 2 * HOUR..28 * DAY + 4 * HOUR).contains(&second) {
            seen.calls = 5;
        }
    });
    assert_eq!(kinds(&found), [Kind::UnusualHour]);
    assert!(found[0].at < at(28 * DAY + 2 * HOUR + 1_800), "{found:?}");
}

#[test]
fn shares_that_rise_are_told_once() {
    let state = known(28);
    let from = 28 * DAY;
    let failing = feed(&mut state.clone(), from, from + 2 * DAY, |_, seen| seen.failures = 10);
    assert_eq!(kinds(&failing), [Kind::FailureRise]);
    assert!(failing[0].at < at(from + 1_800) && failing[0].expected < 0.02 && failing[0].seen > 0.05, "{failing:?}");
    let bouncing = feed(&mut state.clone(), from, from + 2 * DAY, |_, seen| {
        (seen.delivered, seen.bounced) = (75, 25);
    });
    assert_eq!(kinds(&bouncing), [Kind::BounceRise]);
    let pumped = lasting(vec![(5, 40), (1_000_001, 60)]);
    let strange = feed(&mut state.clone(), from, from + DAY, |_, seen| seen.destinations = pumped);
    assert_eq!(kinds(&strange), [Kind::UnknownDestinations]);
}

#[test]
fn a_quota_that_will_run_out_is_told_once_and_one_that_lasts_is_not() {
    let state = known(14);
    // 144,000 a day, so 15 days need 2,160,000.
    let quota = |left: u64, used: u64| Quota { limit: left + used, used, ends_at: at(29 * DAY) };
    let told = |left: u64| {
        feed(&mut state.clone(), 14 * DAY, 15 * DAY, |second, seen| {
            let used = (second - 14 * DAY) as u64 * 144_000 / 86_400;
            seen.quota = Some(Quota { limit: 500_000 + left, used: 500_000 + used, ..quota(left, 0) });
        })
    };
    assert_eq!(told(2_500_000), []);
    let found = told(1_440_000);
    assert_eq!(kinds(&found), [Kind::QuotaForecast]);
    let out = found[0].runs_out_at.unwrap();
    assert!(out > at(23 * DAY) && out < at(25 * DAY), "in ten days: {out}");
    assert!(found[0].expected < found[0].seen);
}

#[test]
fn nothing_is_told_of_what_is_not_known_for_long() {
    let mut state = State::default();
    let thief = lasting(vec![("KP".to_owned(), 100)]);
    assert_eq!(due(&state), None);
    assert_eq!(observe(&mut state, &Observation::none(at(0))), []);
    assert_eq!(state, {
        let mut empty = State::default();
        empty.mend();
        empty
    });
    let found = feed(&mut state, 0, 7 * DAY - HOUR, |second, seen| {
        let hour = second / HOUR;
        seen.calls = [0, 1, 100, 5_000][hour as usize % 4] * noise(hour) / 5;
        seen.quota = Some(Quota { limit: 10, used: 9, ends_at: at(30 * DAY) });
        if hour > 24 {
            seen.countries = thief;
        }
    });
    assert_eq!(found, []);
    assert_eq!(due(&state), None);
}

#[test]
fn summer_time_is_no_news() {
    let office = |shift: i64| {
        move |second: i64, seen: &mut Observation| {
            let (day, hour) = (second.div_euclid(DAY) % 7, (second + shift).rem_euclid(DAY) / HOUR);
            if day >= 5 || !(8..18).contains(&hour) {
                (seen.calls, seen.failures, seen.countries, seen.destinations) = (0, 0, &[], &[]);
                (seen.delivered, seen.bounced) = (0, 0);
            }
        }
    };
    for shift in [HOUR, -HOUR] {
        let mut state = State::default();
        feed(&mut state, 0, 28 * DAY, office(0));
        let found = feed(&mut state, 28 * DAY, 35 * DAY, office(shift));
        assert!(found.len() <= 2, "at most once each of an hour too soon or too late: {found:?}");
        assert!(!kinds(&found).contains(&Kind::VolumeDrop), "{found:?}");
    }
}

#[test]
fn a_state_survives_being_written_and_one_without_a_field_is_read() {
    let mut state = known(15);
    let mut read: State = serde_json::from_str(&serde_json::to_string(&state).unwrap()).unwrap();
    assert_eq!(read, state);
    let burst = |second: i64, seen: &mut Observation| {
        if second > 16 * DAY {
            (seen.calls, seen.failures) = (seen.calls * 7, 50);
        }
    };
    let found = feed(&mut state, 15 * DAY, 17 * DAY, burst);
    assert_eq!(feed(&mut read, 15 * DAY, 17 * DAY, burst), found);
    assert_eq!((read, found.len()), (state.clone(), 2));
    let json: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&serde_json::to_string(&state).unwrap()).unwrap();
    for field in json.keys() {
        let mut older = json.clone();
        older.remove(field);
        let mut older: State = serde_json::from_value(older.into()).unwrap();
        feed(&mut older, 17 * DAY, 17 * DAY + HOUR, |_, _| {});
    }
    assert_eq!(serde_json::from_str::<State>("{}").unwrap(), State::default());
}

#[test]
fn a_key_that_comes_back_after_long_begins_anew() {
    let mut state = known(15);
    let found = feed(&mut state, 60 * DAY, 66 * DAY, |_, seen| seen.calls *= 50);
    assert_eq!(found, []);
    assert!(state.rhythm.hours < WEEK);
}

/// A small generator, for streams too long for the framework's.
fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *seed >> 11
}

#[test]
fn no_stream_makes_the_state_grow_or_a_number_leave_the_numbers() {
    for (seed, most) in [(1_u64, 30_u64), (2, 1 << 20), (3, u64::MAX)] {
        let (mut seed, mut second, mut state, mut largest) = (seed, 0_i64, State::default(), 0);
        for step in 0..40_000 {
            let draw = next(&mut seed);
            second += match draw % 1_000 {
                0 => -((draw >> 12) as i64 % (90 * DAY)),
                1 => (draw >> 12) as i64 % (30 * DAY),
                2..=60 => (draw >> 12) as i64 % HOUR,
                _ => (draw >> 12) as i64 % 120 - 10,
            };
            let mut count = || next(&mut seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) % most;
            let code = |draw: u64| {
                format!("{}{}", (b'A' + (draw % 26) as u8) as char, (b'0' + (draw / 26 % 43) as u8) as char)
            };
            let countries =
                [(code(count()), count()), ("DE".to_owned(), count()), ("Ü".to_owned(), 1), (String::new(), 1)];
            let destinations = [(count(), count()), (count() % 300, 1)];
            let seen = Observation {
                at: at(second),
                calls: if draw.is_multiple_of(3) { 0 } else { count() },
                failures: count(),
                countries: &countries[..(draw % 5) as usize % 5],
                delivered: count(),
                bounced: count(),
                destinations: &destinations[..(draw % 3) as usize],
                quota: Some(Quota { limit: count(), used: count(), ends_at: at(second + DAY * (draw % 400) as i64) }),
            };
            for Finding { expected, seen, probability, since, at, .. } in observe(&mut state, &seen) {
                assert!(expected.is_finite() && expected >= 0.0 && seen.is_finite() && seen >= 0.0);
                assert!(probability > 0.0 && probability <= 1.0 && since <= at);
            }
            if step % 500 == 0 {
                let json = serde_json::to_string(&state).unwrap();
                assert!(!json.contains("null") || !json.replace("\"quota_told\":null", "").contains("null"), "{json}");
                assert_eq!(serde_json::from_str::<State>(&json).unwrap(), state);
                largest = largest.max(json.len());
                let _ = due(&state);
            }
        }
        assert!(largest <= MOST_BYTES, "{largest}");
    }
}

#[test]
fn the_largest_state_is_within_the_bound() {
    let mut state = known(15);
    state.minutes.fill(u32::MAX);
    let all: Vec<(String, u64)> = (0..1_296)
        .map(|place| {
            let sign = |digit: u32| char::from_digit(digit, 36).unwrap_or('0').to_ascii_uppercase();
            (format!("{}{}", sign(place / 36), sign(place % 36)), 1)
        })
        .collect();
    let most = u64::MAX / 2;
    let seen = Observation {
        calls: most,
        failures: most,
        countries: &all,
        delivered: most,
        bounced: most,
        ..plain(15 * DAY, most)
    };
    observe(&mut state, &seen);
    state.episodes = Kind::ALL.map(|kind| Episode { kind, since: i64::MIN, last: i64::MIN }).into();
    state.rhythm.fill(1.23e-6);
    for hash in 0..100_000 {
        observe(&mut state, &Observation { destinations: &[(hash, 1)], ..plain(15 * DAY + hash as i64 * 60, most) });
        if hash > 3_000 {
            break;
        }
    }
    state.rhythm.fill(1.23e-6);
    state.episodes = Kind::ALL.map(|kind| Episode { kind, since: i64::MIN, last: i64::MIN }).into();
    assert!(size(&state) <= MOST_BYTES, "{}", size(&state));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_instants_and_counts_are_survived(
        steps in proptest::collection::vec((any::<i64>(), any::<u64>(), any::<u64>(), any::<u64>()), 1..60),
    ) {
        let mut state = State::default();
        for (at, calls, failures, other) in steps {
            let at = Instant::from_millis(at);
            let quota = Some(Quota { limit: other, used: calls, ends_at: at.plus_seconds(failures as i64) });
            let seen = Observation {
                calls, failures, delivered: other, bounced: failures, destinations: &[(other, calls)], quota,
                ..Observation::none(at)
            };
            for finding in observe(&mut state, &seen) {
                prop_assert!(finding.probability > 0.0 && finding.expected.is_finite() && finding.seen.is_finite());
            }
            let _ = due(&state);
            prop_assert!(size(&state) <= MOST_BYTES);
        }
    }

    #[test]
    fn what_is_due_is_found_when_it_is(days in 14_i64..18, calls in 1_u64..200, every in 1_i64..40) {
        let mut state = State::default();
        let mut last = 0;
        for second in (0..days * DAY).step_by(every as usize * 60) {
            observe(&mut state, &plain(second, calls));
            last = second;
        }
        if let Some(when) = due(&state) {
            prop_assert!(when > at(last));
            prop_assert_eq!(kinds(&observe(&mut state, &Observation::none(when))), vec![Kind::VolumeDrop]);
            prop_assert_eq!(due(&state), None);
        }
    }

    #[test]
    fn reports_that_come_seconds_late_or_in_parts_find_the_same(parts in 1_u64..5, late in 0_i64..20) {
        let mut state = known(14);
        let from = 14 * DAY;
        let mut found = Vec::new();
        for minute in 0..180 {
            let calls = if minute < 60 { 100 } else { 600 };
            for part in 0..parts {
                let second = from + minute * 60 + 30 - late * (part as i64 % 2);
                found.extend(observe(&mut state, &plain(second, calls / parts)));
            }
        }
        prop_assert_eq!(kinds(&found), vec![Kind::VolumeSpike]);
    }
}
