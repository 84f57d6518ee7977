//! End-to-end tests: the program with real SSH servers and clients, and every fault that can be injected.
//!
//! A test that needs more than this crate is ignored unless `tests/run.sh` runs it, which installs
//! the requirements first. `SOCKEYE_FULL=1` selects the full counts.

#![allow(clippy::disallowed_methods, reason = "a test owns what it starts")]

mod browsers;
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
