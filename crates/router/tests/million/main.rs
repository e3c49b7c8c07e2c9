//! Simulated payments through real routers, over a ledger in memory that passes the tests of every ledger: is anybody
//! charged twice?
//!
//! Providers answer late, twice or never, and keep the true charges; checkout workers die before and after they submit;
//! routers die after they have written and before they have answered; customers click twice. What a shop believes is
//! compared with the providers' books, and its success with that of a shop that switches without asking.
//!
//! Thousands in a debug build, a million with `cargo test --release -p payroute-router --test million -- --nocapture`.

#![cfg(test)]

mod caller;
mod cases;
mod play;
mod shop;

use std::sync::Mutex;
use std::thread;

use play::{Play, Score};
use tokio::time::Instant;

/// Plays a world of about `payments` payments for each of `seeds`, with and without the guard, as many at a time as the
/// machine has processors.
fn compare(seeds: impl Iterator<Item = u64> + Send, payments: u32) -> (Score, Score) {
    let seeds = Mutex::new(seeds);
    let next = || seeds.lock().unwrap().next();
    let all = Mutex::new((Score::default(), Score::default()));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(seed) = next() {
                    let (careful, careless) = play(seed, payments);
                    let mut all = all.lock().unwrap();
                    all.0.add(careful);
                    all.1.add(careless);
                }
            });
        }
    });
    let (guarded, unsafe_switch) = all.into_inner().unwrap();
    println!("all:\n  guarded {guarded}\n  unsafe  {unsafe_switch}");
    assert!(
        unsafe_switch.double_charges > 0,
        "the world is too kind to show anything"
    );
    assert!(guarded.second_clicks > 0 && guarded.lost_answers > 0 && guarded.deaths > 0);
    assert!(
        guarded.success_percent() > unsafe_switch.success_percent() - 1.0,
        "the guard costs more than a point of success"
    );
    (guarded, unsafe_switch)
}

/// Plays one world with the guard and without.
fn play(seed: u64, payments: u32) -> (Score, Score) {
    let began = Instant::now();
    let careful = Play::of(seed, payments, true).run();
    let careless = Play::of(seed, payments, false).run();
    println!(
        "seed {seed}: {:?}\n  guarded {careful}\n  unsafe  {careless}",
        began.elapsed()
    );
    assert_eq!(
        careful.double_charges, 0,
        "seed {seed}: somebody was charged twice"
    );
    assert_eq!(careful.unsettled, 0, "seed {seed}: something was forgotten");
    assert_eq!(
        careful.charged_without_order, 0,
        "seed {seed}: somebody was charged for nothing"
    );
    assert_eq!(careful.wrongly_ordered, 0, "seed {seed}: somebody did not pay");
    (careful, careless)
}

#[test]
fn no_payment_of_thousands_is_charged_twice() {
    compare(1..=2, 3_000);
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes long without optimisation")]
fn no_payment_of_a_million_is_charged_twice() {
    let (guarded, _) = compare(1..=20, 50_400);
    assert!(guarded.payments >= 1_000_000, "{} payments", guarded.payments);
}
