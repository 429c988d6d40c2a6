//! Signatures of what comes in are looked at before the core is asked, on threads that it does not need: whoever sends
//! what its own key did not sign costs the core nothing. The machine checks them all the same.

use alloy_primitives::Address;
use farthing_protocol::eip712::Domain;
use farthing_protocol::message::Message;
use farthing_protocol::proof::LaneId;
use farthing_protocol::{Asset, ChannelDef, ChannelId, Code, Error, Matter, Side};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// So many signatures are looked at without another thread.
const AT_ONCE: usize = 2;

/// What it takes to tell a client's signatures from others, of one channel on one connection.
#[derive(Clone, Debug)]
pub(super) struct Screen {
    domain: Domain,
    channel: ChannelId,
    client: Address,
    hub: Address,
    /// The newest nonces that were looked at: the machine drops what is older without a look at its signature.
    newest: BTreeMap<Asset, u64>,
    /// The machine takes one for each connection.
    synced: bool,
}

/// What came of a frame.
#[derive(Debug)]
pub(super) enum Screened {
    /// The client signed all of it.
    Taken { screen: Screen, messages: Vec<Message> },
    /// Somebody else signed something in it.
    Refused { error: Error, message: Option<Message> },
}

impl Screen {
    /// For a channel whose client proved its key.
    pub(super) fn new(domain: Domain, def: &ChannelDef) -> Self {
        let channel = def.id(domain.chain_id(), domain.contract());
        let (client, hub) = (def.a.signer, def.b.signer);
        Self { domain, channel, client, hub, newest: BTreeMap::new(), synced: false }
    }

    /// Refuses what the machine would refuse for its signature.
    fn check(&mut self, message: &Message) -> Result<(), Error> {
        let Self { domain, channel, client, hub, .. } = *self;
        let lane = |asset, payer| LaneId { asset, payer };
        match message {
            Message::Update { asset, update } => {
                let newest = self.newest.entry(*asset).or_default();
                if update.proof.nonce > *newest {
                    update.signed_proof().verify(&domain, channel, lane(*asset, Side::A), client)?;
                    *newest = update.proof.nonce;
                }
                Ok(())
            }
            Message::Sync { lanes } => {
                if std::mem::replace(&mut self.synced, true) {
                    return Ok(());
                }
                for entry in lanes {
                    if let Some(signed) = &entry.signed {
                        signed.verify(&domain, channel, lane(entry.asset, Side::A), client)?;
                    }
                    let Some(accepted) = &entry.accepted else { continue };
                    let ours = lane(entry.asset, Side::B);
                    accepted.verify(&domain, channel, ours, hub)?;
                    if let Some(acknowledgement) = &entry.acknowledgement {
                        let digest = accepted.proof.acknowledgement_digest(&domain, channel, ours);
                        acknowledgement.verify(digest, client)?;
                    }
                }
                Ok(())
            }
            Message::WithdrawProposal { withdrawal, signature, .. }
            | Message::WithdrawSigned { withdrawal, signature } => {
                signature.verify(domain.digest(&withdrawal.to_abi(channel)), client)
            }
            Message::CloseProposal { closing, signature, .. } | Message::CloseSigned { closing, signature } => {
                signature.verify(domain.digest(&closing.to_abi(channel)), client)
            }
            // What its signature is for only the machine knows.
            Message::Accepted { .. }
            | Message::Refused { .. }
            | Message::Reveal { .. }
            | Message::Fail { .. }
            | Message::Cancel { .. }
            | Message::Held { .. }
            | Message::Forwarded { .. }
            | Message::Funds { .. }
            | Message::Declined { .. } => Ok(()),
        }
    }

    fn check_all(mut self, messages: Vec<Message>) -> Screened {
        for message in &messages {
            let Err(error) = self.check(message) else { continue };
            let message = answer(message, &error);
            return Screened::Refused { error, message };
        }
        Screened::Taken { screen: self, messages }
    }
}

/// What the machine would answer.
fn answer(message: &Message, error: &Error) -> Option<Message> {
    let (code, text) = (error.code().into(), error.to_string());
    let what = match message {
        Message::Update { asset, update } => {
            let nonce = update.proof.nonce;
            return Some(Message::Refused { asset: *asset, nonce, code, message: text, last: None });
        }
        Message::WithdrawProposal { .. } => Matter::Withdraw,
        Message::CloseProposal { .. } => Matter::Close,
        _ => return None,
    };
    Some(Message::Declined { what, code, message: text })
}

/// Signatures that a message carries beyond one.
pub(super) fn extra_signatures(message: &Message) -> usize {
    match message {
        Message::Sync { lanes } => lanes.len().saturating_mul(3).saturating_sub(1),
        _ => 0,
    }
}

/// The threads that look.
#[derive(Debug)]
pub(super) struct Screens(Arc<Semaphore>);

impl Screens {
    /// All but one: that one is the core's.
    pub(super) fn new() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self(Arc::new(Semaphore::new(threads.saturating_sub(1).max(1))))
    }

    /// Looks at a frame's messages.
    pub(super) async fn check(&self, screen: Screen, messages: Vec<Message>) -> Result<Screened, Error> {
        let signed = messages.iter().filter(|message| is_signed(message)).count();
        let extra: usize = messages.iter().map(extra_signatures).sum();
        if signed.saturating_add(extra) <= AT_ONCE {
            return Ok(screen.check_all(messages));
        }
        let internal = |_| Error::from(Code::Internal);
        // Closed it never is.
        let turn = Arc::clone(&self.0).acquire_owned().await.map_err(|_| Error::from(Code::Internal))?;
        let looking = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            screen.check_all(messages)
        });
        looking.await.map_err(internal)
    }
}

const fn is_signed(message: &Message) -> bool {
    matches!(
        message,
        Message::Update { .. }
            | Message::Sync { .. }
            | Message::WithdrawProposal { .. }
            | Message::WithdrawSigned { .. }
            | Message::CloseProposal { .. }
            | Message::CloseSigned { .. }
    )
}
