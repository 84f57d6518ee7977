//! The first measurement of a session's round trip.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Session;
use super::delay::LAN;

impl Session {
    /// Measures the round trip: the shortest of several, since this machine or the server may be busy. To a
    /// near server, the noise may exceed the round trip, so that more are measured over half a second. `None`
    /// if the session ends meanwhile.
    pub(crate) async fn measure(&self) -> Option<Duration> {
        // The first ping also waits for the server to complete the login.
        self.round_trip().await?;
        let mut shortest = Duration::MAX;
        for _ in 0..FIRST_ROUND_TRIPS {
            shortest = shortest.min(self.round_trip().await?);
        }
        self.note(shortest);
        if shortest < LAN {
            for _ in 0..FURTHER_ROUND_TRIPS {
                sleep(BETWEEN_ROUND_TRIPS).await;
                let took = self.round_trip().await?;
                self.note(took);
                shortest = shortest.min(took);
            }
        }
        // A ping also completes when the session ends, but none can be sent after that.
        self.round_trip().await?;
        Some(shortest)
    }

    async fn round_trip(&self) -> Option<Duration> {
        let asked = Instant::now();
        self.handle.send_ping().await.ok()?;
        Some(asked.elapsed())
    }

    fn note(&self, round_trip: Duration) {
        let delay = self.health.delay();
        delay.note(round_trip);
        self.observed.outflow.set_best(delay.best().unwrap_or(round_trip));
    }
}

/// Round trips measured initially.
const FIRST_ROUND_TRIPS: u32 = 3;
/// Further round trips measured to a near server.
const FURTHER_ROUND_TRIPS: u32 = 10;
/// The interval between these.
const BETWEEN_ROUND_TRIPS: Duration = Duration::from_millis(50);
