//! Detects a packet that never ends: its length was corrupted in transit, so that whatever the server sends
//! next is taken for its remainder. russh waits for more, as does `ssh`.

/// Detects such a packet beat by beat.
#[derive(Debug, Default)]
pub(super) struct EndlessPacket {
    received: u64,
    packet: u64,
    /// Whether nothing arrived in the last beat.
    quiet: bool,
    /// Whether the server was pinged since data last arrived.
    asked: bool,
    /// The size of the last answer in bytes; `pieces` counts consecutive ones of that size.
    piece: u64,
    pieces: u32,
}

/// What a beat has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// All is well, or it is too early to tell.
    Nothing,
    /// Nothing arrives in the middle of a packet. A ping would show whether the line is silent, too.
    Silence,
    /// Each ping is answered, and the answers are taken for a part of the packet.
    Endless,
}

impl EndlessPacket {
    /// Evaluates a beat, given the number of bytes received so far and how many of them belong to the incoming
    /// packet.
    ///
    /// If the line stalls in the middle of an intact packet, the rest of the packet precedes any answer.
    pub(super) fn look(&mut self, received: u64, packet: u64) -> Found {
        let came = received - self.received;
        let goes_on = self.packet > 0 && packet == self.packet + came;
        if !goes_on {
            *self = Self { received, packet, ..Self::default() };
            return Found::Nothing;
        }
        (self.received, self.packet) = (received, packet);
        if came == 0 {
            self.quiet = true;
            let asked = std::mem::replace(&mut self.asked, true);
            return if asked { Found::Nothing } else { Found::Silence };
        }
        let is_answer = self.quiet && self.asked && came <= ANSWER;
        (self.quiet, self.asked) = (false, false);
        self.pieces = if is_answer && came == self.piece { self.pieces + 1 } else { 1 };
        self.piece = if is_answer { came } else { 0 };
        if self.pieces < PIECES { Found::Nothing } else { Found::Endless }
    }
}

/// The maximum size of the answer to a ping in bytes, including its encryption overhead.
const ANSWER: u64 = 128;
/// Consecutive answers of equal size, none of which completes a packet, that rule out coincidence.
const PIECES: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    /// The findings for these bytes per beat, all of one packet.
    fn found(beats: &[u64]) -> Vec<Found> {
        let (mut packet, mut length) = (EndlessPacket::default(), 100);
        let mut look = |came: &u64| {
            length += came;
            packet.look(1000 + length, length)
        };
        look(&0);
        beats.iter().map(look).collect()
    }

    #[test]
    fn answers_that_complete_no_packet_mean_corruption() {
        use Found::{Endless, Nothing, Silence};
        let beats = found(&[0, 36, 0, 36, 0, 36]);
        assert_eq!(beats, [Silence, Nothing, Silence, Nothing, Silence, Endless]);
        // The first ping was sent earlier, and a round trip takes several beats.
        let beats = found(&[20, 0, 36, 0, 0, 0, 36, 0, 36]);
        assert_eq!(beats.last(), Some(&Endless));
        assert_eq!(beats.iter().filter(|found| **found == Silence).count(), 3);
    }

    #[test]
    fn a_slow_line_is_not_corruption() {
        for beats in [
            &[0, 1448, 0, 1448, 0, 1448, 0, 1448][..],
            &[36; 12],
            &[0, 36, 0, 72, 0, 36, 0, 108],
            &[0; 50],
        ] {
            assert!(!found(beats).contains(&Found::Endless), "{beats:?}");
        }
    }

    #[test]
    fn a_packet_that_ends_is_not_corruption() {
        let mut packet = EndlessPacket::default();
        let mut received = 0;
        for _ in 0..20 {
            // Two thirds of an answer, and then the rest with two thirds of the next.
            for came in [24, 0] {
                received += came;
                assert_ne!(packet.look(received, 24), Found::Endless);
            }
            received += 12;
        }
        // Nor is silence between two packets.
        for _ in 0..10 {
            assert_eq!(packet.look(received, 0), Found::Nothing);
        }
    }
}
