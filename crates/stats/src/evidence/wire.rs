//! A packet as it is written.

use std::collections::HashMap;
use std::sync::Arc;

use domain::amount_band::AmountBand;
use domain::brain::{self, Exploration, Lane, Origin};
use domain::id::ChannelId;
use domain::outcome::OutcomeClass;
use domain::replica;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::BadEvidence;

/// A packet. Times are microseconds before `sent_us`: small numbers are few bytes.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Packet {
    origin: u64,
    seq: u64,
    sent_us: i64,
    names: Vec<String>,
    lanes: Vec<(u16, u16, u16, AmountBand)>,
    deeds: Vec<Deed>,
}

#[derive(Debug, Serialize, Deserialize)]
enum Deed {
    Dispatched {
        key: u64,
        lane: u16,
        ago_us: i64,
        timeout_ms: u32,
        attempt_no: u32,
        exploration: Exploration,
        earned: Option<f32>,
    },
    Arrived {
        key: u64,
    },
    Answered {
        key: u64,
        lane: u16,
        class: OutcomeClass,
        latency_ms: u32,
        attempt_no: u32,
        decided_ago_us: i64,
        received_ago_us: i64,
    },
    Dismissed {
        key: u64,
    },
}

/// Numbers for what is written once.
#[derive(Default)]
struct Tables<'p> {
    names: HashMap<&'p str, u16>,
    name_list: Vec<String>,
    lanes: HashMap<&'p Lane, u16>,
    lane_list: Vec<(u16, u16, u16, AmountBand)>,
}

impl<'p> Tables<'p> {
    fn name(&mut self, name: &'p str) -> Result<u16, BadEvidence> {
        if let Some(number) = self.names.get(name) {
            return Ok(*number);
        }
        let number = u16::try_from(self.name_list.len()).map_err(|_| BadEvidence::Name)?;
        self.names.insert(name, number);
        self.name_list.push(name.to_owned());
        Ok(number)
    }

    fn lane(&mut self, lane: &'p Lane) -> Result<u16, BadEvidence> {
        if let Some(number) = self.lanes.get(lane) {
            return Ok(*number);
        }
        let channel = self.name(lane.channel.as_str())?;
        let (method, issuer) = (self.name(&lane.method)?, self.name(&lane.issuer)?);
        let number = u16::try_from(self.lane_list.len()).map_err(|_| BadEvidence::Name)?;
        self.lane_list.push((channel, method, issuer, lane.band));
        self.lanes.insert(lane, number);
        Ok(number)
    }
}

impl Packet {
    pub(super) fn of(packet: &replica::Packet) -> Result<Self, BadEvidence> {
        let sent_us = packet.sent_at.as_microsecond();
        let ago = |at: Timestamp| sent_us.saturating_sub(at.as_microsecond());
        let mut tables = Tables::default();
        let mut deeds = Vec::with_capacity(packet.deeds.len());
        for deed in &packet.deeds {
            deeds.push(match deed {
                brain::Deed::Dispatched(dispatched) => Deed::Dispatched {
                    key: dispatched.key,
                    lane: tables.lane(&dispatched.lane)?,
                    ago_us: ago(dispatched.at),
                    timeout_ms: dispatched.timeout_ms,
                    attempt_no: dispatched.attempt_no,
                    exploration: dispatched.exploration,
                    earned: dispatched.earned,
                },
                brain::Deed::Answered(answered) => Deed::Answered {
                    key: answered.key,
                    lane: tables.lane(&answered.lane)?,
                    class: answered.class,
                    latency_ms: answered.latency_ms,
                    attempt_no: answered.attempt_no,
                    decided_ago_us: ago(answered.decided_at),
                    received_ago_us: ago(answered.received_at),
                },
                brain::Deed::Arrived { key } => Deed::Arrived { key: *key },
                brain::Deed::Dismissed { key } => Deed::Dismissed { key: *key },
            });
        }
        Ok(Self {
            origin: packet.origin.0,
            seq: packet.seq,
            sent_us,
            names: tables.name_list,
            lanes: tables.lane_list,
            deeds,
        })
    }

    pub(super) fn packet(self) -> Result<replica::Packet, BadEvidence> {
        let time = |us: i64| Timestamp::from_microsecond(us).map_err(|_| BadEvidence::Time);
        let sent_us = self.sent_us;
        let before = |ago: i64| time(sent_us.saturating_sub(ago));
        let names: Vec<Arc<str>> = self.names.into_iter().map(Arc::from).collect();
        let lanes = lanes(&names, &self.lanes)?;
        let lane = |number: u16| lanes.get(usize::from(number)).cloned().ok_or(BadEvidence::Name);
        let deed = |deed: Deed| {
            Ok(match deed {
                Deed::Dispatched {
                    key,
                    lane: number,
                    ago_us,
                    timeout_ms,
                    attempt_no,
                    exploration,
                    earned,
                } => brain::Deed::Dispatched(brain::Dispatched {
                    key,
                    lane: lane(number)?,
                    at: before(ago_us)?,
                    timeout_ms,
                    attempt_no,
                    exploration,
                    earned: earned.filter(|earned| (0.0..=1.0).contains(earned)),
                }),
                Deed::Answered {
                    key,
                    lane: number,
                    class,
                    latency_ms,
                    attempt_no,
                    decided_ago_us,
                    received_ago_us,
                } => brain::Deed::Answered(brain::Answered {
                    key,
                    lane: lane(number)?,
                    class,
                    latency_ms,
                    attempt_no,
                    decided_at: before(decided_ago_us)?,
                    received_at: before(received_ago_us)?,
                }),
                Deed::Arrived { key } => brain::Deed::Arrived { key },
                Deed::Dismissed { key } => brain::Deed::Dismissed { key },
            })
        };
        Ok(replica::Packet {
            origin: Origin(self.origin),
            seq: self.seq,
            sent_at: time(sent_us)?,
            deeds: self
                .deeds
                .into_iter()
                .map(deed)
                .collect::<Result<_, BadEvidence>>()?,
        })
    }
}

fn lanes(names: &[Arc<str>], lanes: &[(u16, u16, u16, AmountBand)]) -> Result<Vec<Lane>, BadEvidence> {
    let name = |number: u16| names.get(usize::from(number)).ok_or(BadEvidence::Name);
    let lane = |(channel, method, issuer, band): &(u16, u16, u16, AmountBand)| {
        Ok(Lane {
            channel: ChannelId::new(name(*channel)?).map_err(|_| BadEvidence::Name)?,
            method: Arc::clone(name(*method)?),
            issuer: Arc::clone(name(*issuer)?),
            band: *band,
        })
    };
    lanes.iter().map(lane).collect()
}
