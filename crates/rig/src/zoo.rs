//! The receiver zoo: an HTTP server that plays every vendor we send to, as strictly as the vendor is, and on demand
//! as badly as the worst receiver on the internet.
//!
//! It shares no code with the senders: signatures and limits are written a second time here, so that a mistake has
//! to be made twice to go unseen. Its clock stands where the test puts it.

mod alertmanager;
mod aliyun;
mod chat;
mod http;
mod mood;
mod pagerduty;
mod signature;
mod webhook;
mod wechat;

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use jiff::Timestamp;
use parking_lot::{Condvar, Mutex};

pub use http::{Reply, Visit};
pub use mood::Mood;
pub use pagerduty::Incident;

use crate::leash::RigError;

/// Secret that the webhook is signed with, and the one it is being exchanged for.
pub const WEBHOOK_KEYS: [&str; 2] = [
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
];
/// Routing keys that `PagerDuty` knows.
pub const ROUTING_KEYS: [&str; 2] = [
    "R0000000000000000000000000000NEW",
    "R0000000000000000000000000000OLD",
];
/// Access token and secret of the `DingTalk` robot.
pub const DINGTALK: (&str, &str) = ("zoo-token", "SECzoo-dingtalk");
/// Secret of the Feishu bot.
pub const FEISHU_SECRET: &str = "zoo-feishu";
/// Key of the `WeCom` robot.
pub const WECOM_KEY: &str = "zoo-wecom";
/// Access key of Alibaba Cloud: id and secret.
pub const ACCESS_KEY: (&str, &str) = ("zoo-access", "zoo-access-secret");
/// Id and secret of the WeChat official account.
pub const OFFICIAL_ACCOUNT: (&str, &str) = ("wxzoo", "zoo-app-secret");

/// A running zoo.
#[derive(Debug)]
pub struct Zoo {
    address: SocketAddr,
    keeper: Arc<Keeper>,
    door: Option<JoinHandle<()>>,
}

/// What the zoo's threads share.
#[derive(Debug, Default)]
struct Keeper {
    now_ms: AtomicI64,
    connections: AtomicUsize,
    closed: AtomicBool,
    /// Taken by whoever waits for the zoo to close.
    gate: (Mutex<()>, Condvar),
    moods: Mutex<VecDeque<Mood>>,
    visits: Mutex<Vec<Visit>>,
    vendors: Mutex<Vendors>,
}

/// What the vendors remember.
#[derive(Debug, Default)]
struct Vendors {
    webhook: webhook::Webhook,
    pagerduty: pagerduty::Pagerduty,
    chats: chat::Chats,
    aliyun: aliyun::Aliyun,
    wechat: wechat::Wechat,
}

impl Zoo {
    /// Opens one whose clock stands at `now`.
    ///
    /// # Errors
    /// When no port can be listened on.
    pub fn open(now: Timestamp) -> Result<Self, RigError> {
        let opening = "open the receiver zoo";
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(RigError::io(opening))?;
        let address = listener.local_addr().map_err(RigError::io(opening))?;
        let keeper = Arc::new(Keeper::default());
        let mut zoo = Self {
            address,
            keeper: Arc::clone(&keeper),
            door: None,
        };
        zoo.set_now(now);
        zoo.door = Some(std::thread::spawn(move || serve(&listener, &keeper)));
        Ok(zoo)
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of `path` in it, without TLS.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Moves its clock.
    pub fn set_now(&self, now: Timestamp) {
        self.keeper.now_ms.store(now.as_millisecond(), Ordering::SeqCst);
    }

    /// Answers the next exchange in this mood; those after it as if nothing had been. Several wait for their turn.
    pub fn next(&self, mood: Mood) {
        self.keeper.moods.lock().push_back(mood);
    }

    /// Connections that were made to it, with or without a request.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.keeper.connections.load(Ordering::SeqCst)
    }

    /// Requests that came, in order.
    #[must_use]
    pub fn visits(&self) -> Vec<Visit> {
        self.keeper.visits.lock().clone()
    }

    /// The incidents of `PagerDuty`, as they stand.
    #[must_use]
    pub fn incidents(&self) -> Vec<Incident> {
        self.keeper.vendors.lock().pagerduty.incidents()
    }

    /// How often the webhook has taken the message of this id, signature and all.
    #[must_use]
    pub fn webhooks_taken(&self, id: &str) -> usize {
        self.keeper.vendors.lock().webhook.taken(id)
    }

    /// Ends the access token that WeChat has given out, as it may do at any time.
    pub fn end_access_token(&self) {
        self.keeper.vendors.lock().wechat.end_token();
    }
}

impl Drop for Zoo {
    fn drop(&mut self) {
        self.keeper.closed.store(true, Ordering::SeqCst);
        self.keeper.gate.1.notify_all();
        // Wakes the one who waits for connections.
        let _ = TcpStream::connect(self.address);
        // So that nothing listens there any more when this returns.
        let _ = self.door.take().map(JoinHandle::join);
    }
}

fn serve(listener: &TcpListener, keeper: &Arc<Keeper>) {
    for stream in listener.incoming() {
        if keeper.is_closed() {
            return;
        }
        let Ok(stream) = stream else { continue };
        keeper.connections.fetch_add(1, Ordering::SeqCst);
        let keeper = Arc::clone(keeper);
        std::thread::spawn(move || {
            // A client that goes away is a client that goes away.
            let _ = keeper.receive(&stream);
        });
    }
}

impl Keeper {
    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    fn now(&self) -> Timestamp {
        let now_ms = self.now_ms.load(Ordering::SeqCst);
        Timestamp::from_millisecond(now_ms).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// Waits that long, or until the zoo is closed.
    fn dawdle(&self, wait: std::time::Duration) {
        let mut gate = self.gate.0.lock();
        if !self.is_closed() {
            self.gate.1.wait_for(&mut gate, wait);
        }
    }

    fn receive(&self, stream: &TcpStream) -> io::Result<()> {
        let visit = http::read(stream)?;
        let mood = self.moods.lock().pop_front();
        self.visits.lock().push(visit.clone());
        match mood {
            None => http::write(stream, &self.answer(&visit)),
            // What it does is done after it was understood: the answer is lost, not the message.
            Some(Mood::ResetHalfWay) => mood::reset_half_way(stream, &self.answer(&visit)),
            Some(mood) => mood.act(stream, || !self.is_closed(), |wait| self.dawdle(wait)),
        }
    }

    /// The vendor whose path it is.
    fn answer(&self, visit: &Visit) -> Reply {
        let now = self.now();
        let mut vendors = self.vendors.lock();
        match visit.path.as_str() {
            "/" => vendors.aliyun.answer(visit, now),
            "/hook" => vendors.webhook.answer(visit, now),
            "/alertmanager" => alertmanager::answer(visit, now),
            "/v2/enqueue" => vendors.pagerduty.answer(visit),
            "/robot/send" => vendors.chats.dingtalk(visit, now),
            "/cgi-bin/webhook/send" => chat::wecom(visit),
            "/cgi-bin/stable_token" | "/cgi-bin/message/template/send" => vendors.wechat.answer(visit, now),
            path if path.starts_with("/services/") => chat::slack(visit),
            path if path.starts_with("/open-apis/bot/v2/hook/") => chat::feishu(visit, now),
            _ => Reply::text(404, "no such receiver"),
        }
    }
}
