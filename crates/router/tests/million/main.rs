//! Simulated payments through real routers, over a ledger in memory that passes the tests of every ledger: is anybody
//! charged twice?
//!
//! Providers answer late, twice or never, and keep the true charges; checkout workers die before and after they submit;
//! routers die after they have written and before they have answered; customers click twice. What a shop believes is
//! compared with the providers' books, and its success with that of a shop that switches without asking.
//!
//! A million payments: `cargo test --release -p payroute-router --test million -- --ignored --nocapture`.

#![cfg(test)]

mod caller;
mod cases;
mod play;
mod shop;

use play::{Play, Score};
use tokio::time::Instant;

/// Plays `worlds` worlds of about `per_world` payments, with and without the guard.
fn compare(seeds: impl Iterator<Item = u64>, per_world: u32) {
    let (mut guarded, mut unsafe_switch) = (Score::default(), Score::default());
    for seed in seeds {
        let began = Instant::now();
        let careful = Play::of(seed, per_world, true).run();
        let careless = Play::of(seed, per_world, false).run();
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
        guarded.add(careful);
        unsafe_switch.add(careless);
    }
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
}

#[test]
fn no_payment_of_thousands_is_charged_twice() {
    compare(1..=2, 3_000);
}

#[test]
#[ignore = "takes minutes, and needs a release build to be quick"]
fn no_payment_of_a_million_is_charged_twice() {
    compare(1..=20, 50_000);
}
