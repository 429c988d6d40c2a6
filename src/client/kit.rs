//! The exit kit: given out when asked for, and kept fresh wherever the application wants it.

use super::{Client, Notice};
use crate::failure::{Failure, Result};
use crate::signer::Owner;
use crate::task::{Either, race, sleep};
use farthing_protocol::Code;
use js_sys::Function;
use std::rc::Rc;
use wasm_bindgen::JsValue;

/// Changes that follow each other within this time are told as one, in milliseconds.
const GATHER: u32 = 500;

/// Least pause from one kit to the next, in milliseconds.
const PAUSE: u32 = 4_500;

/// How long the application may take to keep one, in milliseconds.
const TAKING: u32 = 60_000;

impl Client {
    /// The session key, for its user to keep where the loss of this store does not reach.
    pub fn session_key(&self) -> Result<String> {
        match self.owner {
            Owner::Wallet { .. } => Ok(crate::js::hex(*self.signer()?.to_bytes())),
            Owner::Local(_) => Err(Failure::new(
                Code::Unsupported,
                "Payments are signed by the wallet's own key here: there is no session key to keep.",
            )),
        }
    }

    /// What it takes to leave without hub, store and this package. Given out also after a failure and after
    /// `disconnect`: that may be when it is needed.
    #[must_use]
    pub fn exit_kit(&self) -> String {
        self.wallet.borrow().channel().exit_kit()
    }

    /// Hands every new kit to the application, until the client ends.
    pub(super) async fn keep_kit(self: Rc<Self>, take: Function) {
        let mut taken = String::new();
        while let Either::Second(()) = race(self.closed.wait(), self.kit.rings()).await {
            let ended = matches!(race(self.closed.wait(), sleep(GATHER)).await, Either::First(()));
            let kit = self.exit_kit();
            if kit == taken || (ended && self.failed.borrow().is_some()) {
                continue;
            }
            let answer = crate::js::settle(take.call1(&JsValue::UNDEFINED, &kit.as_str().into()));
            match race(self.closed.wait(), race(answer, sleep(TAKING))).await {
                Either::Second(Either::First(Ok(_))) => taken = kit,
                // The next change is told again.
                Either::Second(Either::First(Err(thrown))) => {
                    let detail = format!("onExitKit: {}.", crate::js::message(&thrown).trim_end_matches('.'));
                    self.tell(Notice::Error(Failure::caused(Code::InvalidArgument, detail, thrown)));
                }
                Either::Second(Either::Second(())) => {
                    let detail = "onExitKit: it has not settled for a minute, so the kit may not be kept.";
                    self.tell(Notice::Error(Failure::new(Code::InvalidArgument, detail)));
                }
                Either::First(()) => return,
            }
            let _ = race(self.closed.wait(), sleep(PAUSE)).await;
        }
        // What changed in the last pause.
        if self.failed.borrow().is_none() && self.exit_kit() != taken {
            let _ = take.call1(&JsValue::UNDEFINED, &self.exit_kit().into());
        }
    }
}
