//! Plans, and what must hold of every state that one of them leads to.

use std::collections::BTreeMap;

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::control::{self, Actor, Applied, Assembled, Change, Circumstances, Control, Document, Kind};
use crate::id::ChannelId;
use crate::suspension::Scope;

const PROVIDERS: [&str; 1] = ["alipay"];

const CHANNELS: &str = "
channels:
  - {id: a, provider: alipay, methods: [pay], currencies: [CNY], timeout_ms: 5000, accounts: [{id: main}]}
  - {id: b, provider: alipay, methods: [pay, card], currencies: [CNY], timeout_ms: 5000, accounts: [{id: main}]}
  - {id: c, provider: alipay, methods: [card], issuers: [icbc], currencies: [CNY], timeout_ms: 5000, accounts: [{id: x}]}
limits:
  - {id: cap, count: 20, window_secs: 600}
";

const FIRST: &str = "{version: 1, name: first, timezone: UTC, default: {priority: [a, b, c]}}";
const STANDBY: &str = "{version: 2, name: standby, timezone: UTC, default: {priority: [b, a]}}";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// A control state with its policies, as a ledger keeps them.
struct Desk {
    control: Control,
    assembled: Assembled,
    policies: Vec<Document>,
    down: Vec<ChannelId>,
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
        let applied = control::apply(None, &import, &with).unwrap();
        let mut desk = Self {
            control: applied.control.clone(),
            assembled: applied.assembled.clone(),
            policies: Vec::new(),
            down: Vec::new(),
            now: at(1_000),
        };
        desk.keep(applied);
        desk.make(&Change::AddPolicy {
            text: STANDBY.to_owned(),
            note: String::new(),
        });
        desk
    }

    fn keep(&mut self, applied: Applied) {
        let policies = applied
            .documents
            .into_iter()
            .filter(|(kind, _)| *kind == Kind::Policy);
        self.policies.extend(policies.map(|(_, document)| document));
        self.control = applied.control;
        self.assembled = applied.assembled;
    }

    /// Makes a change, and answers the revision that it led to.
    fn make(&mut self, change: &Change) -> u64 {
        let wanted = change.needs_policy(Some(&self.control));
        let policy = self.policies.iter().find(|policy| Some(policy.version) == wanted);
        let with = Circumstances {
            providers: &PROVIDERS,
            by: &Actor::new("runbook").unwrap(),
            now: self.now,
            policy,
        };
        let applied = control::apply(Some(&self.control), change, &with);
        let applied = applied.unwrap_or_else(|refused| panic!("{change:?}: {refused}"));
        self.keep(applied);
        self.control.revision
    }

    fn plan(&self, runbook: &Runbook, labels: &[(&str, &str)]) -> Plan {
        let own = |(name, value): &(&str, &str)| (Box::from(*name), Box::from(*value));
        let labels: Labels = labels.iter().map(own).collect();
        plan(
            runbook,
            &Situation {
                control: &self.control,
                configuration: &self.assembled.configuration,
                policies: &[(1, "first"), (2, "standby")],
                down: &self.down,
                held: &[],
                labels: &labels,
                now: self.now,
            },
        )
    }

    /// Makes what a plan says, and answers what takes it back, the last first.
    fn carry_out(&mut self, plan: &Plan) -> Vec<Change> {
        let mut back = Vec::new();
        for step in &plan.steps {
            if let Ok(Deed::Change(planned)) = step {
                let revision = self.make(&planned.change);
                back.insert(0, planned.taken_back(revision));
            }
        }
        back
    }
}

fn runbooks(steps: &str) -> Runbooks {
    let text = format!(
        "version: 1\nrunbooks:\n  - {{name: backup, on: [Down], run: on_approval, steps: [{steps}]}}\n"
    );
    Runbooks::load(&text, "r.yaml", None).unwrap_or_else(|found| {
        panic!(
            "{}",
            found
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("\n")
        )
    })
}

fn planned(desk: &Desk, steps: &str) -> Vec<Result<String, String>> {
    let plan = desk.plan(
        &runbooks(steps).list[0],
        &[("channel", "a"), ("alertname", "Down")],
    );
    let told = |step: &Result<Deed, NotDone>| match step {
        Ok(Deed::Change(planned)) => Ok(planned.words.clone()),
        Ok(Deed::Notify { text, .. }) => Ok(text.to_string()),
        Err(why) => Err(why.to_string()),
    };
    plan.steps.iter().map(told).collect()
}

macro_rules! ok {
    ($words:literal) => {
        Ok::<_, String>($words.to_owned())
    };
}

macro_rules! no {
    ($why:literal) => {
        Err::<String, _>($why.to_owned())
    };
}

const ALL_STEPS: &str = "
    {suspend: {channel: '{channel}', issuer: icbc}, for: 30m},
    {force_breaker: {channel: '{channel}', to: out}, for: 10m},
    {activate_policy: standby, for: 2h},
    {lower_limit: {limit: cap, to: 50%}, for: 1h},
    {notify: [oncall], text: The backup is on}";

#[test]
fn every_step_has_words_an_end_and_a_reverse_that_restores_what_was() {
    let mut desk = Desk::new();
    assert_eq!(
        planned(&desk, ALL_STEPS),
        [
            ok!("suspend channel a, issuer icbc"),
            ok!("force the breaker of a out"),
            ok!("activate policy standby"),
            ok!("lower limit cap from 20 to 10"),
            ok!("The backup is on"),
        ]
    );
    let plan = desk.plan(&runbooks(ALL_STEPS).list[0], &[("channel", "a")]);
    let ends: Vec<(i64, bool)> = plan
        .steps
        .iter()
        .filter_map(|step| match step {
            Ok(Deed::Change(planned)) => Some((planned.ends_at.as_second(), planned.ends_by_itself)),
            _ => None,
        })
        .collect();
    assert_eq!(
        ends,
        [(2_800, true), (1_600, true), (8_200, false), (4_600, false)]
    );
    let before = desk.control.clone();
    let back = desk.carry_out(&plan);
    assert_eq!(desk.control.policy.version, 2);
    assert_eq!(desk.assembled.configuration.limits[0].most, 10);
    for change in &back {
        desk.make(change);
    }
    assert_eq!(desk.control.policy.version, before.policy.version);
    assert_eq!(
        (&desk.control.breakers, &desk.control.limits),
        (&before.breakers, &before.limits)
    );
    assert!(
        desk.control
            .suspensions
            .iter()
            .all(|standing| standing.is_over(desk.now))
    );
}

#[test]
fn the_last_channel_of_a_method_is_never_taken_out() {
    let mut desk = Desk::new();
    let suspend = "{suspend: {channel: a}, for: 30m}, {suspend: {channel: b}, for: 30m}";
    assert_eq!(
        planned(&desk, suspend),
        [
            ok!("suspend channel a"),
            no!("method `pay` would have no channel left")
        ]
    );
    // For one bank's customers it would be the last as well.
    let for_one = "{suspend: {channel: a, issuer: icbc}, for: 30m}, {suspend: {channel: b}, for: 30m}";
    assert_eq!(
        planned(&desk, for_one)[1],
        no!("method `pay` would have no channel left")
    );
    // `c` takes one bank only: for all others `b` is the last with cards.
    let cards = "{suspend: {channel: b, method: card}, for: 30m}";
    assert_eq!(
        planned(&desk, cards),
        [no!("method `card` would have no channel left")]
    );
    let breaker = "{force_breaker: {channel: b, to: out}, for: 10m}";
    assert_eq!(
        planned(&desk, breaker),
        [no!("method `card` would have no channel left")]
    );
    assert_eq!(
        planned(&desk, "{suspend: {channel: a}, for: 1h}"),
        [ok!("suspend channel a")]
    );
    desk.down = vec![ChannelId::new("b").unwrap()];
    assert_eq!(
        planned(&desk, "{suspend: {channel: a}, for: 1h}"),
        [no!("method `pay` would have no channel left")],
        "the other one is down"
    );
}

#[test]
fn a_bank_can_be_closed_by_name() {
    let desk = Desk::new();
    assert_eq!(
        planned(&desk, "{suspend: {issuer: icbc, method: card}, for: 30m}"),
        [ok!("suspend issuer icbc, method card")]
    );
}

#[test]
fn what_is_not_there_or_so_already_is_said() {
    let mut desk = Desk::new();
    desk.make(&Change::ForceBreaker {
        channel: ChannelId::new("a").unwrap(),
        forced: Forced::In,
        until: at(5_000),
        reason: "known to be well".to_owned(),
    });
    desk.make(&Change::Suspend {
        scope: Scope {
            issuer: Some("cmb".to_owned()),
            ..Scope::default()
        },
        reason: "maintenance".to_owned(),
        from: None,
        until: None,
    });
    assert_eq!(
        planned(
            &desk,
            "{suspend: {channel: d}, for: 30m}, {suspend: {issuer: '{issuer}'}, for: 30m},
             {suspend: {issuer: cmb}, for: 30m}, {force_breaker: {channel: a, to: out}, for: 10m},
             {activate_policy: first, for: 1h}, {activate_policy: third, for: 1h},
             {lower_limit: {limit: cap, to: 20}, for: 1h}, {lower_limit: {limit: other, to: 1}, for: 1h}"
        ),
        [
            no!("channel `d` is not configured"),
            no!("the alert has no label `issuer`"),
            no!("issuer cmb is suspended already"),
            no!("runbook has decided about the breaker of `a`"),
            no!("policy `first` is active already"),
            no!("no stored policy is called `third`"),
            no!("limit `cap` allows 20 already"),
            no!("there is no limit `other`"),
        ]
    );
}

#[test]
fn a_runbook_is_found_by_the_rule_that_names_it_and_by_the_rules_it_names() {
    let text = "
version: 1
runbooks:
  - {name: one, on: [Down], match: {provider: alipay}, run: automatically, steps: [{notify: chat, text: x}]}
  - {name: two, run: on_approval, steps: [{notify: chat, text: x}]}
";
    let runbooks = Runbooks::load(text, "r.yaml", Some(&["chat"])).unwrap();
    let names = |rule, named, provider: &str| -> Vec<String> {
        let labels: Labels = BTreeMap::from([(Box::from("provider"), Box::from(provider))]);
        let about = runbooks.about(rule, named, &labels);
        about.iter().map(|runbook| runbook.name.to_string()).collect()
    };
    assert_eq!(names("Down", None, "alipay"), ["one"]);
    assert_eq!(names("Down", Some("two"), "alipay"), ["one", "two"]);
    assert_eq!(names("Down", Some("one"), "wechat"), Vec::<String>::new());
    assert_eq!(runbooks.runbook("two").unwrap().run, Run::OnApproval);
}

#[test]
fn everything_wrong_is_reported_with_its_line() {
    let text = "version: 1
runbooks:
  - name: backup
    run: at_once
    steps:
      - {suspend: {method: card}, for: 30m}
      - {suspend: {channel: '{channel'}, for: 30m}
      - {force_breaker: {channel: a, to: open}, for: 2d}
      - {activate_policy: standby}
      - {notify: nobody, text: x, for: 1h}
      - {suspend: {channel: a}, notify: [chat], for: 1h}
";
    let found = Runbooks::load(text, "r.yaml", Some(&["chat"])).unwrap_err();
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "r.yaml:4:10: runbooks[0].run: `at_once`, expected one of: automatically, on_approval",
            "r.yaml:6:19: runbooks[0].steps[0].suspend: would leave a method without any channel: name a channel, an issuer or a region",
            "r.yaml:7:29: runbooks[0].steps[1].suspend.channel: `{channel`: expected a name, or an alert's label as `{channel}`",
            "r.yaml:8:42: runbooks[0].steps[2].force_breaker.to: `open`, expected one of: out, in, observe_only",
            "r.yaml:8:54: runbooks[0].steps[2].for: expected from 1m to 1d",
            "r.yaml:9:9: runbooks[0].steps[3]: `for` is missing",
            "r.yaml:10:18: runbooks[0].steps[4].notify: `nobody`, expected one of: chat",
            "r.yaml:10:35: runbooks[0].steps[4]: what was told has no end",
            "r.yaml:11:9: runbooks[0].steps[5]: expected one of: suspend, force_breaker, activate_policy, lower_limit, notify",
        ]
    );
}

fn a_word(names: &'static [&'static str]) -> impl Strategy<Value = Option<&'static str>> {
    proptest::option::of(proptest::sample::select(names))
}

fn a_step() -> impl Strategy<Value = Step> {
    let lasts = SignedDuration::from_mins(30);
    let suspend = (
        proptest::sample::select(&["a", "b", "c"][..]),
        a_word(&["icbc", "cmb"]),
        a_word(&["gd"]),
        a_word(&["pay", "card"]),
    )
        .prop_map(move |(channel, issuer, region, method)| Step::Suspend {
            channel: Some(Word::new(channel)),
            issuer: issuer.map(Word::new),
            region: region.map(Word::new),
            method: method.map(Word::new),
            lasts,
        });
    let force = proptest::sample::select(&["a", "b", "c"][..]).prop_map(move |channel| Step::ForceBreaker {
        channel: Word::new(channel),
        forced: Forced::Out,
        lasts,
    });
    let policy = Just(Step::ActivatePolicy {
        name: "standby".into(),
        lasts,
    });
    let limit = (0..25_i64).prop_map(move |most| Step::LowerLimit {
        id: "cap".into(),
        to: Lower::To(most),
        lasts,
    });
    prop_oneof![4 => suspend, 2 => force, 1 => policy, 1 => limit]
}

/// Whether each method has a channel for each kind of payment, by the code that routes.
fn methods_served(desk: &Desk) -> Vec<bool> {
    use crate::payment::tests::payment;
    let configuration = &desk.assembled.configuration;
    let forced_out = |id: &ChannelId| {
        let mut breakers = desk.control.breakers.iter();
        breakers.any(|set| set.channel == *id && set.forced == Forced::Out)
    };
    let mut served = Vec::new();
    for method in ["pay", "card"] {
        for issuer in [None, Some("icbc"), Some("cmb")] {
            for region in [None, Some("gd")] {
                let mut attributes = payment("p");
                attributes.method = method.to_owned();
                attributes.issuer = issuer.map(str::to_owned);
                attributes.region = region.map(str::to_owned);
                let closed = crate::suspension::suspended(
                    &configuration.suspensions,
                    &configuration.channels,
                    &attributes,
                    desk.now,
                );
                let open = configuration.channels.iter().any(|(index, channel)| {
                    let takes_issuer = channel.issuers.is_empty()
                        || issuer.is_none_or(|issuer| channel.issuers.iter().any(|one| one == issuer));
                    channel.methods.iter().any(|one| one == method)
                        && takes_issuer
                        && !closed.contains(index)
                        && !forced_out(&channel.id)
                });
                served.push(open);
            }
        }
    }
    served
}

proptest! {
    // Each makes many control states, which are assembled anew.
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn whatever_a_runbook_says_no_method_loses_its_last_channel(
        steps in proptest::collection::vec(a_step(), 1..10),
    ) {
        let mut desk = Desk::new();
        let runbook = Runbook {
            name: "any".into(),
            on: Vec::new(),
            when: Vec::new(),
            run: Run::Automatically,
            steps,
        };
        let before = methods_served(&desk);
        let plan = desk.plan(&runbook, &[]);
        let _ = desk.carry_out(&plan);
        prop_assert_eq!(methods_served(&desk), before);
    }

    #[test]
    fn every_change_can_be_made_and_taken_back(steps in proptest::collection::vec(a_step(), 1..10)) {
        let mut desk = Desk::new();
        let runbook = Runbook {
            name: "any".into(),
            on: Vec::new(),
            when: Vec::new(),
            run: Run::Automatically,
            steps,
        };
        // A step that a later one overrides is taken back by what was before it: so one at a time.
        for step in &runbook.steps {
            let one = Runbook { steps: vec![step.clone()], ..runbook.clone() };
            let before = (desk.control.policy.version, desk.control.limits.clone(), methods_served(&desk));
            let plan = desk.plan(&one, &[]);
            for change in desk.carry_out(&plan) {
                desk.make(&change);
            }
            let after = (desk.control.policy.version, desk.control.limits.clone(), methods_served(&desk));
            prop_assert_eq!(before, after);
        }
    }
}
