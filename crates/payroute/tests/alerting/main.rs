//! What has to be told is told, whatever dies: real alerters on a real Postgres, and a zoo of receivers.

#![cfg(test)]

mod changes;
mod crashes;
mod delivery;
mod notices;
mod outages;
mod refusals;
mod runbooks;
mod shop;
mod support;
