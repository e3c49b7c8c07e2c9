//! Changes, one by one, and what must hold of every state that any of them leads to.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::limit::{Measure, Scope as LimitScope};
use crate::suspension::Scope;

const PROVIDERS: [&str; 1] = ["alipay"];

/// Three channels, of which `c` has two accounts, and a limit.
const CHANNELS: &str = "
channels:
  - {id: a, provider: alipay, methods: [pay], currencies: [CNY], timeout_ms: 5000, accounts: [{id: main}]}
  - {id: b, provider: alipay, methods: [pay], currencies: [CNY], timeout_ms: 5000, accounts: [{id: main}]}
  - {id: c, provider: alipay, methods: [pay], currencies: [CNY], timeout_ms: 5000, accounts: [{id: x}, {id: y}]}
limits:
  - {id: cap, count: 20, window_secs: 600}
";

/// Without channel `c`.
const FEWER: &str = "
channels:
  - {id: a, provider: alipay, methods: [pay], currencies: [CNY], timeout_ms: 5000, accounts: [{id: main}]}
  - {id: b, provider: alipay, methods: [pay], currencies: [CNY], timeout_ms: 5000, accounts: [{id: main}]}
";

const FIRST: &str = "{version: 1, name: first, timezone: UTC, default: {priority: [a, b, c]}}";
const SECOND: &str = "{version: 2, name: second, timezone: UTC, default: {priority: [b, a]}}";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn ann() -> Actor {
    Actor::new("ann").unwrap()
}

fn id(name: &str) -> ChannelId {
    ChannelId::new(name).unwrap()
}

/// A control state with every policy that was stored beside it, as a ledger keeps them.
#[derive(Clone)]
struct Desk {
    control: Control,
    policies: Vec<Document>,
    now: Timestamp,
}

impl Desk {
    fn new() -> Self {
        let import = Change::Import {
            channels: CHANNELS.to_owned(),
            policy: FIRST.to_owned(),
            digest: "1".to_owned(),
        };
        let with = Circumstances {
            providers: &PROVIDERS,
            by: &Actor::file(),
            now: at(1_000),
            policy: None,
        };
        let applied = apply(None, &import, &with).unwrap();
        let mut desk = Self {
            control: applied.control.clone(),
            policies: Vec::new(),
            now: at(1_000),
        };
        desk.keep(&applied);
        desk
    }

    fn keep(&mut self, applied: &Applied) {
        let policies = applied.documents.iter().filter(|(kind, _)| *kind == Kind::Policy);
        self.policies
            .extend(policies.map(|(_, document)| document.clone()));
        self.control = applied.control.clone();
    }

    fn make(&mut self, change: &Change) -> Result<Applied, Refused> {
        let wanted = change.needs_policy(Some(&self.control));
        let policy = self.policies.iter().find(|policy| Some(policy.version) == wanted);
        let with = Circumstances {
            providers: &PROVIDERS,
            by: &ann(),
            now: self.now,
            policy,
        };
        let applied = apply(Some(&self.control), change, &with)?;
        self.keep(&applied);
        Ok(applied)
    }

    /// What is wrong with `change`, one line each.
    fn complaints(&mut self, change: &Change) -> Vec<String> {
        match self.make(change) {
            Err(Refused::Invalid(diagnostics)) => diagnostics.iter().map(ToString::to_string).collect(),
            other => panic!("{other:?}"),
        }
    }
}

fn add(text: &str) -> Change {
    Change::AddPolicy {
        text: text.to_owned(),
        note: String::new(),
    }
}

fn put(text: &str) -> Change {
    Change::PutChannels {
        text: text.to_owned(),
    }
}

fn suspend(channel: &str, until: Option<i64>) -> Change {
    Change::Suspend {
        scope: Scope {
            channel: Some(id(channel)),
            ..Scope::default()
        },
        reason: "maintenance".to_owned(),
        from: None,
        until: until.map(at),
    }
}

fn force(channel: &str, until: i64) -> Change {
    Change::ForceBreaker {
        channel: id(channel),
        forced: Forced::Out,
        until: at(until),
        reason: "incident".to_owned(),
    }
}

fn set_account(channel: &str, account: &str, state: Option<AccountState>) -> Change {
    Change::SetAccount {
        channel: id(channel),
        account: AccountId::new(account).unwrap(),
        state,
    }
}

fn most(limit: &str, most: i64) -> Change {
    Change::SetLimit {
        limit: LimitSetting::Most {
            id: limit.to_owned(),
            most,
        },
    }
}

fn rule(name: &str, window_secs: u32) -> Change {
    Change::SetLimit {
        limit: LimitSetting::Rule(limit::Rule {
            id: name.to_owned(),
            scope: LimitScope::default(),
            per: Vec::new(),
            measure: Measure::Count,
            most: 5,
            window_secs,
            hard: true,
        }),
    }
}

#[test]
fn before_the_first_import_there_is_nothing_to_change() {
    let with = Circumstances {
        providers: &PROVIDERS,
        by: &ann(),
        now: at(0),
        policy: None,
    };
    let refused = apply(None, &suspend("a", None), &with).unwrap_err();
    assert_eq!(refused, Refused::NotImported);
}

#[test]
fn a_suspension_is_laid_over_the_documents_until_it_is_lifted() {
    let mut desk = Desk::new();
    let applied = desk.make(&suspend("a", None)).unwrap();
    let held = &applied.assembled.configuration.suspensions;
    assert_eq!((held.len(), &*held[0].author), (1, "ann"));
    let lift = Change::LiftSuspension { id: 2 };
    let applied = desk.make(&lift).unwrap();
    assert!(applied.assembled.configuration.suspensions.is_empty());
    assert_eq!(desk.control.suspensions[0].lifted.as_ref().unwrap().by, ann());
    assert_eq!(desk.make(&lift).unwrap_err(), Refused::SuspensionOver(2));
    let unknown = Change::LiftSuspension { id: 9 };
    assert_eq!(desk.make(&unknown).unwrap_err(), Refused::UnknownSuspension(9));
}

#[test]
fn a_suspension_is_of_something_known_and_ends_later_than_now() {
    let mut desk = Desk::new();
    assert_eq!(
        desk.complaints(&suspend("d", Some(1_000))),
        [
            "change: scope.channel: `d` is not known, did you mean `a`?",
            "change: until: ends at 1970-01-01T00:16:40Z, expected an end after the start at 1970-01-01T00:16:40Z",
        ]
    );
    let everything = Change::Suspend {
        scope: Scope::default(),
        reason: " ".to_owned(),
        from: Some(at(10)),
        until: Some(at(20)),
    };
    assert_eq!(
        desk.complaints(&everything),
        [
            "change: scope: covers every payment: expected at least one of channel, issuer, region, method",
            "change: reason: must not be empty",
            "change: until: ends at 1970-01-01T00:00:20Z, which is over already",
        ]
    );
}

#[test]
fn suspensions_that_are_over_make_room_for_new_ones() {
    let mut desk = Desk::new();
    for number in 0..MAX_SUSPENSIONS {
        let id = u64::try_from(number).unwrap() + 10;
        desk.control.suspensions.push(Standing {
            id,
            suspension: Suspension {
                scope: Scope::default(),
                reason: String::new(),
                author: String::new(),
                from: at(0),
                until: (number == 500).then(|| at(2_000)),
            },
            lifted: None,
        });
    }
    let full = Refused::TooMany {
        what: "suspensions",
        most: MAX_SUSPENSIONS,
    };
    assert_eq!(desk.make(&suspend("a", None)).unwrap_err(), full);
    desk.now = at(2_000);
    desk.make(&suspend("a", None)).unwrap();
    assert!(!desk.control.suspensions.iter().any(|standing| standing.id == 510));
    assert_eq!(desk.make(&suspend("a", None)).unwrap_err(), full);
}

#[test]
fn a_channel_that_the_policy_names_cannot_vanish() {
    let mut desk = Desk::new();
    let complaints = desk.complaints(&put(FEWER));
    assert_eq!(complaints.len(), 1);
    assert!(
        complaints[0].starts_with("policy.yaml:1:") && complaints[0].contains("`c`"),
        "{complaints:?}"
    );
    desk.make(&add(SECOND)).unwrap();
    desk.make(&Change::ActivatePolicy { version: 2 }).unwrap();
    desk.make(&put(FEWER)).unwrap();
    // Nor can a policy come back that names it.
    let complaints = desk.complaints(&Change::RollBackPolicy);
    assert!(complaints[0].starts_with("policy.yaml:1:"), "{complaints:?}");
    assert_eq!(desk.control.policy.version, 2);
}

#[test]
fn what_is_set_about_a_channel_waits_for_it_to_come_back() {
    let mut desk = Desk::new();
    desk.make(&suspend("c", None)).unwrap();
    desk.make(&set_account("c", "x", Some(AccountState::Suspended)))
        .unwrap();
    desk.make(&most("cap", 1)).unwrap();
    desk.make(&add(SECOND)).unwrap();
    desk.make(&Change::ActivatePolicy { version: 2 }).unwrap();
    let fewer = desk.make(&put(FEWER)).unwrap();
    assert!(fewer.assembled.configuration.limits.is_empty());
    let again = desk.make(&put(CHANNELS)).unwrap().assembled.configuration;
    assert_eq!(again.suspensions[0].scope.channel, Some(id("c")));
    assert_eq!(again.limits[0].most, 1);
    let index = again.channels.index_of("c").unwrap();
    let accounts = &again.channels.get(index).unwrap().accounts;
    assert_eq!(accounts[0].state, AccountState::Suspended);
}

#[test]
fn a_bad_policy_is_not_stored() {
    let mut desk = Desk::new();
    let complaints = desk.complaints(&add(
        "version: 3\nname: n\ntimezone: UTC\ndefault: {priority: [a, bb]}\n",
    ));
    assert_eq!(complaints.len(), 1);
    assert!(complaints[0].starts_with("policy.yaml:4:"), "{complaints:?}");
    assert_eq!(desk.control.latest_policy, 1);
}

#[test]
fn activating_the_active_policy_does_not_spoil_the_way_back() {
    let mut desk = Desk::new();
    desk.make(&add(SECOND)).unwrap();
    desk.make(&Change::ActivatePolicy { version: 2 }).unwrap();
    desk.make(&Change::ActivatePolicy { version: 2 }).unwrap();
    desk.make(&Change::RollBackPolicy).unwrap();
    assert_eq!(desk.control.policy.version, 1);
    assert_eq!(
        desk.make(&Change::RollBackPolicy).unwrap_err(),
        Refused::NoPolicyBefore
    );
}

#[test]
fn an_override_ends_within_a_day_and_is_forgotten_then() {
    let mut desk = Desk::new();
    let day = 24 * 3_600;
    for until in [1_000, 1_001 + day] {
        let complaints = desk.complaints(&force("a", until));
        assert!(complaints[0].starts_with("change: until:"), "{complaints:?}");
    }
    desk.make(&force("a", 1_000 + day)).unwrap();
    desk.make(&force("a", 2_000)).unwrap();
    assert_eq!(desk.control.breakers.len(), 1);
    desk.now = at(2_000);
    desk.make(&suspend("a", None)).unwrap();
    assert!(desk.control.breakers.is_empty());
    let release = Change::ReleaseBreaker { channel: id("a") };
    assert_eq!(desk.make(&release).unwrap_err(), Refused::NoOverride(id("a")));
}

#[test]
fn an_account_follows_the_document_again_when_its_state_is_taken_back() {
    let mut desk = Desk::new();
    let state = |applied: &Applied| {
        let channels = &applied.assembled.configuration.channels;
        channels.get(channels.index_of("c").unwrap()).unwrap().accounts[1].state
    };
    let draining = desk
        .make(&set_account("c", "y", Some(AccountState::Draining)))
        .unwrap();
    assert_eq!(state(&draining), AccountState::Draining);
    let back = desk.make(&set_account("c", "y", None)).unwrap();
    assert_eq!(state(&back), AccountState::Active);
    assert_eq!(
        desk.complaints(&set_account("c", "z", Some(AccountState::Active))),
        ["change: account: `z` is not known, did you mean `x`?"]
    );
}

#[test]
fn limits_are_changed_added_and_cleared() {
    let mut desk = Desk::new();
    desk.make(&most("cap", 7)).unwrap();
    let limits = desk
        .make(&rule("burst", 60))
        .unwrap()
        .assembled
        .configuration
        .limits;
    let shown: Vec<_> = limits.iter().map(|rule| (&*rule.id, rule.most)).collect();
    assert_eq!(shown, [("cap", 7), ("burst", 5)]);
    let clear = |id: &str| Change::ClearLimit { id: id.to_owned() };
    desk.make(&clear("burst")).unwrap();
    let limits = desk.make(&clear("cap")).unwrap().assembled.configuration.limits;
    assert_eq!((limits.len(), limits[0].most), (1, 20));
    assert_eq!(
        desk.make(&clear("cap")).unwrap_err(),
        Refused::LimitNotSet("cap".to_owned())
    );
    assert_eq!(
        desk.complaints(&most("burst", -1)),
        [
            "change: limit.id: `burst` is not known",
            "change: limit.most: found -1, expected a whole number from 0"
        ]
    );
    let complaints = desk.complaints(&rule("short", 9));
    assert!(complaints[0].contains("has a window of 9 s"), "{complaints:?}");
}

#[test]
fn limits_of_document_and_hand_together_have_a_bound() {
    let mut desk = Desk::new();
    for number in 1..limit::MAX_RULES {
        desk.make(&rule(&format!("r{number}"), 60)).unwrap();
    }
    let complaints = desk.complaints(&rule("more", 60));
    assert_eq!(
        complaints,
        ["channels.yaml: limits: 65 limits are given, at most 64 are allowed"]
    );
}

#[test]
fn a_document_has_a_bound() {
    let mut desk = Desk::new();
    let large = format!("{CHANNELS}#{}", "x".repeat(MAX_DOCUMENT_BYTES));
    assert!(desk.complaints(&put(&large))[0].contains("at most 1048576 are allowed"));
}

#[test]
fn the_difference_names_what_changed_and_nothing_else() {
    let mut desk = Desk::new();
    let before = desk.control.clone();
    desk.make(&set_account("c", "y", Some(AccountState::Draining)))
        .unwrap();
    let difference = difference(Some(&before), &desk.control);
    assert_eq!(
        serde_json::to_value(difference).unwrap(),
        serde_json::json!({
            "before": {"account c/y": null},
            "after": {"account c/y": {"channel": "c", "account": "y", "state": "draining", "author": "ann"}},
        })
    );
}

#[test]
fn a_change_reads_as_it_is_written() {
    for change in [
        suspend("a", Some(5)),
        force("b", 9),
        rule("r", 60),
        Change::RollBackPolicy,
    ] {
        let json = serde_json::to_value(&change).unwrap();
        assert_eq!(json["action"], change.action());
        assert_eq!(serde_json::from_value::<Change>(json).unwrap(), change);
    }
}

fn any_change() -> impl Strategy<Value = Change> {
    let channel = prop::sample::select(vec!["a", "b", "c", "d"]);
    let account = prop::sample::select(vec!["main", "x", "y", "z"]);
    let state = prop::option::of(prop::sample::select(vec![
        AccountState::Active,
        AccountState::Draining,
        AccountState::Suspended,
    ]));
    let channels = prop::sample::select(vec![CHANNELS, FEWER, "channels: []"]);
    let policy = prop::sample::select(vec![FIRST, SECOND, "{version: 1}"]);
    let limit = prop::sample::select(vec!["cap", "burst", "rest"]);
    prop_oneof![
        channels.clone().prop_map(put),
        policy.clone().prop_map(add),
        (1_u64..6).prop_map(|version| Change::ActivatePolicy { version }),
        Just(Change::RollBackPolicy),
        (channel.clone(), prop::option::of(900_i64..1_500)).prop_map(|(c, until)| suspend(c, until)),
        (1_u64..12).prop_map(|id| Change::LiftSuspension { id }),
        (channel.clone(), 900_i64..1_500).prop_map(|(c, until)| force(c, until)),
        channel
            .clone()
            .prop_map(|c| Change::ReleaseBreaker { channel: id(c) }),
        (channel, account, state).prop_map(|(c, a, state)| set_account(c, a, state)),
        (limit.clone(), -1_i64..5).prop_map(|(id, n)| most(id, n)),
        (limit.clone(), 0_u32..90_000).prop_map(|(id, window)| rule(id, window)),
        limit.prop_map(|id| Change::ClearLimit { id: id.to_owned() }),
        (channels, policy).prop_map(|(channels, policy)| Change::Import {
            channels: channels.to_owned(),
            policy: policy.to_owned(),
            digest: "2".to_owned(),
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_state_assembles_and_counts_one_revision(changes in prop::collection::vec(any_change(), 1..25)) {
        let mut desk = Desk::new();
        for change in changes {
            let before = desk.control.clone();
            desk.now += SignedDuration::from_secs(20);
            if desk.make(&change).is_ok() {
                prop_assert_eq!(desk.control.revision, before.revision + 1);
            } else {
                prop_assert_eq!(&desk.control, &before);
            }
            prop_assert!(assemble(&desk.control, &PROVIDERS).is_ok(), "{:?}", change);
            let text = serde_json::to_string(&desk.control).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Control>(&text).unwrap(), &desk.control);
        }
    }

    #[test]
    fn rolling_back_gives_the_policy_back(changes in prop::collection::vec(any_change(), 0..10)) {
        let mut desk = Desk::new();
        for change in &changes {
            let _maybe_refused = desk.make(change);
        }
        let before = desk.control.clone();
        // Whatever the channels are now, this one fits them.
        desk.make(&add(SECOND)).unwrap();
        let version = desk.control.latest_policy;
        desk.make(&Change::ActivatePolicy { version }).unwrap();
        desk.make(&Change::RollBackPolicy).unwrap();
        prop_assert_eq!(&desk.control.policy, &before.policy);
        prop_assert_eq!(&desk.control.policies_before, &before.policies_before);
    }
}
