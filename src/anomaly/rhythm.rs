//! How many calls an hour of the week usually has.

use super::{keep, short};
use serde::{Deserialize, Serialize};

/// Hours of a week.
pub(super) const WEEK: u32 = 168;
/// What a cell keeps of its past from week to week.
const KEPT: f64 = 0.85;
/// What the share of an hour's first half keeps of its past from day to day.
const HALVES_KEPT: f64 = 0.9;
/// Weeks of its own data that the prior of a cell counts for.
const PRIOR_WEEKS: f64 = 1.0;
/// Hours of mean use after which the level has gone half of the way.
const LEVEL_HALF_LIFE: f64 = 72.0;
/// Hours after which the pace has.
const PACE_HALF_LIFE: f64 = 12.0;

/// An hour-of-week profile times a level. The profile is 168 means with exponential forgetting; each is shrunk towards
/// the product of its hour's and its day's share (what a two-way table without interaction gives), which counts as a week of
/// data. The level is a discounted gamma filter (West & Harrison 1997, discount models), whose clock is expected use: hours
/// in which nothing is expected teach it nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Rhythm {
    /// Closed hours that it learned from.
    pub(super) hours: u32,
    /// By hour of the week, UTC; calls per hour, at a level of 1. Three digits each.
    cells: Vec<f32>,
    /// By hour of the day, UTC: the share of its calls that come in its first half, in thousandths.
    halves: Vec<u16>,
    counted: f32,
    foreseen: f32,
    pace_counted: f32,
    pace_foreseen: f32,
}

/// Margins of the profile, worked out once for many questions.
pub(super) struct Shape<'r> {
    rhythm: &'r Rhythm,
    by_hour: [f64; 24],
    by_day: [f64; 7],
    total: f64,
    level: f64,
    weeks: f64,
}

fn cell_of(hour: i64) -> usize {
    hour.rem_euclid(i64::from(WEEK)) as usize
}

impl Rhythm {
    /// Makes a state that was read hold what the rest relies on.
    pub(super) fn mend(&mut self) {
        self.cells.resize(WEEK as usize, 0.0);
        self.halves.resize(24, 500);
    }

    /// Sets all cells.
    #[cfg(test)]
    pub(super) fn fill(&mut self, value: f32) {
        self.cells.fill(value);
    }

    /// The level that cells are multiplied by.
    fn level(&self) -> f64 {
        let (counted, foreseen) = (f64::from(self.counted), f64::from(self.foreseen));
        if foreseen > 0.0 { (counted / foreseen).clamp(1e-6, 1e6) } else { 1.0 }
    }

    /// Recent use over what was expected; 1 where little was.
    pub(super) fn pace(&self, mean: f64) -> f64 {
        let few = (6.0 * mean).max(1e-9);
        ((f64::from(self.pace_counted) + few) / (f64::from(self.pace_foreseen) + few)).clamp(0.01, 1e4)
    }

    /// The profile, ready to be asked.
    pub(super) fn shape(&self) -> Shape<'_> {
        let (mut by_hour, mut by_day) = ([0.0; 24], [0.0; 7]);
        for (place, cell) in self.cells.iter().enumerate().take(WEEK as usize) {
            by_hour[place % 24] += f64::from(*cell);
            by_day[place / 24] += f64::from(*cell);
        }
        let weeks = (self.hours / WEEK).min(1_000);
        Shape {
            rhythm: self,
            total: by_day.iter().sum(),
            by_hour,
            by_day,
            level: self.level(),
            weeks: (1.0 - KEPT.powi(weeks as i32)) / (1.0 - KEPT),
        }
    }

    /// Learns what an hour held: `calls`, of which `learned` are believed, and `first` came in its first half.
    pub(super) fn learn(&mut self, hour: i64, calls: f64, learned: f64, first: f64) {
        let place = cell_of(hour);
        // An hour of few calls, as of a weekend, tells little of how they are spread.
        let few = 20.0 + 0.5 * f64::from(self.cells[place]) * self.level();
        let weight = (1.0 - HALVES_KEPT).max(1.0 / f64::from(self.hours / 24 + 1)) * calls / (calls + few);
        let half = f64::from(self.halves[place % 24]) / 1_000.0;
        let half = half + (first / calls.max(1.0) - half) * weight;
        self.halves[place % 24] = (half * 1_000.0).round().clamp(0.0, 1_000.0) as u16;
        if self.hours < WEEK {
            self.cells[place] = short(calls);
            self.hours += 1;
            if self.hours == WEEK {
                let total: f64 = self.cells.iter().map(|cell| f64::from(*cell)).sum();
                (self.counted, self.foreseen) = (keep(total), keep(total));
            }
            return;
        }
        let shape = self.shape();
        let (base, mean, expected) = (shape.base(hour), shape.total / f64::from(WEEK), shape.at(hour));
        let left = 0.5_f64.powf((base / (mean.max(1e-9) * LEVEL_HALF_LIFE)).min(1.0));
        self.counted = keep(f64::from(self.counted) * left + learned);
        self.foreseen = keep(f64::from(self.foreseen) * left + base);
        let left = 0.5_f64.powf(1.0 / PACE_HALF_LIFE);
        self.pace_counted = keep(f64::from(self.pace_counted) * left + calls);
        self.pace_foreseen = keep(f64::from(self.pace_foreseen) * left + expected);
        let level = self.level();
        let seen = (self.hours / WEEK + 1).min(1_000);
        let weight = (1.0 - KEPT) / (1.0 - KEPT.powi(seen as i32));
        let cell = f64::from(self.cells[place]);
        self.cells[place] = short(cell + (learned / level - cell) * weight);
        self.hours = self.hours.saturating_add(1);
        // Where the level went far from 1, the cells take it over, so that neither leaves what can be written.
        if !(0.1..10.0).contains(&level) {
            for cell in &mut self.cells {
                *cell = short(f64::from(*cell) * level);
            }
            self.foreseen = keep(f64::from(self.foreseen) * level);
        }
    }
}

impl Shape<'_> {
    fn base(&self, hour: i64) -> f64 {
        let place = cell_of(hour);
        let prior = self.by_hour[place % 24] * self.by_day[place / 24] / self.total.max(1e-9);
        let own = f64::from(self.rhythm.cells[place]);
        (own * self.weeks + prior * PRIOR_WEEKS) / (self.weeks + PRIOR_WEEKS)
    }

    /// Calls expected in an hour, counted from the epoch.
    pub(super) fn at(&self, hour: i64) -> f64 {
        self.level * self.base(hour)
    }

    /// Calls per hour in a half of an hour, counted from the epoch.
    fn half(&self, half: i64) -> f64 {
        let hour = half.div_euclid(2);
        // A state that was read may hold any number.
        let first = f64::from(self.rhythm.halves[hour.rem_euclid(24) as usize].min(1_000)) / 1_000.0;
        2.0 * self.at(hour) * if half.rem_euclid(2) == 0 { first } else { 1.0 - first }
    }

    /// The rate about a minute, in calls per hour: at least and at most. A rhythm need not turn on the half hour, so both
    /// the mean of the half and the line between the middles of this half and the nearer one are as good.
    pub(super) fn around(&self, minute: i64) -> (f64, f64) {
        let (half, into) = (minute.div_euclid(30), minute.rem_euclid(30) as f64);
        let own = self.half(half);
        let other = self.half(if into < 15.0 { half - 1 } else { half + 1 });
        let between = own + (other - own) * (into - 15.0).abs() / 30.0;
        (own.min(between), own.max(between))
    }

    /// Calls to be expected at least: the least of the hour, its neighbours (summer time moves a rhythm by an hour) and what
    /// the hour had without the prior.
    pub(super) fn low(&self, hour: i64) -> f64 {
        let own = self.level * f64::from(self.rhythm.cells[cell_of(hour)]);
        own.min(self.at(hour)).min(self.at(hour - 1)).min(self.at(hour + 1))
    }

    /// Calls to be expected at most, of the hour and its neighbours.
    pub(super) fn high(&self, hour: i64) -> f64 {
        self.at(hour).max(self.at(hour - 1)).max(self.at(hour + 1))
    }

    /// Calls of a mean hour.
    pub(super) fn mean(&self) -> f64 {
        self.level * self.total / f64::from(WEEK)
    }
}
