//! How often the detectors of `keyward::anomaly` find what is there, how soon, and how often they are wrong; on seeded
//! traffic. `--seed N` for another; `--keys N` for fewer keys; `--bursts` for bursts of 5x alone. An [`oracle`] says how many of
//! these can be found.

mod oracle;
mod random;
mod traffic;

use keyward::anomaly::{Finding, Kind, Observation, observe};
use keyward::time::Instant;
use oracle::Oracle;
use random::Random;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use traffic::{DAY, Key, Rhythm, Run, START, WEEK, WEEKS, Wrong};

const SEED: u64 = 20_261_121;
const KEYS: usize = 240;
/// The plan that budgets and the oracle are of.
const FIVE: &str = "burst 5x, 1 h";

/// What is injected; name, kind, longest duration in minutes.
struct Plan {
    name: &'static str,
    kind: Kind,
    minutes: i64,
    wrong: Wrong,
}

fn plans() -> Vec<Plan> {
    let none =
        Wrong { more: 0.0, besides: 0.0, none: false, elsewhere: 0.0, failures: None, bounces: None, pumped: 0.0 };
    let plan = |name, kind, minutes, wrong| Plan { name, kind, minutes, wrong };
    vec![
        plan("burst 2x, 1 h", Kind::VolumeSpike, 60, Wrong { more: 1.0, ..none }),
        plan("burst 5x, 1 h", Kind::VolumeSpike, 60, Wrong { more: 4.0, ..none }),
        plan("burst 20x, 1 h", Kind::VolumeSpike, 60, Wrong { more: 19.0, ..none }),
        plan("drop to zero, 7 d", Kind::VolumeDrop, 7 * DAY, Wrong { none: true, ..none }),
        plan("new country 5 %, 3 d", Kind::NewCountry, 3 * DAY, Wrong { elsewhere: 0.05, ..none }),
        plan("new country 50 %, 3 d", Kind::NewCountry, 3 * DAY, Wrong { elsewhere: 0.5, ..none }),
        plan("unusual hour, 1 h at the mean", Kind::UnusualHour, 60, none),
        plan("quota burnt at 4x", Kind::QuotaForecast, 30 * DAY, Wrong { more: 3.0, ..none }),
        plan("failures 10 %, 1 d", Kind::FailureRise, DAY, Wrong { failures: Some(0.1), ..none }),
        plan("bounces 25 %, 1 d", Kind::BounceRise, DAY, Wrong { bounces: Some(0.25), ..none }),
        plan("unknown ranges 60 %, 1 d", Kind::UnknownDestinations, DAY, Wrong { pumped: 0.6, ..none }),
    ]
}

/// One injected episode.
struct Episode {
    plan: usize,
    /// Calls expected in the ten minutes from its start, and in its whole time.
    expected: (f64, f64),
    delay: Option<i64>,
    /// An hour before and an hour later, the rate is within a factor of 2.
    steady: bool,
    /// Findings of the kind before it.
    false_before: usize,
    /// The minute of its start, and how often an oracle would find it in ten minutes; for bursts of 5x.
    start: i64,
    oracle: Option<f64>,
}

struct Outcome {
    rhythm: Rhythm,
    clean: Vec<Finding>,
    /// Forecasts that came true.
    true_forecasts: usize,
    episodes: Vec<Episode>,
    bytes: usize,
    observations: u64,
    /// False alarms of the oracle on fresh clean traffic, and months of it.
    oracle: (usize, f64),
}

fn try_key(number: usize, seed: u64, plans: &[Plan], bursts: bool) -> Outcome {
    let mut random = Random::new(seed ^ (number as u64) << 32);
    let key = Key::draw(number, &mut random);
    // Where the episodes branch off: some time in the weeks six to eight.
    let branch = START + 5 * WEEK + random.below((3 * WEEK) as u64) as i64;
    let mut run = Run::new(&key, random);
    let (mut forecasts, mut true_forecasts, mut clean, mut episodes, mut bytes) =
        (0, 0, Vec::new(), Vec::<Episode>::new(), 0);
    while run.minute < START + WEEKS * WEEK {
        let (limit, ends) = run.quota;
        if run.minute + 1 >= ends && forecasts > 0 {
            true_forecasts += if run.used >= limit { forecasts } else { 0 };
            forecasts = 0;
        }
        run.step(&key, &Wrong::default());
        forecasts += run.found.iter().filter(|found| found.kind == Kind::QuotaForecast).count();
        clean.append(&mut run.found);
        if run.minute == branch {
            // What only some keys can meet, they meet more often, so that there are 200 episodes of each kind.
            let copies = |plan: &Plan| match plan.kind {
                _ if bursts && plan.name != FIVE => 0,
                Kind::UnusualHour => 3,
                Kind::BounceRise | Kind::UnknownDestinations => 2,
                _ => 1,
            };
            let tries =
                plans.iter().enumerate().flat_map(|(number, plan)| (0..copies(plan)).map(move |copy| (number, copy)));
            let tried = tries.filter_map(|(number, copy)| inject(&key, &run, number, copy, &plans[number]));
            episodes.extend(tried);
        }
        if run.minute % DAY == 0 {
            bytes = bytes.max(serde_json::to_vec(&run.state).map_or(usize::MAX, |json| json.len()));
        }
    }
    // What the unfinished span says of the rest is open: it counts as false, unless the quota is used up.
    true_forecasts += if run.used >= run.quota.0 { forecasts } else { 0 };
    let mut oracle = Oracle::new(&key, branch, 0.25 * key.per_day / 1_440.0, Random::new(seed ^ !(number as u64)));
    for episode in episodes.iter_mut().filter(|episode| plans[episode.plan].name == FIVE) {
        episode.oracle = Some(oracle.finds(episode.start, plans[episode.plan].wrong.more));
    }
    let oracle = oracle.check();
    Outcome { rhythm: key.rhythm, clean, true_forecasts, episodes, bytes, observations: run.observations, oracle }
}

fn inject(key: &Key, from: &Run, number: usize, copy: u64, plan: &Plan) -> Option<Episode> {
    let mut run = from.clone();
    run.random = Random::new(run.random.bits() ^ number as u64 ^ copy << 32);
    if matches!(plan.kind, Kind::BounceRise | Kind::UnknownDestinations) && !key.messages {
        return None;
    }
    let mean = key.per_day / 1_440.0;
    let mut wrong = plan.wrong;
    let start = if plan.kind == Kind::UnusualHour {
        wrong.besides = mean;
        (run.minute..run.minute + 5 * DAY).find(|minute| key.is_quiet(*minute))? + run.random.below(60) as i64
    } else {
        // Some time in the next day at which the key is in use: a quarter of its mean rate at least.
        let offset = run.random.below(DAY as u64) as i64;
        (run.minute + offset..run.minute + 5 * DAY).find(|minute| key.expected(*minute) >= 0.25 * mean)?
    };
    while run.minute < start {
        run.step(key, &Wrong::default());
    }
    if plan.kind == Kind::QuotaForecast {
        // Half of the quota's span is left, and three quarters of what is needed at the usual rate are too much at four times.
        let ends = start + 15 * DAY;
        run.quota = (run.used + (key.per_day * 15.0 * 2.0) as u64 + 20, ends);
        for _ in 0..20 {
            run.step(key, &Wrong::default());
        }
    }
    let start = run.minute;
    let false_before = run.found.iter().filter(|found| found.kind == plan.kind).count();
    let sum = |span: i64| (start..start + span).map(|minute| key.expected(minute)).sum::<f64>();
    // At unusual hours, those that are injected.
    let expected = (sum(10), sum(plan.minutes) + wrong.besides * plan.minutes as f64);
    let (limit, _) = run.quota;
    let mut delay = None;
    // A little longer: what is found as it ends is found.
    let late = if plan.minutes <= 60 { 2 } else { 0 };
    for minute in start..start + plan.minutes + late {
        if plan.kind == Kind::QuotaForecast && run.used >= limit {
            break;
        }
        let wrong = if minute < start + plan.minutes { wrong } else { Wrong::default() };
        run.step(key, &wrong);
        delay = run.first(plan.kind, start).map(|at| at - start);
        if delay.is_some() {
            break;
        }
    }
    let steady = [-60, 60].iter().all(|ago| (0.5..=2.0).contains(&(key.expected(start + ago) / key.expected(start))));
    Some(Episode { plan: number, expected, delay, steady, false_before, start, oracle: None })
}

fn quantile(sorted: &[i64], part: f64) -> String {
    match sorted.len() {
        0 => "–".to_owned(),
        some => {
            let minutes = sorted[((some - 1) as f64 * part).round() as usize];
            if minutes < 180 { format!("{minutes} min") } else { format!("{:.1} h", minutes as f64 / 60.0) }
        }
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |name: &str| {
        let place = arguments.iter().position(|argument| argument == name)?;
        arguments.get(place + 1)?.parse::<u64>().ok()
    };
    let (seed, keys) = (number("--seed").unwrap_or(SEED), number("--keys").map_or(KEYS, |keys| keys as usize));
    let bursts = arguments.iter().any(|argument| argument == "--bursts");
    let plans = plans();
    let began = std::time::Instant::now();
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from).min(8) {
            scope.spawn(|| {
                loop {
                    let key = next.fetch_add(1, Ordering::Relaxed);
                    if key >= keys {
                        break;
                    }
                    let outcome = try_key(key, seed, &plans, bursts);
                    if let Ok(mut done) = done.lock() {
                        done.push((key, outcome));
                    }
                }
            });
        }
    });
    let mut outcomes = done.into_inner().unwrap_or_default();
    outcomes.sort_by_key(|(key, _)| *key);
    let outcomes: Vec<Outcome> = outcomes.into_iter().map(|(_, outcome)| outcome).collect();
    print(&plans, &outcomes, seed);
    let longest = outcomes.iter().map(|outcome| outcome.bytes).max().unwrap_or(0);
    let mut bytes: Vec<usize> = outcomes.iter().map(|outcome| outcome.bytes).collect();
    bytes.sort_unstable();
    println!("\nstate, bytes of JSON: median {}, most {longest}", bytes[bytes.len() / 2]);
    println!("ns per observation: {:.0}", nanoseconds());
    let observations: u64 = outcomes.iter().map(|outcome| outcome.observations).sum();
    println!("{observations} clean observations; {:.0} s in all", began.elapsed().as_secs_f64());
}

/// Mean time of a step on a state that knows eight weeks, in a report of one country.
fn nanoseconds() -> f64 {
    let countries = [("DE".to_owned(), 50)];
    let mut state = keyward::anomaly::State::default();
    let step = |state: &mut _, second: i64| {
        let at = Instant::from_millis(START * 60_000).plus_seconds(second);
        let calls = 50 + second as u64 % 7;
        observe(state, &Observation { calls, failures: 1, countries: &countries, ..Observation::none(at) }).len()
    };
    let learnt: i64 = 8 * 7 * 86_400;
    (0..learnt / 30).for_each(|turn| {
        step(&mut state, turn * 30);
    });
    let began = std::time::Instant::now();
    let found: usize = (0..400_000).map(|turn| step(&mut state, learnt + turn * 2)).sum();
    std::hint::black_box(found);
    began.elapsed().as_nanos() as f64 / 400_000.0
}

fn print(plans: &[Plan], outcomes: &[Outcome], seed: u64) {
    // Nothing can be said in the first week.
    let months = outcomes.len() as f64 * (WEEKS - 1) as f64 * 7.0 / 30.0;
    println!(
        "seed {seed}; {} keys, {WEEKS} weeks of clean traffic, {months:.0} key-months after the first week",
        outcomes.len()
    );
    println!("\n| false alarms on clean traffic | per key and month | office | evening | flat | night | sparse |");
    println!("|---|---|---|---|---|---|---|");
    let count = |kind: Option<Kind>, rhythm: Option<Rhythm>| -> f64 {
        let of = outcomes.iter().filter(|outcome| rhythm.is_none_or(|rhythm| outcome.rhythm == rhythm));
        let (mut keys, mut sum) = (0, 0);
        for outcome in of {
            keys += 1;
            sum += outcome.clean.iter().filter(|found| kind.is_none_or(|kind| found.kind == kind)).count();
            if kind.is_none_or(|kind| kind == Kind::QuotaForecast) {
                sum -= outcome.true_forecasts;
            }
        }
        sum as f64 / (f64::from(keys) * (WEEKS - 1) as f64 * 7.0 / 30.0)
    };
    for kind in Kind::ALL.map(Some).into_iter().chain([None]) {
        let name = kind.map_or("all kinds".to_owned(), |kind| format!("{kind:?}"));
        let by: Vec<String> = Rhythm::ALL.map(|rhythm| format!("{:.3}", count(kind, Some(rhythm)))).into();
        println!("| {name} | {:.3} | {} |", count(kind, None), by.join(" | "));
    }
    let by_key: Vec<usize> = outcomes.iter().map(|outcome| outcome.clean.len() - outcome.true_forecasts).collect();
    println!(
        "\nkeys without any false alarm: {} of {}; most of one key: {}",
        by_key.iter().filter(|count| **count == 0).count(),
        by_key.len(),
        by_key.iter().max().unwrap_or(&0)
    );
    println!(
        "\n| injected | calls expected | episodes | precision | recall | found in 10 min | oracle | median delay | p90 delay |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for (number, plan) in plans.iter().enumerate() {
        let of = |low: f64, high: f64| {
            let within = move |episode: &&Episode| {
                let by = if plan.kind == Kind::VolumeSpike { episode.expected.0 } else { episode.expected.1 };
                episode.plan == number && (low..high).contains(&by)
            };
            outcomes.iter().flat_map(|outcome| &outcome.episodes).filter(within).collect::<Vec<_>>()
        };
        let bounds: &[f64] = match plan.kind == Kind::VolumeSpike {
            true => &[0.0, 1.0, 3.0, 10.0, 30.0, 100.0, f64::INFINITY],
            false => &[0.0, 30.0, 100.0, 1_000.0, 10_000.0, f64::INFINITY],
        };
        let all = [(0.0, f64::INFINITY)];
        let classes = bounds.windows(2).map(|pair| (pair[0], pair[1]));
        for (low, high) in all.into_iter().chain(classes) {
            let episodes = of(low, high);
            if episodes.is_empty() {
                continue;
            }
            let mut delays: Vec<i64> = episodes.iter().filter_map(|episode| episode.delay).collect();
            delays.sort_unstable();
            let whole = low == 0.0 && high.is_infinite();
            let precision = if whole {
                let mut wrong = count(Some(plan.kind), None) * months;
                wrong += episodes.iter().map(|episode| episode.false_before).sum::<usize>() as f64;
                // As if each key met one such episode in the time of the clean traffic.
                let wrong = wrong * episodes.len() as f64 / outcomes.len() as f64;
                format!("{:.3}", delays.len() as f64 / (delays.len() as f64 + wrong).max(1.0))
            } else {
                String::new()
            };
            let soon = delays.iter().filter(|delay| **delay <= 10).count() as f64 / episodes.len() as f64;
            let span = if plan.kind == Kind::VolumeSpike { "in 10 min" } else { "in its time" };
            let class = match (whole, high.is_infinite()) {
                (true, _) => "all".to_owned(),
                (_, true) => format!("{low} and more {span}"),
                _ => format!("{low} to {high} {span}"),
            };
            let oracle: f64 = episodes.iter().filter_map(|episode| episode.oracle).sum::<f64>() / episodes.len() as f64;
            let oracle = if plan.name == FIVE { format!("{oracle:.3}") } else { String::new() };
            println!(
                "| {} | {class} | {} | {precision} | {:.3} | {soon:.3} | {oracle} | {} | {} |",
                plan.name,
                episodes.len(),
                delays.len() as f64 / episodes.len() as f64,
                quantile(&delays, 0.5),
                quantile(&delays, 0.9)
            );
        }
    }
    budgets(plans, outcomes, &count);
}

/// What was aimed at, and whether it was met.
fn budgets(plans: &[Plan], outcomes: &[Outcome], count: &dyn Fn(Option<Kind>, Option<Rhythm>) -> f64) {
    let verdict = |met: bool| if met { "met" } else { "MISSED" };
    let (all, most) = (count(None, None), Rhythm::ALL.map(|of| count(None, Some(of))).into_iter().fold(0.0, f64::max));
    println!("\nbudget: at most 1 false alarm per key and month: {all:.3}, {}", verdict(all <= 1.0));
    println!("budget: the same, of the worst rhythm: {most:.3}, {}", verdict(most <= 1.0));
    let Some(five) = plans.iter().position(|plan| plan.name == FIVE) else { return };
    for (name, least, steady, allowed) in [
        ("any key", 0.0, false, false),
        ("30 calls and more expected in 10 min", 30.0, false, false),
        ("100 calls and more expected in 10 min", 100.0, false, false),
        ("30 calls and more, at hours whose neighbours are within a factor of 2", 30.0, true, false),
        ("100 calls and more, at hours whose neighbours are within a factor of 2", 100.0, true, false),
        ("any key, where the oracle finds 0.95", 0.0, false, true),
        ("30 calls and more, where the oracle finds 0.95", 30.0, false, true),
        ("100 calls and more, where the oracle finds 0.95", 100.0, false, true),
    ] {
        let of = outcomes.iter().flat_map(|outcome| &outcome.episodes);
        let of = of.filter(|of| of.plan == five && of.expected.0 >= least && (of.steady || !steady));
        let of: Vec<_> = of.filter(|of| !allowed || of.oracle.is_some_and(|oracle| oracle >= 0.95)).collect();
        let soon = of.iter().filter(|of| of.delay.is_some_and(|delay| delay <= 10)).count() as f64;
        let recall = soon / of.len().max(1) as f64;
        println!(
            "budget: a burst of 5x within 10 min, recall at least 0.95; {name}: {recall:.3} of {}, {}",
            of.len(),
            verdict(recall >= 0.95)
        );
    }
    let oracle = |rhythm: Option<Rhythm>| {
        let of = outcomes.iter().filter(|outcome| rhythm.is_none_or(|rhythm| outcome.rhythm == rhythm));
        let (alarms, months) = of.map(|of| of.oracle).fold((0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        alarms as f64 / f64::max(months, 1.0)
    };
    println!(
        "oracle, false alarms per key and month of fresh clean traffic: {:.3}; {}",
        oracle(None),
        Rhythm::ALL.map(|rhythm| format!("{rhythm:?} {:.3}", oracle(Some(rhythm)))).join(", ")
    );
}
