//! Every format at its own strict receiver.

use payroute_delivery::digest::digest;
use payroute_delivery::format::CredentialId;
use payroute_delivery::judge::{Cause, Verdict};
use payroute_delivery::locale::Locale;
use payroute_delivery::message::{Event, Message, Page, Status};
use payroute_delivery::secret::Secret;
use rig::zoo::{Incident, ROUTING_KEYS};
use serde_json::json;

use crate::stand::{Stand, message, notice, page, resolved, send, send_at, start};

#[tokio::test]
async fn every_receiver_of_pages_takes_trigger_and_resolve() {
    let stand = Stand::new();
    for sender in stand.all_for_pages() {
        for page in [page(), resolved()] {
            let attempt = send(&sender, &message(page), start(), None).await;
            assert_eq!(attempt.verdict, Verdict::Delivered, "{sender:?}");
        }
    }
}

/// As long and as strange as the alerter could ever make it.
fn monstrous(locale: Locale) -> Page {
    let long = "银行 *拒绝* <@all> [x](http://evil.example) \"\\\n\u{202e}😀".repeat(40);
    let mut page = Page {
        what: long.clone(),
        hits: vec![long.clone(); 60],
        reasons: vec![long.clone(); 60],
        done: vec![long.clone(); 60],
        dedup_key: "k".repeat(400),
        locale,
        ..page()
    };
    page.labels.insert("merchant".to_owned(), long);
    page
}

#[tokio::test]
async fn f41_no_page_is_too_long_or_too_strange_for_any_receiver() {
    let stand = Stand::new();
    for locale in [Locale::En, Locale::ZhCn] {
        let many = vec![monstrous(locale); 500];
        for page in [monstrous(locale), digest(&many).unwrap()] {
            for sender in stand.all_for_pages() {
                let attempt = send(&sender, &message(page.clone()), start(), None).await;
                assert_eq!(attempt.verdict, Verdict::Delivered, "{sender:?}");
            }
        }
    }
}

#[tokio::test]
async fn f41_nobody_is_called_by_what_others_wrote() {
    let stand = Stand::new();
    let calls = "ch <!channel> <@all> <at id=all></at> @13900000000 \",\"x\":\"y".to_owned();
    let page = Page {
        what: calls.clone(),
        hits: vec![calls],
        ..page()
    };
    for sender in [stand.slack(), stand.dingtalk(), stand.feishu(), stand.wecom()] {
        let attempt = send(&sender, &message(page.clone()), start(), None).await;
        assert_eq!(attempt.verdict, Verdict::Delivered);
        let mut body = stand.last_body();
        if let Some(title) = body.pointer_mut("/card/header/title/content") {
            // Plain text, in which nothing is markup.
            *title = json!("");
        }
        let body = body.to_string();
        for call in ["<!channel>", "<@all>", "</at> @", "@139"] {
            assert!(!body.contains(call), "{sender:?}: {call} in {body}");
        }
        assert!(body.contains("ch "), "{body}");
    }
}

#[tokio::test]
async fn a_chat_shows_whom_it_hits_and_calls_those_it_should() {
    let stand = Stand::new();
    let sender = stand.dingtalk();
    let page = Page {
        locale: Locale::ZhCn,
        ..resolved()
    };
    let attempt = send(&sender, &message(page), start(), None).await;
    assert_eq!(attempt.verdict, Verdict::Delivered);
    assert_eq!(
        stand.last_body()["markdown"]["text"],
        "### [已恢复] SuccessRateLow: success rate of ch_42 is 71.4 % (threshold 95 %)\n\n\
         **级别**: 紧急\n\n\
         **开始时间**: 2026-01-02 11:04:05 +08:00\n\n\
         **恢复时间**: 2026-01-02 11:09:00 +08:00 (4 分 54 秒)\n\n\
         **影响范围**\n\n- ICBC debit cards, 31 % of traffic\n\n\
         **主要原因**\n\n- issuer does not answer: 412 payments\n\n\
         **已采取措施**\n\n- traffic moved to ch_43\n\n\
         **查看**: [Console](https://console.example/incidents/al_7?tab=a&b=%28c%29)\n\n\
         @13800000000"
    );
}

#[tokio::test]
async fn f41_when_the_template_fails_the_minimum_is_sent_instead_of_nothing() {
    let stand = Stand::new();
    let url = stand.zoo.url("/services/T0/B0/zoo");
    let sender = stand.sender(&format!(
        "template: '{{{{ label.shop }}}}'\nto: {{slack: {{url: '{url}'}}}}"
    ));
    let attempt = send(&sender, &message(page()), start(), None).await;
    assert_eq!(attempt.verdict, Verdict::Delivered);
    assert!(attempt.template_failed);
    let body = stand.last_body().to_string();
    assert!(
        body.contains("71.4 %") && body.contains("no label ｀shop｀"),
        "{body}"
    );
}

#[tokio::test]
async fn f29_a_repeated_trigger_is_one_incident_and_a_resolve_closes_it() {
    let stand = Stand::new();
    let sender = stand.pagerduty();
    for _ in 0..3 {
        send(&sender, &message(page()), start(), None).await;
    }
    let mut incident = Incident {
        routing_key: ROUTING_KEYS[0].to_owned(),
        dedup_key: "al_7:3".to_owned(),
        open: true,
        repeats: 2,
    };
    assert_eq!(stand.zoo.incidents(), [incident.clone()]);
    send(&sender, &message(resolved()), start(), None).await;
    incident.open = false;
    assert_eq!(stand.zoo.incidents(), [incident]);
}

#[tokio::test]
async fn f40_a_resolve_finds_its_incident_after_the_routing_key_was_changed() {
    let stand = Stand::new();
    let (url, [new, old]) = (stand.zoo.url("/v2/enqueue"), ROUTING_KEYS);
    let before = stand.sender(&format!(
        "to: {{pagerduty: {{url: '{url}', routing_keys: [{old}]}}}}"
    ));
    let opened = send(&before, &message(page()), start(), None).await;
    assert_eq!(opened.credential, Some(CredentialId::of(&Secret::new(old))));

    let after = stand.pagerduty();
    send(&after, &message(resolved()), start(), opened.credential.as_ref()).await;
    assert!(!stand.zoo.incidents()[0].open);

    let without = stand.sender(&format!(
        "to: {{pagerduty: {{url: '{url}', routing_keys: [{new}]}}}}"
    ));
    let refused = send(
        &without,
        &message(resolved()),
        start(),
        opened.credential.as_ref(),
    )
    .await;
    assert!(matches!(refused.verdict, Verdict::Refused(Cause::Unsendable(_))));
}

#[tokio::test]
async fn f29_a_repeated_webhook_has_the_same_id_and_a_fresh_timestamp() {
    let stand = Stand::new();
    let sender = stand.webhook();
    let event = Message::Event(Event {
        topic: "compensation.query_due".to_owned(),
        at: start(),
        data: json!({ "payment_id": "pay_1", "attempt_id": "att_1" }),
        not_after: None,
    });
    for hours in [0, 7] {
        let attempt = send_at(&stand, &sender, &event, hours * 3600).await;
        assert_eq!(attempt.verdict, Verdict::Delivered);
    }
    let visits = stand.zoo.visits();
    let [first, second] = visits.as_slice() else {
        panic!("two visits");
    };
    assert_eq!(first.body, second.body);
    assert_eq!(first.header("webhook-id"), second.header("webhook-id"));
    assert_ne!(
        first.header("webhook-timestamp"),
        second.header("webhook-timestamp")
    );
    assert_eq!(first.header("webhook-signature").split(' ').count(), 2);
    assert_eq!(stand.zoo.webhooks_taken(first.header("webhook-id")), 2);
}

#[tokio::test]
async fn f31_a_robot_that_says_200_and_an_error_has_not_taken_the_page() {
    let stand = Stand::new();
    let url = stand.zoo.url("/robot/send?access_token=zoo-token");
    let sender = stand.sender(&format!("to: {{dingtalk: {{url: '{url}', secret: SECwrong}}}}"));
    let attempt = send(&sender, &message(page()), start(), None).await;
    assert!(
        matches!(&attempt.verdict, Verdict::Refused(Cause::Vendor { code, .. }) if code == "310000"),
        "{attempt:?}"
    );
    let url = stand.zoo.url("/open-apis/bot/v2/hook/zoo");
    let sender = stand.sender(&format!("to: {{feishu: {{url: '{url}', secret: wrong}}}}"));
    let attempt = send(&sender, &message(page()), start(), None).await;
    assert!(
        matches!(&attempt.verdict, Verdict::Refused(Cause::Vendor { code, .. }) if code == "19021"),
        "{attempt:?}"
    );
}

#[tokio::test]
async fn a_robot_that_was_sent_too_much_asks_for_ten_minutes() {
    let stand = Stand::new();
    let sender = stand.dingtalk();
    for second in 0..20 {
        let attempt = send_at(&stand, &sender, &message(page()), second).await;
        assert_eq!(attempt.verdict, Verdict::Delivered);
    }
    let attempt = send_at(&stand, &sender, &message(page()), 21).await;
    let Verdict::RateLimited { wait, .. } = attempt.verdict else {
        panic!("{attempt:?}");
    };
    assert_eq!(wait.as_secs(), 600);
    let attempt = send_at(&stand, &sender, &message(page()), 22 + 600).await;
    assert_eq!(attempt.verdict, Verdict::Delivered);
}

#[tokio::test]
async fn a_notice_reaches_the_customer_by_short_message() {
    let stand = Stand::new();
    let sender = stand.aliyun_sms();
    for second in 0..2 {
        let attempt = send_at(&stand, &sender, &notice("13800000000"), second).await;
        assert_eq!(attempt.verdict, Verdict::Delivered);
    }
    let attempt = send_at(&stand, &sender, &notice("oZoo1"), 2).await;
    assert!(
        matches!(&attempt.verdict, Verdict::Refused(Cause::Vendor { code, .. }) if code == "isv.MOBILE_NUMBER_ILLEGAL"),
        "{attempt:?}"
    );
}

#[tokio::test]
async fn a_notice_reaches_the_customer_by_wechat_with_one_token_for_many() {
    let stand = Stand::new();
    let sender = stand.wechat();
    for second in 0..3 {
        let attempt = send_at(&stand, &sender, &notice("oZoo1"), second).await;
        assert_eq!(attempt.verdict, Verdict::Delivered);
    }
    let tokens = |stand: &Stand| {
        let visits = stand.zoo.visits();
        visits
            .iter()
            .filter(|visit| visit.path.ends_with("stable_token"))
            .count()
    };
    assert_eq!(tokens(&stand), 1);

    // Ended early: the attempt fails, and the next one has a new token.
    stand.zoo.end_access_token();
    let attempt = send_at(&stand, &sender, &notice("oZoo1"), 4).await;
    assert!(matches!(
        attempt.verdict,
        Verdict::Retry {
            cause: Cause::AccessToken(_),
            ..
        }
    ));
    let attempt = send_at(&stand, &sender, &notice("oZoo1"), 5).await;
    assert_eq!((attempt.verdict, tokens(&stand)), (Verdict::Delivered, 2));

    // Ended as announced: renewed before it is refused.
    let attempt = send_at(&stand, &sender, &notice("oZoo1"), 7200).await;
    assert_eq!((attempt.verdict, tokens(&stand)), (Verdict::Delivered, 3));
    let attempt = send_at(&stand, &sender, &notice("nobody"), 7201).await;
    assert!(matches!(attempt.verdict, Verdict::Refused(Cause::Vendor { .. })));
}

#[tokio::test]
async fn a_wrong_account_secret_is_refused_at_once() {
    let stand = Stand::new();
    let url = stand.zoo.url("/");
    let sender = stand.sender(&format!(
        "to: {{wechat: {{url: '{url}', app_id: wxzoo, app_secret: wrong}}}}"
    ));
    let attempt = send(&sender, &notice("oZoo1"), start(), None).await;
    assert!(
        matches!(&attempt.verdict, Verdict::Refused(Cause::Vendor { code, .. }) if code == "40125"),
        "{attempt:?}"
    );
}

#[tokio::test]
async fn a_message_of_the_wrong_kind_is_refused_without_a_word() {
    let stand = Stand::new();
    for (sender, message) in [
        (stand.slack(), notice("13800000000")),
        (stand.aliyun_sms(), message(page())),
        (stand.wecom(), notice("oZoo1")),
    ] {
        let attempt = send(&sender, &message, start(), None).await;
        assert!(matches!(attempt.verdict, Verdict::Refused(Cause::Unsendable(_))));
    }
    assert_eq!(stand.zoo.connections(), 0);
}

#[tokio::test]
async fn what_fires_again_within_a_digest_is_told_one_by_one() {
    let stand = Stand::new();
    let pages: Vec<_> = ["ch_1", "ch_2"]
        .map(|channel| Page {
            what: format!("{channel} is down"),
            dedup_key: channel.to_owned(),
            ..page()
        })
        .to_vec();
    let sender = stand.alertmanager();
    let attempt = send(&sender, &message(digest(&pages).unwrap()), start(), None).await;
    assert_eq!(attempt.verdict, Verdict::Delivered);
    let body = stand.last_body();
    assert_eq!(body["alerts"].as_array().unwrap().len(), 2);
    assert_eq!(body["alerts"][1]["annotations"]["summary"], "ch_2 is down");
    assert_eq!(body["alerts"][0]["endsAt"], "0001-01-01T00:00:00Z");
    assert_eq!(body["status"], Status::Firing.as_str());
}
