//! What has to be told is told, whatever dies: real alerters on a real Postgres, and a zoo of receivers.

#![cfg(test)]

mod delivery;
mod notices;
mod refusals;
mod runbooks;
mod support;
