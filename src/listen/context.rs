//! The state that the protocols of a proxy share.

use std::sync::Arc;

use super::brake::{Brake, BySource, Checker, Failures};
use super::connect::{self, Connect, Outbound};
use super::proxy_auth::ProxyCredentials;
use crate::dial::{Connected, DialError, DialFailure};
use crate::request::{Request, Source};

/// The outgoing side of a proxy, and who may use it.
#[derive(Debug)]
pub(crate) struct ProxyContext<R = Outbound> {
    /// Requests are dialled with [`ProxyContext::dial`], which logs failures.
    pub(super) connect: R,
    credentials: Option<Arc<ProxyCredentials>>,
    brakes: BySource<Brake>,
    failures: Failures,
}

impl<R: Connect> ProxyContext<R> {
    /// With `credentials`, only those users are served.
    pub(crate) fn new(connect: R, credentials: Option<Arc<ProxyCredentials>>) -> Self {
        Self { connect, credentials, brakes: BySource::default(), failures: Failures::default() }
    }

    pub(crate) fn asks_for_a_password(&self) -> bool {
        self.credentials.is_some()
    }

    /// The password checker for a client of this source, if a password is needed.
    pub(crate) fn checker(&self, source: Source) -> Option<Checker<'_>> {
        let credentials = self.credentials.as_deref()?;
        Some(Checker::new(credentials, &self.brakes, source))
    }

    /// Dials, and logs the result in one line. A failure is logged with its reason, since SOCKS has only a code
    /// for it.
    pub(crate) async fn dial(
        &self,
        request: &Request,
    ) -> Result<Connected<R::Channel>, DialFailure> {
        let dialled = connect::dial(&self.connect, request).await;
        if let Err(failure) = &dialled
            // The user intended these, by a rule or a command.
            && !matches!(failure.error, DialError::Rejected { .. } | DialError::Killed)
        {
            self.failures.note(request, failure);
        }
        dialled
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::listen::testing::TestConnect;
    use crate::observe::testing::TestLog;

    #[tokio::test(start_paused = true)]
    async fn ten_failures_per_minute_are_logged_and_then_their_number_except_intended_ones() {
        let log = TestLog::start();
        let request = Request::for_test("web.example:80");
        let rejecting = ProxyContext::new(
            TestConnect::failing(DialError::Rejected { rule: Some("ads".into()) }),
            None,
        );
        assert!(rejecting.dial(&request).await.is_err());
        assert_eq!(log.text(), "");
        let failing = ProxyContext::new(TestConnect::failing(DialError::TimedOut), None);
        for _ in 0..12 {
            assert!(failing.dial(&request).await.is_err());
        }
        let text = log.text();
        assert_eq!(text.matches("test:1 to web.example:80: ").count(), 10, "{text}");
        tokio::time::sleep(Duration::from_secs(61)).await;
        let sum =
            "test:1: 2 more connections from a client without an address failed in a minute\n";
        assert!(log.text().ends_with(sum), "{}", log.text());
    }
}
