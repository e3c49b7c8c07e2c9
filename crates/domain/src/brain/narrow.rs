//! Conversions between number types that lose nothing that matters here.

/// `value` in single precision: half the memory for what is an estimate anyway.
#[expect(
    clippy::cast_possible_truncation,
    reason = "weights and variances need seven digits at most, and are far from the limits of f32"
)]
pub(super) const fn single(value: f64) -> f32 {
    value as f32
}

/// `count` as a floating point number; beyond 2^32, 2^32.
pub(super) fn real(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// The whole part of `value`, rounded down; beyond the range of `i64`, its nearest end.
#[expect(
    clippy::cast_possible_truncation,
    reason = "saturates, which is what a time beyond all parts needs"
)]
pub(super) const fn ticks(value: f64) -> i64 {
    value.floor() as i64
}

/// `ticks` as a floating point number.
#[expect(
    clippy::cast_precision_loss,
    reason = "quarters of a second since the beginning are far below 2^53"
)]
pub(super) const fn seconds(ticks: i64) -> f64 {
    ticks as f64
}

/// `value` as a whole number; below 0 it is 0, beyond the range its end.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates, which is what a response time of weeks needs"
)]
pub(super) const fn whole(value: f64) -> u32 {
    value.round() as u32
}
