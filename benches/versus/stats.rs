//! Percentiles, medians and ratios.
//!
//! NaN means that a value was not measured, infinity means "never".

use std::time::Duration;

use crate::measure::Better;

/// The smallest time in milliseconds that at least `part` (0 to 1) of the sorted `times` do not
/// exceed; "never" if there are none.
pub(crate) fn percentile_ms(times: &[Duration], part: f64) -> f64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to the length")]
    let rank = (times.len() as f64 * part).ceil() as usize;
    times.get(rank.saturating_sub(1)).map_or(f64::INFINITY, |time| time.as_secs_f64() * 1000.0)
}

/// The median of the measured values; the mean of the middle two if their number is even.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => sorted[odd / 2],
        even => f64::midpoint(sorted[even / 2 - 1], sorted[even / 2]),
    }
}

/// The worst of the measured values.
pub(crate) fn worst(values: &[f64], better: Better) -> f64 {
    let measured = values.iter().copied().filter(|value| !value.is_nan());
    let worst = match better {
        Better::Lower => measured.max_by(f64::total_cmp),
        Better::Higher => measured.min_by(f64::total_cmp),
    };
    worst.unwrap_or(f64::NAN)
}

/// The median of the ratios of each round; rounds in which one of the two has no finite figure do
/// not count.
pub(crate) fn median_ratio(values: &[f64], base: &[f64]) -> f64 {
    let ratios: Vec<f64> = values
        .iter()
        .zip(base)
        .filter(|(value, base)| value.is_finite() && base.is_finite() && **base > 0.0)
        .map(|(value, base)| value / base)
        .collect();
    median(&ratios)
}
