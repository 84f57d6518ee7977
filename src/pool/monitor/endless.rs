//! A packet that does not end: its length was changed on the way, so that what the server says next is
//! taken for the rest of it. russh waits for more, and `ssh` does the same.

/// Looks for such a packet, beat by beat.
#[derive(Debug, Default)]
pub(super) struct EndlessPacket {
    received: u64,
    packet: u64,
    /// Whether nothing came in the last beat.
    quiet: bool,
    /// Whether the server was asked since something came.
    asked: bool,
    /// How many bytes came for a question, and how often so many.
    piece: u64,
    pieces: u32,
}

/// What a beat has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// All is well, or it is not known yet.
    Nothing,
    /// Nothing comes in the middle of a packet. A question would show whether the line is silent, too.
    Silence,
    /// Each question is answered, and the answers are taken for a part of the packet.
    Endless,
}

impl EndlessPacket {
    /// Looks at the end of a beat at how many bytes came so far, and how many of them belong to the packet
    /// that is coming in.
    ///
    /// On a line that stands still in the middle of a good packet, the rest of that comes before any answer.
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

/// The answer to a ping has no more bytes, with all that protects it.
const ANSWER: u64 = 128;
/// So many answers that end no packet, of so many bytes each, are no coincidence.
const PIECES: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found for so many bytes a beat, of one packet.
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
    fn answers_that_end_no_packet_are_damage() {
        use Found::{Endless, Nothing, Silence};
        let beats = found(&[0, 36, 0, 36, 0, 36]);
        assert_eq!(beats, [Silence, Nothing, Silence, Nothing, Silence, Endless]);
        // The first question is older; and a round trip takes several beats.
        let beats = found(&[20, 0, 36, 0, 0, 0, 36, 0, 36]);
        assert_eq!(beats.last(), Some(&Endless));
        assert_eq!(beats.iter().filter(|found| **found == Silence).count(), 3);
    }

    #[test]
    fn what_a_slow_line_brings_is_none() {
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
    fn a_packet_that_ends_is_none() {
        let mut packet = EndlessPacket::default();
        let mut received = 0;
        for _ in 0..20 {
            // Two thirds of an answer, and then the rest and two thirds of the next.
            for came in [24, 0] {
                received += came;
                assert_ne!(packet.look(received, 24), Found::Endless);
            }
            received += 12;
        }
        // Nor is one session that is silent between two.
        for _ in 0..10 {
            assert_eq!(packet.look(received, 0), Found::Nothing);
        }
    }
}
