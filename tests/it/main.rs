//! End to end: the program, real SSH servers, real clients, and every fault we can make.
//!
//! A test that needs more than this crate is ignored unless `tests/run.sh` runs it, which first
//! sees to it that everything is there. `SOCKEYE_FULL=1` asks for the full counts.

#![allow(clippy::disallowed_methods, reason = "a test owns what it starts")]

mod choices;
mod clients;
mod configured;
mod dashboard;
mod desktop;
mod ends;
mod error_texts;
mod failures;
mod foreign_servers;
mod front_doors;
mod guide;
mod host_keys;
mod hostile_server;
mod interrupted;
mod keeping_apart;
mod layers;
mod leaks;
mod local_forwards;
mod logins;
mod man_pages;
mod operate;
mod pac;
mod package_managers;
mod parity;
mod pings;
mod plain_http;
mod promises;
mod prompts;
mod recovery;
mod rekeying;
mod remote_forwards;
mod servers;
mod service;
mod sessions;
mod soak;
mod startup;
mod stdio;
mod support;
mod ways;
