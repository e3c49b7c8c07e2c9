//! Pages as people read them.

use super::super::tests::{World, at, ill, rules};
use super::super::{BUILT_IN, Dimension, Fingerprint, Observation, Reading, Scope, Span};
use super::*;

fn world() -> World {
    let text = "
version: 1
rules:
  - name: Low
    metric: technical_success
    by: channel
    below: 95%
    checks: [{window: 1m, min_volume: 10, mode: naive, for: 0s}]
    severity: critical
    annotations: {summary: A channel does not do its work, summary.zh-CN: 渠道技术成功率过低}
    links: [{text: Dashboard, url: 'https://grafana.example/d/1'}]
";
    let mut world = World::new(text);
    let scope = Scope::overall()
        .with(Dimension::Channel, "wechat_direct")
        .with(Dimension::Provider, "wechatpay_v3");
    world.look_at("Low", 0, &BTreeMap::from([(scope, ill(0))]));
    world
}

fn facts() -> Facts {
    Facts {
        impact: Some(Impact {
            attempts: 12_040,
            failed: 4_530,
            unknown: 12,
            traffic_bp: Some(3_125),
            lost: vec![Lost {
                currency: "CNY".to_owned(),
                payments: 231,
                amount_minor: 1_234_567,
            }],
            reasons: vec![("provider_timeout".to_owned(), 3_000), ("made_up".to_owned(), 1)],
            issuers: (0..7).map(|i| (format!("bank{i}"), 100 - i)).collect(),
            methods: vec![("wechat_pay".to_owned(), 4_530)],
            channels: Vec::new(),
        }),
        done: vec![
            Deed::Tripped {
                channel: "wechat_direct".to_owned(),
                reason: "too many of its last attempts timed out".to_owned(),
            },
            Deed::Moved {
                from: "wechat_direct".to_owned(),
                to: vec![("wechat_partner".to_owned(), 8_000)],
            },
            Deed::Suspended {
                what: "wechat_direct for icbc".to_owned(),
                by: "ann".to_owned(),
                until: Some(at(3_600)),
            },
            Deed::Offered {
                runbook: "backup".to_owned(),
            },
        ],
        similar: vec![Similar {
            began_at: at(-100_000),
            lasted: SignedDuration::from_secs(2_541),
            cause: "certificate expired".to_owned(),
            url: "https://payroute.example/incidents/7".to_owned(),
        }],
        links: Vec::new(),
    }
}

fn written(locale: Locale) -> Page {
    let world = world();
    let alerts: Vec<&Instance> = world.instances.iter().collect();
    page(
        &world.sent[0].1,
        world.rules.rule("Low"),
        &alerts,
        &facts(),
        locale,
    )
}

#[test]
fn a_page_in_english() {
    let page = written(Locale::En);
    assert_eq!(
        page.what,
        "A channel does not do its work: provider wechatpay_v3, channel wechat_direct; 50% of 100 in 1m, line 95%"
    );
    assert_eq!(
        page.hits,
        [
            "Attempts: 4,530 of 12,040 failed (37.6%)",
            "Outcome unknown: 12, may have charged",
            "Share of all traffic: 31.2%",
            "Payments lost so far: 231, 12,345.67 CNY",
            "Banks: bank0 (100), bank1 (99), bank2 (98), bank3 (97), bank4 (96) and 2 more",
            "Methods: wechat_pay (4,530)",
        ]
    );
    assert_eq!(
        page.reasons,
        [
            "no usable answer, may have charged (provider_timeout): 3,000, 66.2%",
            "made_up: 1, 0%"
        ]
    );
    assert_eq!(
        page.done,
        [
            "Left channel wechat_direct: too many of its last attempts timed out",
            "Traffic of wechat_direct goes to wechat_partner 80%",
            "Suspended wechat_direct for icbc until 1970-01-12T14:46:40Z (ann)",
            "Runbook backup waits for your word",
        ]
    );
    let links: Vec<&str> = page.links.iter().map(|link| &*link.text).collect();
    assert_eq!(
        links,
        [
            "Dashboard",
            "Similar: 1970-01-11, lasted 42m, certificate expired"
        ]
    );
    assert!(page.is_firing && page.members.is_empty() && page.until.is_none());
    assert_eq!(page.labels["provider"], "wechatpay_v3");
}

#[test]
fn a_page_in_chinese() {
    let page = written(Locale::ZhCn);
    assert_eq!(
        page.what,
        "渠道技术成功率过低：服务商 wechatpay_v3，渠道 wechat_direct；1m内 100 笔，50%，阈值 95%"
    );
    assert_eq!(page.hits[3], "至今流失订单：231 笔，12,345.67 CNY");
    assert_eq!(
        page.reasons[0],
        "渠道超时，可能已扣款（provider_timeout）：3,000 笔，66.2%"
    );
    assert_eq!(page.done[1], "wechat_direct 的流量已切换至 wechat_partner 80%");
}

#[test]
fn several_alerts_are_one_page_that_lists_them_up_to_a_bound() {
    let mut world = world();
    let scope = |i: i32| {
        Scope::overall()
            .with(Dimension::Channel, &format!("c{i}"))
            .with(Dimension::Provider, "p")
    };
    let readings = (0..200).map(|i| (scope(i), ill(10))).collect();
    world.look_at("Low", 10, &readings);
    let message = &world.sent.last().unwrap().1;
    let named = |alert: &&Instance| message.firing.contains(&alert.fingerprint);
    let alerts: Vec<&Instance> = world.instances.iter().filter(named).collect();
    let page = page(
        message,
        world.rules.rule("Low"),
        &alerts,
        &Facts::default(),
        Locale::En,
    );
    assert_eq!(
        page.what,
        "A channel does not do its work: 200 at once, provider p"
    );
    assert_eq!((page.members.len(), page.hits.len()), (MAX_MEMBERS, 0));
}

#[test]
fn a_page_of_a_rule_that_is_gone_still_says_what_it_was() {
    let world = world();
    let alerts: Vec<&Instance> = world.instances.iter().collect();
    let page = page(&world.sent[0].1, None, &alerts, &Facts::default(), Locale::En);
    assert_eq!(page.what, "Low: provider wechatpay_v3, channel wechat_direct");
}

#[test]
fn every_built_in_rule_has_something_to_say_in_both_languages() {
    let rules = rules(BUILT_IN);
    for rule in &rules.list {
        let mut alert = Instance::new(rule, &Scope::overall(), at(0));
        alert.fingerprint = Fingerprint::of(&rule.name, &Scope::overall());
        let [zh, en] = Locale::ALL.map(|locale| lines::what(Some(rule), &alert, locale));
        assert!(en.is_ascii() && !en.contains(&*rule.name), "{en}");
        assert!(!zh.is_ascii(), "{zh}");
    }
}

#[test]
fn a_silence_is_not_told_as_a_number() {
    let rules = rules(BUILT_IN);
    let mut world = World::new(BUILT_IN);
    world.rules = rules;
    let span = Span {
        expected: Some(100),
        ..Span::default()
    };
    let seen = Observation {
        spans: BTreeMap::from([(300, span)]),
        ..Observation::default()
    };
    let reading = Reading::Known(Box::new(seen));
    world.look_at("NoTraffic", 0, &BTreeMap::from([(Scope::overall(), reading)]));
    let rule = world.rules.rule("NoTraffic");
    assert_eq!(
        lines::what(rule, &world.instances[0], Locale::En),
        "No payments arrive; none in 5m"
    );
}
