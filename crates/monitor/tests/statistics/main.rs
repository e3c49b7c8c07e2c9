//! Statistics in Redis, against real servers: what is counted, whatever the network, a crash or a second owner does.
//! A test's name begins with the number of its fault where one is named.

#![cfg(test)]

mod counting;
mod crash_points;
mod figures;
mod ledgers;
mod network;
mod ownership;
mod property;
mod refilling;
mod support;
mod sweeping;
