//! Orders by the control socket and the dashboard.

use std::collections::VecDeque;
use std::future::pending;

use tokio::sync::mpsc;
use tracing::info;

use crate::control::{Order, StopKind};

/// Orders, in the sequence in which they came; a stop may be taken before the others.
#[derive(Debug)]
pub(super) struct Orders {
    receiver: mpsc::Receiver<Order>,
    /// Those that came before a stop that was waited for.
    early: VecDeque<Order>,
}

impl Orders {
    pub(super) fn new(receiver: mpsc::Receiver<Order>) -> Self {
        Self { receiver, early: VecDeque::new() }
    }

    /// The next one; none when nobody can order anything any more.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub(super) async fn next(&mut self) -> Option<Order> {
        if let Some(order) = self.early.pop_front() {
            return Some(order);
        }
        let order = self.receiver.recv().await;
        if let Some(Order::Stop(_)) = order {
            tell();
        }
        order
    }

    /// Completes when a stop is ordered. Other orders are kept.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub(super) async fn stop(&mut self) -> StopKind {
        while let Some(order) = self.receiver.recv().await {
            match order {
                Order::Stop(kind) => {
                    tell();
                    return kind;
                }
                order => self.early.push_back(order),
            }
        }
        pending().await
    }

    /// Completes when a stop at once is ordered. Other orders are ignored.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub(super) async fn stop_now(&mut self) {
        while let Some(order) = self.receiver.recv().await {
            if let Order::Stop(StopKind::Now) = order {
                return;
            }
        }
        pending::<()>().await;
    }
}

/// Says why the program stops: nobody has sent a signal.
fn tell() {
    info!("stopping, as a command says");
}
