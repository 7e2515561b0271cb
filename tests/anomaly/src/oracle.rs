//! What a detector could find that knew the law a key's traffic is drawn from: the rate at each minute, holidays, growth, how
//! sessions come, and how much hours and ten minutes scatter; and at which hours bursts are tried. It does not know what was
//! drawn.
//!
//! Each minute, for a burst that began in the last 2, 4, 7 or 11 minutes, it weighs the counts of the last 65 by the matched
//! filter: the inverse of their true covariance times what the burst adds, which comes in over ten minutes where there are
//! sessions. The weighted sum becomes a likelihood ratio, by gamma laws. The greatest of the four is held against a threshold
//! for the key and, as those laws are nearly the law only, for its busy and its quieter hours. The thresholds are those by
//! which most simulated bursts are found, of those with 0.9 false alarms a month on simulated clean traffic.
//!
//! It is one detector, and a strong one: what it finds, the law allows. That no other finds more is not proved.

use crate::random::Random;
use crate::traffic::{Chance, DAY, Key, Wrong};

/// Minutes that are weighed one by one, blocks of ten minutes before them, and the features they make.
const SINGLE: usize = 15;
const BLOCKS: usize = 5;
const FEATURES: usize = SINGLE + BLOCKS;
const LOOK: usize = SINGLE + 10 * BLOCKS;
/// Minutes since a burst began that it is looked for by.
const SINCE: [usize; 4] = [2, 4, 7, 11];
/// Minutes of traffic before the first that is judged: whole hours.
const WARM: i64 = 180;
/// Minutes that are judged in one simulation: a week, so that every hour of it counts.
const SPAN: i64 = 7 * DAY;
/// Simulated spans that the threshold is found with, those that it is checked with, and bursts that recall is estimated with.
const LEARN: usize = 40;
const CHECK: usize = 16;
const BURSTS: usize = 200;
/// Minutes without an alarm that end an episode, as for the detector.
const CALM: usize = 180;
const MONTH: f64 = 30.0 * DAY as f64;

/// Weights of one minute for one age of a burst.
struct Filter {
    weights: [f32; FEATURES],
    offset: f64,
    gain: f64,
    constant: f64,
}

impl Filter {
    /// ln of the likelihood ratio.
    fn ratio(&self, features: &[f64; FEATURES]) -> f64 {
        let sum: f64 = self.weights.iter().zip(features).map(|(weight, count)| f64::from(*weight) * count).sum();
        let above = sum - self.offset;
        if above > 0.0 { self.gain * above.ln() - self.constant } else { f64::NEG_INFINITY }
    }
}

pub(crate) struct Oracle<'k> {
    key: &'k Key,
    random: Random,
    /// The first minute of the simulations, a full hour.
    from: i64,
    /// Calls expected of sessions that begin in a minute.
    rates: Vec<f64>,
    /// By minute that is judged.
    filters: Vec<[Filter; 4]>,
    /// By minute that is judged: its class, by its rate; none where no burst is looked for.
    classes: Vec<Option<usize>>,
    thresholds: Vec<f64>,
}

impl<'k> Oracle<'k> {
    /// For bursts that begin within a week from `from` on, in minutes since the epoch, in minutes with `least` calls and more.
    pub(crate) fn new(key: &'k Key, from: i64, least: f64, random: Random) -> Self {
        let from = from.div_euclid(60) * 60 - WARM;
        let rates: Vec<f64> = (from..from + WARM + SPAN).map(|minute| key.expected(minute)).collect();
        let law = Law::new(key);
        let judged = WARM as usize..rates.len();
        let filters = judged.clone().map(|now| law.filters(&rates, now, from + now as i64)).collect();
        let most = rates[judged.clone()].iter().copied().fold(0.0, f64::max);
        let class = |rate: f64| (rate >= least).then(|| (most / rate).log2() as usize);
        let classes: Vec<Option<usize>> = judged.map(|now| class(rates[now])).collect();
        let count = classes.iter().flatten().max().map_or(0, |class| class + 1);
        let mut oracle =
            Self { key, random, from, rates, filters, classes, thresholds: vec![f64::NEG_INFINITY; count] };
        oracle.learn();
        oracle
    }

    /// Finds the thresholds by which most bursts are found, of those with less than a false alarm a month.
    fn learn(&mut self) {
        let runs: Vec<Vec<(usize, f64)>> = (0..LEARN).map(|_| self.clean()).collect();
        // For each class the thresholds that may be, with bursts found and false alarms.
        let curves: Vec<Vec<(f64, f64, f64)>> = (0..self.thresholds.len())
            .map(|class| {
                let minutes: Vec<usize> =
                    (0..self.classes.len()).filter(|at| self.classes[*at] == Some(class)).collect();
                let tries = if minutes.is_empty() { 0 } else { BURSTS };
                let starts: Vec<usize> =
                    (0..tries).map(|_| minutes[self.random.below(minutes.len() as u64) as usize]).collect();
                let bursts: Vec<f64> = starts
                    .into_iter()
                    .map(|start| {
                        self.burst(start as i64 + WARM, 4.0).map(|(_, ratio)| ratio).fold(f64::NEG_INFINITY, f64::max)
                    })
                    .collect();
                let of: Vec<Vec<(usize, f64)>> = runs
                    .iter()
                    .map(|run| run.iter().copied().filter(|(minute, _)| self.class(*minute) == Some(class)).collect())
                    .collect();
                let mut levels: Vec<f64> = of.iter().flatten().map(|(_, ratio)| *ratio).collect();
                levels.sort_unstable_by(|one, other| other.total_cmp(one));
                levels.truncate(2_000);
                let levels = std::iter::once(f64::INFINITY).chain(levels.into_iter().step_by(4)).chain([0.0]);
                levels
                    .map(|level| {
                        let found = bursts.iter().filter(|ratio| **ratio > level).count() as f64;
                        let wrong =
                            of.iter().map(|run| alarms(run.iter().filter(|(_, ratio)| *ratio > level))).sum::<usize>();
                        (level, found * minutes.len() as f64, wrong as f64)
                    })
                    .collect()
            })
            .collect();
        // A price of a false alarm, the lowest that keeps within the budget.
        let budget = 0.9 * LEARN as f64 * SPAN as f64 / MONTH;
        let at = |price: f64| -> Vec<(f64, f64, f64)> {
            let worth = |one: &(f64, f64, f64)| one.1 - price * one.2;
            curves
                .iter()
                .filter_map(|curve| {
                    curve
                        .iter()
                        .copied()
                        .max_by(|one, other| worth(one).total_cmp(&worth(other)).then(other.0.total_cmp(&one.0)))
                })
                .collect()
        };
        let (mut low, mut high) = (-20.0, 20.0);
        for _ in 0..40 {
            let middle = f64::midpoint(low, high);
            let wrong: f64 = at(middle.exp()).iter().map(|(.., wrong)| wrong).sum();
            if wrong <= budget { high = middle } else { low = middle }
        }
        let mut chosen = at(high.exp());
        // A price leaves something of the budget, which goes where it finds most.
        loop {
            let left = budget - chosen.iter().map(|(.., wrong)| wrong).sum::<f64>();
            let better =
                curves.iter().enumerate().flat_map(|(class, curve)| curve.iter().map(move |one| (class, *one)));
            let better = better.filter(|(class, one)| one.2 - chosen[*class].2 <= left && one.1 > chosen[*class].1);
            let gain = |(class, one): &(usize, (f64, f64, f64))| one.1 - chosen[*class].1;
            let Some((class, one)) = better.max_by(|one, other| gain(one).total_cmp(&gain(other))) else { break };
            chosen[class] = one;
        }
        self.thresholds = chosen.into_iter().map(|(level, ..)| level).collect();
    }

    /// False alarms on fresh clean traffic, and months of it.
    pub(crate) fn check(&mut self) -> (usize, f64) {
        let wrong = (0..CHECK).map(|_| {
            let run = self.clean();
            alarms(run.iter().filter(|(minute, ratio)| self.is_alarm(*minute, *ratio)))
        });
        (wrong.sum(), CHECK as f64 * SPAN as f64 / MONTH)
    }

    /// How often a burst of that many times more, from `start` on, is found by the minute `start + 10`.
    pub(crate) fn finds(&mut self, start: i64, more: f64) -> f64 {
        let found = (0..BURSTS).filter(|_| {
            let found: Vec<_> = self.burst(start - self.from, more).collect();
            found.into_iter().any(|(minute, ratio)| self.is_alarm(minute, ratio))
        });
        found.count() as f64 / BURSTS as f64
    }

    fn class(&self, minute: usize) -> Option<usize> {
        self.classes.get(minute - WARM as usize).copied().flatten()
    }

    fn is_alarm(&self, minute: usize, ratio: f64) -> bool {
        self.class(minute).is_some_and(|class| ratio > self.thresholds[class])
    }

    /// The first eleven minutes of a burst, in fresh traffic.
    fn burst(&mut self, start: i64, more: f64) -> impl Iterator<Item = (usize, f64)> + use<> {
        let begin = (start - LOOK as i64 - LAGS as i64).div_euclid(60) * 60;
        let mut counts = Counts::new(self.from + begin, begin as usize);
        let mut all = Vec::with_capacity(11);
        for minute in begin..=(start + 10).min(self.rates.len() as i64 - 1) {
            let wrong = Wrong { more: if minute >= start { more } else { 0.0 }, ..Wrong::default() };
            counts.step(&mut self.random, self.key, &self.rates, &wrong);
            if minute >= start {
                all.push((minute as usize, self.ratio(&counts, minute as usize)));
            }
        }
        all.into_iter()
    }

    fn ratio(&self, counts: &Counts, now: usize) -> f64 {
        let features = counts.features();
        self.filters[now - WARM as usize].iter().map(|filter| filter.ratio(&features)).fold(f64::NEG_INFINITY, f64::max)
    }

    /// Minutes of a week of clean traffic in which a burst is likelier than not.
    fn clean(&mut self) -> Vec<(usize, f64)> {
        let mut counts = Counts::new(self.from, 0);
        let mut some = Vec::new();
        for minute in 0..self.rates.len() {
            counts.step(&mut self.random, self.key, &self.rates, &Wrong::default());
            if minute >= WARM as usize && self.class(minute).is_some() {
                let ratio = self.ratio(&counts, minute);
                if ratio > 0.0 {
                    some.push((minute, ratio));
                }
            }
        }
        some
    }
}

/// Episodes among minutes with an alarm.
fn alarms<'m>(minutes: impl Iterator<Item = &'m (usize, f64)>) -> usize {
    let mut last = None;
    minutes.filter(|(minute, _)| last.replace(*minute).is_none_or(|last: usize| minute - last >= CALM)).count()
}

/// Simulated counts, by sums up to each minute.
struct Counts {
    chance: Chance,
    from: i64,
    offset: usize,
    sums: Vec<f64>,
}

impl Counts {
    fn new(from: i64, offset: usize) -> Self {
        Self { chance: Chance::new(), from, offset, sums: vec![0.0] }
    }

    fn step(&mut self, random: &mut Random, key: &Key, rates: &[f64], wrong: &Wrong) {
        let place = self.sums.len() - 1;
        let calls = self.chance.calls(random, key, self.from + place as i64, rates[self.offset + place], wrong);
        self.sums.push(self.sums[place] + calls as f64);
    }

    fn features(&self) -> [f64; FEATURES] {
        let end = self.sums.len() - 1;
        std::array::from_fn(|feature| {
            let (newest, oldest) = ages(feature);
            self.sums[end - newest] - self.sums[end - oldest - 1]
        })
    }
}

/// The minutes ago of a feature's newest and oldest minute.
fn ages(feature: usize) -> (usize, usize) {
    if feature < SINGLE {
        (feature, feature)
    } else {
        (SINGLE + (feature - SINGLE) * 10, SINGLE + (feature - SINGLE) * 10 + 9)
    }
}

/// Minutes over which the calls of a session come, and whose sessions are looked at.
const LAGS: usize = 10;
const BORN: usize = LOOK + LAGS - 1;

/// What the law makes of counts.
struct Law {
    session: f64,
    lags: usize,
    /// By minute of the hour and minutes before it: relative covariance of the rates, by the factors of hours and ten minutes.
    factors: Vec<[f64; BORN]>,
}

impl Law {
    fn new(key: &Key) -> Self {
        let of = |one: i64, other: i64| {
            let same = |span: i64| f64::from(u8::from(one.div_euclid(span) == other.div_euclid(span)));
            (1.0 + key.by_hour * same(60)) * (1.0 + key.by_ten * same(10)) - 1.0
        };
        let factors = (0..60).map(|minute| std::array::from_fn(|ago| of(minute, minute - ago as i64))).collect();
        Self { session: key.session, lags: if key.session > 1.0 { LAGS } else { 1 }, factors }
    }

    /// Means of the counts of the last minutes, newest first, and their covariance by feature. `rates` are of the minutes up
    /// to `now`, newest first.
    fn moments(&self, rates: &[f64; BORN], now: i64) -> ([f64; LOOK], [[f64; FEATURES]; FEATURES]) {
        let lags = self.lags;
        let share = 1.0 / lags as f64;
        // Sums over the minutes in which the calls of a minute may have begun.
        let boxed = |of: &[f64; BORN]| -> [f64; LOOK] {
            let mut sum: f64 = of[..lags - 1].iter().sum();
            std::array::from_fn(|ago| {
                sum += of[ago + lags - 1];
                let all = sum;
                sum -= of[ago];
                all
            })
        };
        let means = boxed(rates).map(|sum| sum * share);
        let rows: [[f64; LOOK]; BORN] = std::array::from_fn(|one| {
            let phase = |ago: usize| &self.factors[(now - ago as i64).rem_euclid(60) as usize];
            boxed(&std::array::from_fn(|other| {
                rates[one] * rates[other] * phase(one.min(other))[one.abs_diff(other)] * share * share
            }))
        });
        let mut column = [0.0; LOOK];
        let add = |column: &mut [f64; LOOK], row: &[f64; LOOK], sign: f64| {
            column.iter_mut().zip(row).for_each(|(sum, part)| *sum += sign * part);
        };
        rows[..lags - 1].iter().for_each(|row| add(&mut column, row, 1.0));
        // Of a minute, more than 40 calls come in 40 lumps.
        let lumps = rates.map(|rate| if lags > 1 { rate * (rate / 40.0 - 1.0).max(0.0) } else { 0.0 });
        let pairs = rates.map(|rate| rate * 2.0 * (self.session - 1.0) * share * share);
        let mut place = [0; LOOK];
        for feature in 0..FEATURES {
            let (newest, oldest) = ages(feature);
            place[newest..=oldest].fill(feature);
        }
        let mut covariance = [[0.0; FEATURES]; FEATURES];
        for one in 0..LOOK {
            add(&mut column, &rows[one + lags - 1], 1.0);
            for other in one..LOOK {
                let mut value = column[other];
                if other < one + lags {
                    let common = other..one + lags;
                    value +=
                        pairs[common.clone()].iter().sum::<f64>() - lumps[common].iter().sum::<f64>() * share * share;
                }
                if one == other {
                    value += means[one] + lumps[one..one + lags].iter().sum::<f64>() * share;
                }
                covariance[place[other]][place[one]] += value;
                if one != other && place[one] == place[other] {
                    covariance[place[other]][place[one]] += value;
                }
            }
            add(&mut column, &rows[one], -1.0);
        }
        (means, covariance)
    }

    /// `now` is a place in `rates`, `minute` its minute since the epoch.
    fn filters(&self, rates: &[f64], now: usize, minute: i64) -> [Filter; 4] {
        let (means, covariance) = self.moments(&std::array::from_fn(|ago| rates[now - ago]), minute);
        let mut expected = [0.0; FEATURES];
        for (feature, expected) in expected.iter_mut().enumerate() {
            let (newest, oldest) = ages(feature);
            *expected = means[newest..=oldest].iter().sum();
        }
        let factor = cholesky(covariance);
        SINCE.map(|since| {
            let added: [f64; FEATURES] = std::array::from_fn(|ago| {
                if ago >= since {
                    return 0.0;
                }
                let begun = &rates[now + 1 - since..=now - ago];
                4.0 * begun[begun.len().saturating_sub(self.lags)..].iter().sum::<f64>() / self.lags as f64
            });
            // As Poisson counts are weighed.
            let signal = std::array::from_fn(|place| expected[place] * (added[place] / expected[place]).ln_1p());
            let weights = solve(&factor, signal);
            let most = weights.iter().copied().fold(0.0, f64::max);
            let weights = weights.map(|weight| weight / most);
            let variance = weights.iter().zip(&signal).map(|(weight, part)| weight * part).sum::<f64>() / most;
            let calls: f64 = (0..since).map(|ago| weights[ago] * weights[ago] * expected[ago]).sum();
            // The sum above its least, over its scale, has a gamma law, whose shape a burst makes larger.
            let scale = (variance / calls).max(1.0) - 0.5;
            let shape = variance / (scale * scale);
            let sum = |of: &[f64; FEATURES]| weights.iter().zip(of).map(|(weight, part)| weight * part).sum::<f64>();
            let gain = sum(&added) / scale;
            Filter {
                weights: weights.map(|weight| (weight / scale) as f32),
                offset: sum(&expected) / scale - shape,
                gain,
                constant: ln_gamma(shape + gain) - ln_gamma(shape),
            }
        })
    }
}

/// ln Γ, by Stirling's series after a few steps of the recurrence.
fn ln_gamma(mut of: f64) -> f64 {
    let mut less = 0.0;
    while of < 8.0 {
        less += of.ln();
        of += 1.0;
    }
    (of - 0.5) * of.ln() - of + 0.5 * std::f64::consts::TAU.ln() + 1.0 / (12.0 * of) - 1.0 / (360.0 * of.powi(3)) - less
}

/// The lower triangle L of A = L·Lᵀ.
fn cholesky(mut of: [[f64; FEATURES]; FEATURES]) -> [[f64; FEATURES]; FEATURES] {
    for row in 0..FEATURES {
        for column in 0..=row {
            let done: f64 = (0..column).map(|place| of[row][place] * of[column][place]).sum();
            let left = of[row][column] - done;
            of[row][column] = if row == column { left.max(1e-300).sqrt() } else { left / of[column][column] };
        }
    }
    of
}

/// x of L·Lᵀ·x = b.
fn solve(factor: &[[f64; FEATURES]; FEATURES], mut of: [f64; FEATURES]) -> [f64; FEATURES] {
    for row in 0..FEATURES {
        let done: f64 = (0..row).map(|place| factor[row][place] * of[place]).sum();
        of[row] = (of[row] - done) / factor[row][row];
    }
    for row in (0..FEATURES).rev() {
        let done: f64 = (row + 1..FEATURES).map(|place| factor[place][row] * of[place]).sum();
        of[row] = (of[row] - done) / factor[row][row];
    }
    of
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_and_covariance_are_those_of_simulated_counts() {
        let mut random = Random::new(5);
        for (session, rate) in [(1.0, 3.0), (6.0, 3.0), (2.0, 200.0)] {
            let mut key = Key::draw(0, &mut random);
            (key.session, key.by_hour, key.by_ten) = (session, 0.1, 0.05);
            // Three hours, the last of them with twice the rate; looked at from 25 minutes past.
            let rates: Vec<f64> = (0..180).map(|minute| if minute < 120 { rate } else { 2.0 * rate }).collect();
            let now = 145;
            let (means, covariance) = Law::new(&key).moments(&std::array::from_fn(|ago| rates[now - ago]), now as i64);
            let mut expected = [0.0; FEATURES];
            for (feature, expected) in expected.iter_mut().enumerate() {
                let (newest, oldest) = ages(feature);
                *expected = means[newest..=oldest].iter().sum();
            }
            let (mut errors, mut products, draws) = ([0.0; FEATURES], [[0.0; FEATURES]; FEATURES], 6_000);
            for _ in 0..draws {
                let mut counts = Counts::new(0, 0);
                (0..=now).for_each(|_| counts.step(&mut random, &key, &rates, &Wrong::default()));
                let seen = counts.features();
                for one in 0..FEATURES {
                    errors[one] += (seen[one] - expected[one]) / f64::from(draws);
                    for other in 0..=one {
                        products[one][other] +=
                            (seen[one] - expected[one]) * (seen[other] - expected[other]) / f64::from(draws);
                    }
                }
            }
            for one in 0..FEATURES {
                let deviation = covariance[one][one].sqrt();
                assert!(errors[one].abs() < 0.08 * deviation, "{session}: mean of {one}");
                for other in 0..=one {
                    let scale = deviation * covariance[other][other].sqrt();
                    let (seen, law) = (products[one][other] / scale, covariance[one][other] / scale);
                    assert!(
                        (seen - law).abs() < if one == other { 0.15 } else { 0.08 },
                        "{session}: {one} {other}: {seen} {law}"
                    );
                }
            }
        }
    }

    #[test]
    fn what_solves_a_system_is_found() {
        let mut of = [[0.0; FEATURES]; FEATURES];
        for (row, line) in of.iter_mut().enumerate() {
            line[row] = 2.0 + row as f64;
            line[..row].fill(0.5);
        }
        let right = std::array::from_fn(|place| place as f64 - 4.0);
        let found = solve(&cholesky(of), right);
        for row in 0..FEATURES {
            let product: f64 = (0..FEATURES).map(|place| of[row.max(place)][row.min(place)] * found[place]).sum();
            assert!((product - right[row]).abs() < 1e-9);
        }
    }

    #[test]
    fn ln_gamma_is_that_of_factorials() {
        for (of, value) in [(1.0, 1.0_f64), (5.0, 24.0), (11.0, 3_628_800.0), (0.5, std::f64::consts::PI.sqrt())] {
            assert!((ln_gamma(of) - value.ln()).abs() < 1e-6, "{of}");
        }
    }
}
