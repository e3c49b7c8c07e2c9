//! A zoo, and senders to it.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use payroute_delivery::exchange::Exchange;
use payroute_delivery::format::{CredentialId, Parcel};
use payroute_delivery::guard::{self, Guard};
use payroute_delivery::locale::Locale;
use payroute_delivery::message::{Link, Message, Notice, Page, Recipient, Severity, Status};
use payroute_delivery::receiver::{Receiver, Settings};
use payroute_delivery::sender::{Attempt, Sender};
use payroute_delivery::tls::Tls;
use rig::Zoo;
use rig::zoo::{
    ACCESS_KEY, DINGTALK, FEISHU_SECRET, OFFICIAL_ACCOUNT, ROUTING_KEYS, WEBHOOK_KEYS, WECOM_KEY,
};

/// When the tests begin.
pub(crate) fn start() -> Timestamp {
    "2026-01-02T03:10:00Z".parse().unwrap()
}

/// A zoo, and the settings of a receiver at each of its vendors.
pub(crate) struct Stand {
    pub(crate) zoo: Zoo,
}

impl Stand {
    pub(crate) fn new() -> Self {
        Self {
            zoo: Zoo::open(start()).unwrap(),
        }
    }

    /// An exchange that may speak to the zoo.
    pub(crate) fn exchange(&self) -> Exchange {
        Exchange::new(self.guard(), Tls::new(None).unwrap())
    }

    /// A guard that lets the zoo through, and nothing else that is not public.
    pub(crate) fn guard(&self) -> Guard {
        Guard::new(guard::Settings {
            allow_networks: vec!["127.0.0.1/32".parse().unwrap()],
            allow_ports: vec![self.zoo.address().port()],
            allow_http: true,
        })
    }

    /// A sender by the settings of a receiver, in YAML, from `to:` on.
    pub(crate) fn sender(&self, settings: &str) -> Sender {
        let settings: Settings = serde_saphyr::from_str(&format!("name: oncall\n{settings}")).unwrap();
        let receiver = Receiver::open(&settings).unwrap();
        Sender::new(receiver, Arc::new(self.exchange()))
    }

    pub(crate) fn webhook(&self) -> Sender {
        let (url, [old, new]) = (self.zoo.url("/hook"), WEBHOOK_KEYS);
        self.sender(&format!(
            "to: {{webhook: {{url: '{url}', keys: [{old}, {new}]}}}}"
        ))
    }

    pub(crate) fn alertmanager(&self) -> Sender {
        let (url, key) = (self.zoo.url("/alertmanager"), WEBHOOK_KEYS[0]);
        self.sender(&format!("to: {{alertmanager: {{url: '{url}', keys: [{key}]}}}}"))
    }

    pub(crate) fn pagerduty(&self) -> Sender {
        let (url, [new, old]) = (self.zoo.url("/v2/enqueue"), ROUTING_KEYS);
        self.sender(&format!(
            "to: {{pagerduty: {{url: '{url}', routing_keys: [{new}, {old}]}}}}"
        ))
    }

    pub(crate) fn slack(&self) -> Sender {
        let url = self.zoo.url("/services/T0/B0/zoo");
        self.sender(&format!("to: {{slack: {{url: '{url}', users: [U1]}}}}"))
    }

    pub(crate) fn dingtalk(&self) -> Sender {
        let url = self.zoo.url(&format!("/robot/send?access_token={}", DINGTALK.0));
        let secret = DINGTALK.1;
        self.sender(&format!(
            "locale: zh-CN\ntime_zone: Asia/Shanghai\nto: {{dingtalk: {{url: '{url}', secret: {secret}, mobiles: ['13800000000']}}}}"
        ))
    }

    pub(crate) fn feishu(&self) -> Sender {
        let url = self.zoo.url("/open-apis/bot/v2/hook/zoo");
        self.sender(&format!(
            "to: {{feishu: {{url: '{url}', secret: {FEISHU_SECRET}, users: [all]}}}}"
        ))
    }

    pub(crate) fn wecom(&self) -> Sender {
        let url = self.zoo.url(&format!("/cgi-bin/webhook/send?key={WECOM_KEY}"));
        self.sender(&format!("to: {{wecom: {{url: '{url}', users: [zhang.san]}}}}"))
    }

    pub(crate) fn aliyun_sms(&self) -> Sender {
        let (url, (id, secret)) = (self.zoo.url("/"), ACCESS_KEY);
        self.sender(&format!(
            "to: {{aliyun_sms: {{url: '{url}', access_key_id: {id}, access_key_secret: {secret}, sign_name: 商户}}}}"
        ))
    }

    pub(crate) fn wechat(&self) -> Sender {
        let (url, (id, secret)) = (self.zoo.url("/"), OFFICIAL_ACCOUNT);
        self.sender(&format!(
            "to: {{wechat: {{url: '{url}', app_id: {id}, app_secret: {secret}}}}}"
        ))
    }

    /// A sender to each receiver that takes pages.
    pub(crate) fn all_for_pages(&self) -> [Sender; 7] {
        [
            self.webhook(),
            self.alertmanager(),
            self.pagerduty(),
            self.slack(),
            self.dingtalk(),
            self.feishu(),
            self.wecom(),
        ]
    }

    /// The body of the last request, as JSON.
    pub(crate) fn last_body(&self) -> serde_json::Value {
        self.zoo.visits().last().unwrap().json()
    }
}

/// One attempt at the zoo's time, `after_secs` after the start.
pub(crate) async fn send_at(stand: &Stand, sender: &Sender, message: &Message, after_secs: i64) -> Attempt {
    let now = start() + SignedDuration::from_secs(after_secs);
    stand.zoo.set_now(now);
    send(sender, message, now, None).await
}

pub(crate) async fn send(
    sender: &Sender,
    message: &Message,
    now: Timestamp,
    credential: Option<&CredentialId>,
) -> Attempt {
    let id = "msg_0198c0de-0000-7000-8000-000000000001";
    sender
        .send(Parcel {
            id,
            message,
            now,
            credential,
        })
        .await
}

pub(crate) fn page() -> Page {
    Page {
        status: Status::Firing,
        severity: Severity::Critical,
        dedup_key: "al_7:3".to_owned(),
        alert: "SuccessRateLow".to_owned(),
        what: "success rate of ch_42 is 71.4 % (threshold 95 %)".to_owned(),
        since: "2026-01-02T03:04:05.678Z".parse().unwrap(),
        until: None,
        hits: vec!["ICBC debit cards, 31 % of traffic".to_owned()],
        reasons: vec!["issuer does not answer: 412 payments".to_owned()],
        done: vec!["traffic moved to ch_43".to_owned()],
        links: vec![Link {
            text: "Console".to_owned(),
            url: "https://console.example/incidents/al_7?tab=a&b=(c)".to_owned(),
        }],
        labels: BTreeMap::from([("channel".to_owned(), "ch_42".to_owned())]),
        members: Vec::new(),
        locale: Locale::En,
    }
}

pub(crate) fn resolved() -> Page {
    Page {
        status: Status::Resolved,
        until: Some("2026-01-02T03:09:00Z".parse().unwrap()),
        ..page()
    }
}

pub(crate) fn message(page: Page) -> Message {
    Message::Page(Box::new(page))
}

pub(crate) fn notice(to: &str) -> Message {
    Message::Notice(Notice {
        to: Recipient::new(to),
        template: "SMS_154950909".to_owned(),
        parameters: BTreeMap::from([
            (
                "thing1".to_owned(),
                "您的付款未成功，未扣款，请换一张卡重试，或联系客服处理此笔订单的问题，谢谢您的理解"
                    .to_owned(),
            ),
            ("amount2".to_owned(), "¥128.00 & \"x\"=1+1".to_owned()),
        ]),
        link: Some("https://shop.example/orders/1".to_owned()),
        not_after: None,
    })
}
