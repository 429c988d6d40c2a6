//! Being paid: the answer to each update of the payer's lane.

use super::Channel;
use crate::error::{Code, Error};
use crate::lane::Update;
use crate::message::Message;
use crate::sign::SecretKey;
use crate::types::Asset;
use alloc::string::ToString;

impl Channel {
    pub(super) fn handle_update(&mut self, asset: Asset, update: Update, key: &SecretKey, now: u64) {
        let nonce = update.proof.nonce;
        // A lane without any deposit can pay nothing; remembering it would let a stranger fill our memory.
        if !self.ledger.has_deposits(asset) {
            return self.refuse(asset, nonce, &Code::InsufficientFunds.into());
        }
        let (accepted, acknowledgement) =
            self.ledger.book(asset).map_or((None, None), |book| (book.inc.accepted, book.inc.acknowledgement));
        if let Some(signed) = accepted.filter(|signed| nonce <= signed.proof.nonce) {
            // A repeated message: say again what is accepted.
            self.outbox.send(Message::Accepted { asset, nonce: signed.proof.nonce, acknowledgement });
            return;
        }
        match self.ledger.receive(asset, update, key, now) {
            Ok((events, acknowledgement)) => {
                self.outbox.send(Message::Accepted { asset, nonce, acknowledgement });
                for event in events {
                    self.outbox.emit(event);
                }
            }
            Err(error) => self.refuse(asset, nonce, &error),
        }
    }

    fn refuse(&mut self, asset: Asset, nonce: u64, error: &Error) {
        let last = self.ledger.book(asset).and_then(|book| book.inc.accepted);
        let code = error.code().into();
        self.outbox.send(Message::Refused { asset, nonce, code, message: error.to_string(), last });
    }
}
