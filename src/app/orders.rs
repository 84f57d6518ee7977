//! Orders from the control socket and the dashboard.

use std::collections::VecDeque;
use std::future::pending;

use tokio::sync::mpsc;
use tracing::info;

use crate::control::{Order, StopKind};

/// A queue of orders in order of arrival; a stop may overtake the others.
#[derive(Debug)]
pub(super) struct Orders {
    receiver: mpsc::Receiver<Order>,
    /// Orders that arrived while [`stop`](Self::stop) was awaited.
    early: VecDeque<Order>,
}

impl Orders {
    pub(super) fn new(receiver: mpsc::Receiver<Order>) -> Self {
        Self { receiver, early: VecDeque::new() }
    }

    /// Receives the next order, or `None` when no sender is left.
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
            log_stop();
        }
        order
    }

    /// Completes when a stop is ordered. Other orders are kept for [`next`](Self::next).
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub(super) async fn stop(&mut self) -> StopKind {
        while let Some(order) = self.receiver.recv().await {
            match order {
                Order::Stop(kind) => {
                    log_stop();
                    return kind;
                }
                order => self.early.push_back(order),
            }
        }
        pending().await
    }

    /// Completes when an immediate stop is ordered. Other orders are discarded.
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

/// Logs why the program stops, since there was no signal.
fn log_stop() {
    info!("stopping, as a command says");
}
