//! Counts that scatter more than chance: how much more, and how unlikely a count is.

use super::{keep, whole};
use serde::{Deserialize, Serialize};

/// Hours after which what was learned of the scatter counts half: three weeks.
const HALF_LIFE: f64 = 21.0 * 24.0;
/// What is taken for granted before anything was seen, in windows, and the relative variance taken for granted.
const PRIOR: (f64, f64) = (24.0, 0.25);
/// Means below this are taken for it: no estimate is that sure.
pub(super) const LEAST_MEAN: f64 = 0.01;

/// Scatter of the counts in windows of one length about their forecast. The variance of a count of mean `x` is taken as
/// `D·x + φ·x²`: calls come in clusters (D), and the forecast itself is off by a share (φ). Both are fitted to the squared
/// errors of forecasts that were made before the count was known, by weighted least squares with weights `1/x²`, so that
/// what the forecast does not know is part of what it claims (Dawid 1984, the prequential view).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Spread {
    n: f32,
    x: f32,
    xx: f32,
    z: f32,
    xz: f32,
}

impl Spread {
    /// Ages what was learned by an hour.
    pub(super) fn age(&mut self) {
        let left = 0.5_f64.powf(1.0 / HALF_LIFE);
        for sum in [&mut self.n, &mut self.x, &mut self.xx, &mut self.z, &mut self.xz] {
            *sum = keep(f64::from(*sum) * left);
        }
    }

    /// Learns from a count and the mean that was foreseen for it. `fit` is the fit at the time. One count adds no more than
    /// four standard deviations would, or, where few are expected, five clusters.
    pub(super) fn add(&mut self, seen: f64, mean: f64, fit: Fit) {
        let mean = mean.max(LEAST_MEAN);
        let most = (16.0 * fit.variance(mean)).max((5.0 * fit.clusters).powi(2)).max(25.0);
        let square = (seen - mean).powi(2).min(most);
        let z = square / mean;
        self.n = keep(f64::from(self.n) + 1.0);
        self.x = keep(f64::from(self.x) + mean);
        self.xx = keep(f64::from(self.xx) + mean * mean);
        self.z = keep(f64::from(self.z) + z);
        self.xz = keep(f64::from(self.xz) + z * mean);
    }

    /// It has seen a day's windows of ten minutes.
    pub(super) fn is_known(&self) -> bool {
        self.n >= 144.0
    }

    /// D and φ.
    pub(super) fn fit(&self) -> Fit {
        let (n, x, xx) = (f64::from(self.n), f64::from(self.x), f64::from(self.xx));
        let (z, xz) = (f64::from(self.z), f64::from(self.xz));
        // The prior: so many windows of the mean that was met, with D = 1 and φ as given.
        let (weight, share) = PRIOR;
        let typical = if n > 0.0 { x / n } else { 1.0 };
        let expected = 1.0 + share * typical;
        let (n, x, xx) = (n + weight, x + weight * typical, xx + weight * typical * typical);
        let (z, xz) = (z + weight * expected, xz + weight * expected * typical);
        // A little ridge: where all means are alike, the data do not tell D from φ, and D takes all.
        let slope = (xz - x * z / n) / (xx - x * x / n + 0.05 * x * x / n).max(f64::MIN_POSITIVE);
        let clusters = (z - slope * x) / n;
        let (clusters, share) = match (slope > 0.0, clusters > 1.0) {
            (true, true) => (clusters, slope),
            (false, _) => (z / n, 0.0),
            (true, false) => (1.0, (xz - x) / xx.max(f64::MIN_POSITIVE)),
        };
        // Never surer than a tenth more than chance, and a tenth of the mean.
        Fit { clusters: clusters.clamp(1.1, 1e6), share: share.clamp(0.01, 100.0) }
    }
}

/// What [`Spread`] fits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Fit {
    /// D: how many calls come together, in calls; 1 for a Poisson process.
    pub(super) clusters: f64,
    /// φ: relative variance of the rate.
    pub(super) share: f64,
}

impl Fit {
    /// Variance of a count of that mean.
    pub(super) fn variance(self, mean: f64) -> f64 {
        self.clusters * mean + self.share * mean * mean
    }

    /// Shape of the gamma law of the rate: `mean² / (variance − mean)`.
    fn shape(self, mean: f64) -> f64 {
        mean / (self.clusters - 1.0 + self.share * mean)
    }

    /// How surprising a count is, in nats: −ln of Chernoff's bound on the probability of a negative binomial count (a
    /// Poisson count of a gamma-distributed rate) at least as far from its mean, on the same side. The bound is no less than
    /// the probability, and equal to it for a count of zero.
    pub(super) fn surprise(self, seen: f64, mean: f64) -> f64 {
        let mean = mean.max(LEAST_MEAN);
        let shape = self.shape(mean);
        let of_seen = if seen > 0.0 { seen * (seen / mean).ln() } else { 0.0 };
        (of_seen - (seen + shape) * ((seen - mean) / (mean + shape)).ln_1p()).max(0.0)
    }

    /// How surprising it is that nothing came in `part` (0 to 1) of a window of that mean, in nats: exact. The rate of the
    /// window is drawn once, and holds for all of it.
    pub(super) fn silence(self, mean: f64, part: f64) -> f64 {
        let mean = mean.max(1e-12);
        let shape = self.shape(mean);
        shape * (mean * part / shape).ln_1p()
    }
}

/// Bad outcomes among all: a share with exponential forgetting, and Page's cumulative sum (Page 1954) of the log-likelihood
/// ratio of "four times the usual share" against "the usual share", divided by how much more than by chance the bad ones
/// cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Share {
    bad: f32,
    all: f32,
    /// Squared errors of closed hours, and what chance alone gives.
    errors: f32,
    chance: f32,
    hour_bad: u32,
    hour_all: u32,
    hours: u32,
    sum: f32,
    run_bad: f32,
    run_all: f32,
    since: i64,
}

/// What a share is compared with.
pub(super) struct Rise {
    pub(super) expected: f64,
    pub(super) seen: f64,
    pub(super) surprise: f64,
    /// Minute since when the sum is above zero.
    pub(super) since: i64,
    /// It is one.
    pub(super) strong: bool,
    /// It goes on.
    pub(super) weak: bool,
}

impl Share {
    /// The usual share, and the one that would be a rise.
    fn shares(&self) -> (f64, f64) {
        let usual = ((f64::from(self.bad) + 1.0) / (f64::from(self.all) + 100.0)).clamp(0.002, 0.98);
        (usual, (4.0 * usual).max(usual + 0.04).min((1.0 + usual) / 2.0))
    }

    /// How many bad ones come together: squared errors over what chance alone gives, with a prior of 2 in an hour or two.
    fn clusters(&self) -> f64 {
        ((f64::from(self.errors) + 4.0) / (f64::from(self.chance) + 2.0)).max(1.0)
    }

    /// Adds what was seen. Told of a rise once `least_hours` of history with outcomes, and 200 outcomes, are known.
    pub(super) fn add(&mut self, bad: u64, all: u64, minute: i64, least_hours: u32) -> Option<Rise> {
        let (bad, all) = (whole(bad.min(all)), whole(all));
        if all == 0 {
            return None;
        }
        self.hour_bad = self.hour_bad.saturating_add(bad);
        self.hour_all = self.hour_all.saturating_add(all);
        if self.hours < least_hours || self.all < 200.0 {
            return None;
        }
        let (usual, risen) = self.shares();
        let clusters = self.clusters();
        let (bad, good) = (f64::from(bad), f64::from(all - bad));
        let ratio = bad * (risen / usual).ln() + good * ((1.0 - risen) / (1.0 - usual)).ln();
        // The more outcomes a day, the more chances to be wrong.
        let limit = 8.0 + f64::from(self.all).ln_1p();
        let before = f64::from(self.sum);
        let sum = (before + ratio / clusters).clamp(0.0, 2.0 * limit);
        if before <= 0.0 {
            (self.run_bad, self.run_all, self.since) = (0.0, 0.0, minute);
        }
        self.sum = keep(sum);
        self.run_bad = keep(f64::from(self.run_bad) + bad);
        self.run_all = keep(f64::from(self.run_all) + bad + good);
        let seen = (f64::from(self.run_bad) / f64::from(self.run_all)).min(1.0);
        let of_bad = if seen > 0.0 { seen * (seen / usual).ln() } else { 0.0 };
        let of_good = if seen < 1.0 { (1.0 - seen) * ((1.0 - seen) / (1.0 - usual)).ln() } else { 0.0 };
        Some(Rise {
            expected: usual,
            seen,
            surprise: (f64::from(self.run_all) * (of_bad + of_good) / clusters).max(0.0),
            since: self.since,
            strong: sum >= limit && self.run_bad >= 5.0,
            weak: sum >= limit / 2.0,
        })
    }

    /// Closes an hour: the usual share follows, with a half-life of a week, but no further than by a share that would be a
    /// rise. `learn` is false while nothing of it is to become usual.
    pub(super) fn close(&mut self, learn: bool) {
        let (bad, all) = (f64::from(self.hour_bad), f64::from(self.hour_all));
        (self.hour_bad, self.hour_all) = (0, 0);
        if all == 0.0 || !learn {
            self.hours = if self.hours > 0 { self.hours.saturating_add(1) } else { 0 };
            return;
        }
        let (usual, risen) = self.shares();
        let clusters = self.clusters();
        if self.hours > 24 {
            let chance = all * usual * (1.0 - usual);
            let error = (bad - all * usual).powi(2).min((16.0 * clusters * chance).max(9.0));
            let left = 0.5_f64.powf(1.0 / HALF_LIFE);
            self.errors = keep(f64::from(self.errors) * left + error);
            self.chance = keep(f64::from(self.chance) * left + chance);
        }
        let bad = if self.all < 200.0 { bad } else { bad.min((all * risen).max(2.0)) };
        let left = 0.5_f64.powf(1.0 / (7.0 * 24.0));
        self.bad = keep(f64::from(self.bad) * left + bad);
        self.all = keep(f64::from(self.all) * left + all);
        self.hours = self.hours.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn surprise_is_chernoffs_bound_on_the_negative_binomial_tail() {
        let fit = Fit { clusters: 2.0, share: 0.1 };
        let mean = 10.0;
        let shape = mean / (fit.clusters - 1.0 + fit.share * mean);
        let chance = mean / (mean + shape);
        // P(k) of the negative binomial by its recurrence, for a shape of 5.
        let mut mass = (1.0 - chance).powf(shape);
        let mut below = 0.0;
        assert!((fit.silence(mean, 1.0) + mass.ln()).abs() < 1e-9, "exact for none");
        assert!((fit.surprise(0.0, mean) + mass.ln()).abs() < 1e-9);
        for k in 0..80 {
            let (upper, lower) = (1.0 - below, below + mass);
            let bound = (-fit.surprise(f64::from(k), mean)).exp();
            assert!(bound >= if f64::from(k) > mean { upper } else { lower } - 1e-9, "{k}");
            below += mass;
            mass *= (f64::from(k) + shape) / f64::from(k + 1) * chance;
        }
        assert_eq!(fit.surprise(mean, mean), 0.0);
    }

    #[test]
    fn both_parts_of_the_scatter_are_found_again() {
        let mut spread = Spread::default();
        // Errors that have exactly the variance 3x + 0.2x², once above and once below.
        for step in 0..4_000 {
            let mean: f64 = [2.0, 20.0, 200.0][step % 3];
            let error = (3.0 * mean + 0.2 * mean * mean).sqrt();
            let fit = spread.fit();
            spread.add(mean + if step % 2 == 0 { error } else { -error }, mean, fit);
        }
        let fit = spread.fit();
        assert!((fit.clusters - 3.0).abs() < 0.8 && (fit.share - 0.2).abs() < 0.02, "{fit:?}");
    }
}
