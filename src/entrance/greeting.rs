//! What a hub is asked and told before there is a connection, and how our key is proved on one.

use super::Settings;
use crate::chain::Chain;
use crate::failure::{Failure, Result};
use crate::task::Work;
use crate::transport::socket::Socket;
use crate::transport::terms::Terms;
use crate::transport::{Answer, Hub};
use crate::url::origin;
use alloy_primitives::Address;
use farthing_protocol::api::PayeeInfo;
use farthing_protocol::api::hub::{Attach, Challenge, Challenged, Config, Lookup, Register};
use farthing_protocol::eip712::Domain;
use farthing_protocol::sign::{SecretKey, Signature};
use farthing_protocol::types::ChannelId;
use farthing_protocol::{Code, abi};
use std::rc::Rc;

/// What the hub says of itself.
pub(crate) fn ask(hub: &Hub) -> Work<'_, Terms> {
    let called = hub.call(&Config {});
    Box::pin(async move {
        let terms = called.await?.read::<Config>().map_err(|failure| match failure.code() {
            // Nobody is known to be a hub that has not said who it is.
            Code::HubFault => {
                let detail = format!("{} was asked for its terms as a hub. {}", origin(hub.url()), failure.detail());
                Failure::new(Code::NotAHub, detail)
            }
            _ => failure,
        })?;
        terms.check()?;
        Ok(terms)
    })
}

/// Whether these are the chain and the contract that it must be.
pub(crate) fn check_pins(settings: &Settings, terms: &Terms) -> Result<()> {
    let mismatch = |detail: String| Err(Failure::new(Code::ChainMismatch, detail));
    if let Some(wanted) = settings.chain_id.filter(|wanted| *wanted != terms.chain_id) {
        return mismatch(format!("The hub is on chain {}, not {wanted}.", terms.chain_id));
    }
    if let Some(wanted) = settings.contract.filter(|wanted| *wanted != terms.contract) {
        return mismatch(format!("The hub uses the contract {}, not {wanted}.", terms.contract));
    }
    Ok(())
}

/// The hub's contract, as its terms say.
pub(crate) fn chain(settings: &Settings, terms: &Terms) -> Chain {
    let domain = Domain::new(terms.chain_id, terms.contract);
    Chain::new(settings.rpc.clone(), domain, terms.confirmations, settings.confirmations)
}

/// Makes our channel known to the hub.
pub(crate) fn register<'a>(hub: &'a Hub, register: &Register) -> Work<'a, ()> {
    let called = hub.call(register);
    Box::pin(async move { called.await?.check() })
}

/// What the hub says of a payee.
pub(crate) fn look_up(hub: &Hub, address: Address) -> Work<'_, PayeeInfo> {
    let asked = hub.call(&Lookup { address });
    Box::pin(async move { asked.await?.read::<Lookup>() })
}

/// Proves on a socket that we hold the key of the channel's signer: what is the channel's comes through it from then on.
pub(crate) fn prove<'a>(
    hub: &'a Hub,
    socket: &'a Rc<Socket>,
    channel_id: ChannelId,
    key: &'a SecretKey,
    domain: &'a Domain,
) -> Work<'a, ()> {
    Box::pin(async move {
        let challenge = hub.challenge(socket, &Challenge { channel_id }).await?;
        let signature = answer_to(&challenge, channel_id, key, domain)?;
        hub.call_on(socket, &Attach { channel_id, signature }).await?.check()
    })
}

/// What shows that we hold the key of the channel's signer.
pub(crate) fn answer_to(
    challenge: &Answer,
    channel_id: ChannelId,
    key: &SecretKey,
    domain: &Domain,
) -> Result<Signature> {
    let Challenged { challenge } = challenge.read::<Challenge>()?;
    let session = abi::Session { channelId: channel_id.0, challenge };
    Ok(key.sign(domain.digest(&session)))
}
