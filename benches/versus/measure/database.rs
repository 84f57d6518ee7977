//! Database benchmarks, through a static forward.

use std::net::SocketAddr;
use std::process::Output;

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

use super::Figures;
use crate::database::{self, DATABASE_USER, Database};
use crate::effort::Effort;
use crate::instance::Instance;
use crate::process::cpu_seconds;

/// The rate per second of redis-benchmark's GET with 50 clients, and the peer's processor time per
/// request in microseconds.
pub(super) async fn redis(instance: &Instance, in_flight: u32, effort: Effort) -> Result<Figures> {
    let requests = effort.messages() * in_flight.min(8);
    let port = forward(instance, Database::Redis)?.port().to_string();
    let mut command = Command::new("redis-benchmark");
    command.args(["--csv", "-t", "get", "-c", "50", "-p", &port]);
    command.args(["-P", &in_flight.to_string(), "-n", &requests.to_string()]);
    let cpu = cpu_seconds(instance.id())?;
    let said = output(&mut command).await?;
    let cpu = cpu_seconds(instance.id())? - cpu;
    let line = said.lines().find(|line| line.starts_with("\"GET\""));
    let rate = line.and_then(|line| line.split(',').nth(1)).map(|rate| rate.trim_matches('"'));
    let rate: f64 = rate.context("redis-benchmark says no rate")?.parse()?;
    Ok(vec![rate, cpu / f64::from(requests) * 1e6].into())
}

/// The rate per second of pgbench (TPC-B) with 20 clients.
pub(super) async fn postgres(instance: &Instance, effort: Effort) -> Result<Figures> {
    let port = forward(instance, Database::Postgres)?.port().to_string();
    let mut command = Command::new(database::pgbench().context("there is no pgbench")?);
    command.args(["-n", "-c", "20", "-j", "2", "-h", "127.0.0.1", "-U", DATABASE_USER]);
    command.args(["-p", &port, "-T", &effort.transactions().as_secs().to_string(), "postgres"]);
    let said = output(&mut command).await?;
    let line = said.lines().find_map(|line| line.strip_prefix("tps = "));
    let rate = line.and_then(|line| line.split_whitespace().next());
    Ok(vec![rate.context("pgbench says no rate")?.parse()?].into())
}

fn forward(instance: &Instance, database: Database) -> Result<SocketAddr> {
    instance.forward(database).with_context(|| format!("{database:?} does not run"))
}

/// The output of a benchmark, which must succeed.
async fn output(command: &mut Command) -> Result<String> {
    let Output { status, stdout, stderr } = command.kill_on_drop(true).output().await?;
    let said = String::from_utf8_lossy(&stderr);
    ensure!(status.success(), "it failed: {}", said.trim().escape_debug());
    Ok(String::from_utf8(stdout)?)
}
