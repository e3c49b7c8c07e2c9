//! The networks' rules, and what is remembered for them.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::attempt::{Limits, NextStep, ProviderProfile, Situation, next_step};
use crate::catalogue::{Catalogue, FailureKind, FailureReport};
use crate::channel::Capabilities;

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::built_in().unwrap());
static RULES: LazyLock<Rules> = LazyLock::new(|| Rules::built_in().unwrap());

const DAY: i64 = 86_400;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn failure(provider: &str, code: &str, advice: Option<&str>) -> Failure {
    CATALOGUE.classify(&FailureReport {
        code: Some(code),
        network_advice_code: advice,
        ..FailureReport::new(provider, FailureKind::Declined)
    })
}

fn tried(code: &str, advice: Option<&str>, second: i64) -> Tried {
    Tried::of(&failure("iso8583", code, advice), advice, at(second)).unwrap()
}

fn history(seconds: impl IntoIterator<Item = i64>) -> History {
    let mut history = History::default();
    for second in seconds {
        history.note(tried("05", None, second));
    }
    history
}

fn not_before(second: i64, rule: &str) -> Verdict {
    Verdict::NotBefore {
        at: at(second),
        rule: rule.into(),
    }
}

fn never(rule: &str) -> Verdict {
    Verdict::Never { rule: rule.into() }
}

#[test]
fn visa_allows_15_declines_in_30_days() {
    let judge = |declines, now| RULES.judge("visa", &history(0..declines), at(now));
    assert_eq!(judge(14, 20), Verdict::Allowed);
    assert_eq!(judge(15, 20), not_before(30 * DAY, "visa_30_days"));
    assert_eq!(judge(15, 30 * DAY - 1), not_before(30 * DAY, "visa_30_days"));
    assert_eq!(judge(15, 30 * DAY), Verdict::Allowed);
}

#[test]
fn mastercard_allows_7_in_24_hours_and_35_in_30_days() {
    let judge = |history: &History, now| RULES.judge("mastercard", history, at(now));
    let seven = history(0..7);
    assert_eq!(judge(&history(0..6), 10), Verdict::Allowed);
    assert_eq!(judge(&seven, 10), not_before(DAY, "mastercard_24_hours"));
    assert_eq!(judge(&seven, DAY), Verdict::Allowed);
    let six_a_day = history((0..35).map(|n| n / 6 * DAY + n));
    assert_eq!(
        judge(&six_a_day, 20 * DAY),
        not_before(30 * DAY, "mastercard_30_days")
    );
}

#[test]
fn a_category_1_decline_is_the_last_one_with_visa() {
    let mut history = History::default();
    history.note(tried("04", None, 0));
    assert_eq!(
        RULES.judge("visa", &history, at(400 * DAY)),
        never("visa_category_1")
    );
    for second in 1..200 {
        history.note(tried("05", None, second));
    }
    assert_eq!(
        RULES.judge("visa", &history, at(400 * DAY)),
        never("visa_category_1")
    );
    for code in ["03", "62", "93"] {
        let mut history = History::default();
        history.note(tried(code, None, 0));
        assert_eq!(
            RULES.judge("visa", &history, at(1)),
            Verdict::Allowed,
            "{code} left category 1 in 2021"
        );
    }
}

#[test]
fn mastercards_advice_forbids_or_asks_to_wait() {
    let judge = |advice, now| {
        let mut history = History::default();
        history.note(tried("51", Some(advice), 0));
        RULES.judge("mastercard", &history, at(now))
    };
    assert_eq!(judge("03", 99 * DAY), never("mastercard_advice_03"));
    assert_eq!(judge("21", 99 * DAY), never("mastercard_advice_21"));
    assert_eq!(judge("24", 0), not_before(3_600, "mastercard_advice_24"));
    assert_eq!(judge("30", 9 * DAY), not_before(10 * DAY, "mastercard_advice_30"));
    assert_eq!(judge("30", 10 * DAY), Verdict::Allowed);
    assert_eq!(judge("02", 0), not_before(3 * DAY, "mastercard_advice_02"));
    assert_eq!(
        judge("40", 0),
        never("never_same_credential"),
        "a prepaid card that is used up"
    );
}

#[test]
fn the_waits_are_those_of_the_catalogue() {
    let mastercard = RULES
        .networks
        .iter()
        .find(|network| &*network.name == "mastercard")
        .unwrap();
    let listed: Vec<(&str, u32)> = CATALOGUE
        .codes()
        .iter()
        .filter(|code| &*code.provider == "mastercard_mac")
        .filter_map(|code| Some((&*code.code, code.min_retry_delay_secs?)))
        .collect();
    let ruled: Vec<(&str, u32)> = mastercard
        .waits
        .iter()
        .map(|wait| (&*wait.advice, wait.secs))
        .collect();
    assert_eq!(ruled, listed);
}

#[test]
fn another_brand_has_no_caps_but_keeps_what_the_decline_said() {
    assert_eq!(RULES.judge("jcb", &history(0..60), at(61)), Verdict::Allowed);
    let mut lost = History::default();
    lost.note(tried("41", None, 0));
    assert_eq!(RULES.judge("jcb", &lost, at(1)), never("never_same_credential"));
}

#[test]
fn what_never_reached_the_network_or_is_open_does_not_count() {
    let of = |provider, code| Tried::of(&failure(provider, code, None), None, at(0));
    assert_eq!(of("payroute", "CONNECT_FAILED"), None);
    assert_eq!(of("payroute", "TIMEOUT"), None);
    assert!(of("iso8583", "91").is_some(), "the network answered");
    assert!(of("stripe", "generic_decline").is_some());
}

#[test]
fn an_approval_ends_the_waits_and_nothing_else() {
    let mut waiting = History::default();
    waiting.note(tried("51", Some("30"), 0));
    waiting.approved(at(5));
    assert_eq!(RULES.judge("mastercard", &waiting, at(6)), Verdict::Allowed);
    let mut lost = History::default();
    lost.note(tried("41", None, 0));
    lost.approved(at(5));
    assert!(matches!(RULES.judge("visa", &lost, at(6)), Verdict::Never { .. }));
    let mut full = history(0..15);
    full.approved(at(16));
    assert!(matches!(
        RULES.judge("visa", &full, at(17)),
        Verdict::NotBefore { .. }
    ));
}

/// The next step after a decline that another channel may well accept, under `verdict`.
fn step_under(verdict: &Verdict) -> NextStep {
    let mut failure = failure("iso8583", "05", None);
    verdict.apply(&mut failure, at(0));
    let situation = Situation {
        failure: &failure,
        attempt_no: 1,
        retries_used: 0,
        silent_fallbacks: 2,
        budget_used_ms: 0,
        channel_healthy: true,
        earlier_settled: true,
        payment_open: true,
        profile: ProviderProfile::of("iso8583"),
        capabilities: Capabilities::default(),
    };
    let mut rng = <rand::rngs::StdRng as rand::SeedableRng>::seed_from_u64(7);
    next_step(&situation, &Limits::default(), at(0), &mut rng)
}

#[test]
fn a_card_over_its_limit_is_not_tried_on_another_channel() {
    assert_eq!(step_under(&Verdict::Allowed), NextStep::Switch);
    assert_eq!(step_under(&not_before(1, "r")), NextStep::AskCustomer);
    assert_eq!(step_under(&never("r")), NextStep::AskCustomer);
}

#[test]
fn a_verdict_never_makes_a_failure_milder() {
    let strict = failure("mastercard", "51", Some("25"));
    for verdict in [Verdict::Allowed, not_before(60, "r")] {
        let mut failure = strict.clone();
        verdict.apply(&mut failure, at(0));
        assert_eq!(failure, strict);
    }
}

#[test]
fn a_fingerprint_is_not_a_card_number() {
    assert_eq!(
        Fingerprint::new("4111111111111111"),
        Err(InvalidFingerprint::CardNumber)
    );
    assert_eq!(Fingerprint::new("short"), Err(InvalidFingerprint::Malformed));
    assert_eq!(
        Fingerprint::new("has a space"),
        Err(InvalidFingerprint::Malformed)
    );
    let fingerprint = Fingerprint::new("3f9a77c0d1e2").unwrap();
    assert_eq!(format!("{fingerprint:?}"), "Fingerprint(3f9a77…)");
}

fn card(n: usize) -> Fingerprint {
    Fingerprint::new(&format!("fingerprint-{n}")).unwrap()
}

#[test]
fn a_forbidden_card_outlives_the_others() {
    let mut cards = Credentials::new(RULES.clone(), 3);
    cards.declined(&card(0), tried("41", None, 0));
    for n in 1..50 {
        cards.declined(&card(n), tried("05", None, i64::try_from(n).unwrap()));
    }
    assert_eq!(cards.len(), 3);
    assert!(matches!(
        cards.judge(&card(0), "visa", at(60)),
        Verdict::Never { .. }
    ));
}

#[test]
fn a_card_that_no_rule_speaks_of_any_more_is_forgotten() {
    let mut cards = Credentials::new(RULES.clone(), 100);
    for n in 0..10 {
        cards.declined(&card(n), tried("05", None, 0));
    }
    for n in 10..15 {
        cards.declined(&card(n), tried("05", None, 31 * DAY));
    }
    assert_eq!(cards.len(), 5);
}

#[test]
fn rules_are_refused_with_their_place() {
    let refused = |text: &str| {
        let found = Rules::load(text, "r.yaml").unwrap_err();
        found.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(
        refused("version: 1\nnetworks:\n  visa:\n    caps: [{rule: r, attempts: 65, window_secs: 1}]\n"),
        [
            "r.yaml:4:32: networks.visa.caps[0].attempts: found the number 65, expected a whole number from 1 to 64"
        ]
    );
    assert_eq!(
        refused("version: 1\nnetworks: {visa: {never: [{rule: r}]}}\n"),
        ["r.yaml:2:27: networks.visa.never[0]: expected one of `visa_category` and `advice`"]
    );
    assert_eq!(refused("networks: {}\n"), ["r.yaml:1:1: `version` is missing"]);
}

#[test]
fn a_deployment_may_allow_20() {
    let text = "version: 1\nnetworks: {visa: {caps: [{rule: ours, attempts: 20, window_secs: 2592000}]}}\n";
    let rules = Rules::load(text, "r.yaml").unwrap();
    assert_eq!(rules.judge("visa", &history(0..19), at(20)), Verdict::Allowed);
    assert_eq!(
        rules.judge("visa", &history(0..20), at(20)),
        not_before(30 * DAY, "ours")
    );
}

proptest! {
    #[test]
    fn whoever_obeys_never_exceeds_a_cap(
        gaps in prop::collection::vec(0..200_000_i64, 1..120),
        network in prop::sample::select(&["visa", "mastercard"][..]),
    ) {
        let mut history = History::default();
        let (mut now, mut made) = (0, Vec::new());
        for gap in gaps {
            now += gap;
            if RULES.judge(network, &history, at(now)) == Verdict::Allowed {
                history.note(tried("05", None, now));
                made.push(now);
            }
        }
        let rules = RULES.networks.iter().find(|rules| &*rules.name == network).unwrap();
        for cap in &rules.caps {
            let window = i64::from(cap.window_secs);
            for from in &made {
                let within = made.iter().filter(|time| (*from..from + window).contains(time)).count();
                prop_assert!(within <= cap.attempts, "{}: {within}", cap.rule);
            }
        }
    }

    #[test]
    fn the_time_it_names_is_the_first_at_which_it_allows(
        seconds in prop::collection::vec(0..3_000_000_i64, 0..80),
        now in 0..4_000_000_i64,
    ) {
        let history = history(seconds);
        if let Verdict::NotBefore { at: allowed_at, .. } = RULES.judge("mastercard", &history, at(now)) {
            prop_assert!(allowed_at > at(now));
            prop_assert_eq!(RULES.judge("mastercard", &history, allowed_at), Verdict::Allowed);
            let before = at(allowed_at.as_second() - 1);
            prop_assert!(RULES.judge("mastercard", &history, before) != Verdict::Allowed);
        }
    }

    #[test]
    fn the_order_in_which_declines_are_heard_does_not_matter(
        seconds in prop::collection::vec(0..3_000_000_i64, 0..60).prop_shuffle(),
        now in 0..4_000_000_i64,
    ) {
        let heard = history(seconds.clone());
        let mut sorted = seconds;
        sorted.sort_unstable();
        let in_order = history(sorted);
        prop_assert_eq!(RULES.judge("visa", &heard, at(now)), RULES.judge("visa", &in_order, at(now)));
    }

    #[test]
    fn no_more_cards_are_kept_than_there_is_room(cards in prop::collection::vec((0..40_usize, 0..100_i64), 0..120)) {
        let mut kept = Credentials::new(RULES.clone(), 8);
        for (n, second) in cards {
            let code = if n % 7 == 0 { "41" } else { "05" };
            kept.declined(&card(n), tried(code, None, second));
            prop_assert!(kept.len() <= 8);
        }
    }
}
