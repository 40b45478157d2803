use std::mem;

use zeroize::Zeroizing;

use crate::{CardError, Command, CommandApdu, status::StatusWord};

/// One command under way, and what has come of its answer.
///
/// It fetches the rest after `61xx` and sends a read or a signature once more with the Le that `6Cxx` names;
/// conversations see whole answers only. Source: card-protocol §5.
pub(crate) struct Exchange {
    command: Command,
    expected_bytes: usize,
    /// What to send once more after `6Cxx`; `None` for commands that must not be repeated.
    spare: Option<CommandApdu>,
    data: Zeroizing<Vec<u8>>,
    is_continued: bool,
}

/// The whole answer to one command.
pub(crate) struct Reply {
    pub(crate) command: Command,
    pub(crate) data: Zeroizing<Vec<u8>>,
    pub(crate) status: StatusWord,
}

impl Reply {
    /// The error for a status word, or data, that this command does not have here.
    pub(crate) fn unexpected(&self) -> CardError {
        CardError::Unexpected { command: self.command, status: Some(self.status) }
    }
}

/// What follows from an answer of the card.
pub(crate) enum Received {
    /// The answer is whole.
    Whole(Reply),
    /// This has to be sent to get the rest.
    More(CommandApdu),
    /// This is no answer to the command.
    Malformed(CardError),
}

impl Exchange {
    /// Starts with a command that is about to be transmitted.
    pub(crate) fn of(apdu: &CommandApdu) -> Self {
        Self {
            command: apdu.command(),
            expected_bytes: apdu.expected_bytes(),
            spare: apdu.again_with(0),
            data: Zeroizing::default(),
            is_continued: false,
        }
    }

    /// Takes what the card answered: data, then two status bytes.
    ///
    /// It ends: every continuation brings at least one byte, no more than expected come in all, and `6Cxx` counts once.
    pub(crate) fn receive(&mut self, answer: &[u8]) -> Received {
        let Some((data, &[sw1, sw2])) = answer.split_last_chunk::<2>() else {
            return Received::Malformed(CardError::Unexpected { command: self.command, status: None });
        };
        let status = StatusWord(u16::from_be_bytes([sw1, sw2]));
        let is_empty_continuation = self.is_continued && data.is_empty();
        self.data.extend_from_slice(data);
        if self.data.len() > self.expected_bytes || (is_empty_continuation && sw1 == 0x61) {
            return Received::Malformed(CardError::Unexpected { command: self.command, status: Some(status) });
        }
        if sw1 == 0x61 && self.expected_bytes > 0 {
            self.is_continued = true;
            return Received::More(CommandApdu::get_response(self.command, sw2));
        }
        if sw1 == 0x6C
            && self.data.is_empty()
            && let Some(again) = self.spare.take().and_then(|apdu| apdu.again_with(sw2))
        {
            self.expected_bytes = again.expected_bytes();
            return Received::More(again);
        }
        Received::Whole(Reply { command: self.command, data: mem::take(&mut self.data), status })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apdu::Le;

    fn answer(data: usize, status: u16) -> Vec<u8> {
        [vec![0xAA; data].as_slice(), &status.to_be_bytes()].concat()
    }

    fn more(received: Received) -> Vec<u8> {
        match received {
            Received::More(apdu) => apdu.to_vec(),
            Received::Whole(reply) => panic!("whole with {}", reply.status),
            Received::Malformed(error) => panic!("{error}"),
        }
    }

    #[test]
    fn fetches_the_rest_until_the_answer_is_whole() {
        let mut exchange = Exchange::of(&CommandApdu::read_certificate(Le::Extended(2048)));
        assert_eq!(more(exchange.receive(&answer(256, 0x6100))), [0x00, 0xC0, 0x00, 0x00, 0x00]);
        assert_eq!(more(exchange.receive(&answer(256, 0x6108))), [0x00, 0xC0, 0x00, 0x00, 0x08]);
        let Received::Whole(reply) = exchange.receive(&answer(8, 0x9000)) else { panic!("not whole") };
        assert_eq!((reply.data.len(), reply.status.0), (520, 0x9000));
    }

    #[test]
    fn a_wrong_le_is_put_right_once() {
        let mut exchange = Exchange::of(&CommandApdu::read_token());
        assert_eq!(more(exchange.receive(&answer(0, 0x6C40))), [0x00, 0xB0, 0x86, 0x00, 0x40]);
        let Received::Whole(reply) = exchange.receive(&answer(0, 0x6C41)) else { panic!("sent a third time") };
        assert_eq!(reply.status.0, 0x6C41);
    }

    #[test]
    fn a_pin_is_never_sent_again_whatever_the_card_answers() {
        for status in [0x6C04, 0x6104, 0x6C00] {
            let mut exchange = Exchange::of(&CommandApdu::verify(tazune_model::Pin::from_entry("4911").unwrap()));
            assert!(!matches!(exchange.receive(&answer(0, status)), Received::More(_)), "{status:04X}");
        }
    }

    #[test]
    fn refuses_answers_that_are_too_short_too_long_or_endless() {
        let table: [(&[Vec<u8>], Option<u16>); 4] = [
            (&[vec![]], None),
            (&[vec![0x90]], None),
            (&[answer(33, 0x9000)], Some(0x9000)),
            (&[answer(1, 0x6110), answer(0, 0x6110)], Some(0x6110)),
        ];
        for (answers, expected) in table {
            let mut exchange = Exchange::of(&CommandApdu::read_token());
            let (last, before) = answers.split_last().unwrap();
            for answer in before {
                more(exchange.receive(answer));
            }
            let Received::Malformed(CardError::Unexpected { command: Command::ReadToken, status }) =
                exchange.receive(last)
            else {
                panic!("{answers:?} was taken")
            };
            assert_eq!(status.map(|status| status.0), expected);
        }
    }
}
