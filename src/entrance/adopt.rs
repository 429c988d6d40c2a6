//! Has the hub show both lanes of every asset, for a wallet whose store is lost or old. What comes of it is decided by
//! `Wallet::adopt`, which believes signatures only.

use super::greeting::prove;
use super::load::Home;
use crate::chain::Skew;
use crate::failure::{Failure, Result};
use crate::js::random;
use crate::transport::Hub;
use crate::transport::socket::Socket;
use farthing_protocol::Code;
use farthing_protocol::api::hub::Lane;
use farthing_protocol::channel::LanePage;
use farthing_protocol::journal::Write;
use farthing_protocol::proof::LaneId;
use farthing_protocol::sign::SecretKey;
use farthing_protocol::types::{ChannelDef, ChannelId, Side};
use farthing_protocol::wallet::Shown;
use std::rc::Rc;

/// How long blocks are waited for that say whether the device's clock is ahead or the chain is old, in milliseconds.
const DECIDING: u32 = 60_000;

/// What brings a store up to what the hub shows; `entries` is what the store holds of the wallet.
pub(crate) async fn take_over(
    hub: &Hub,
    home: &Home,
    def: ChannelDef,
    entries: &[(String, Vec<u8>)],
    key: &SecretKey,
) -> Result<Option<Vec<Write>>> {
    let chain = &home.chain;
    // A device's clock that is ahead would make the chain look old.
    if matches!(chain.skew(), Skew::Undecided(by) if by > home.config(def).policy.max_chain_age) {
        chain.decide(DECIDING).await?;
    }
    let shown = shown(hub, home, key, home.id(&def)).await?;
    let known = home.told(def, entries, Some(key)).await?;
    if !known.pending.is_empty() {
        // How much there is to claim decides what the hub must show.
        return Err(Failure::new(Code::ChainUnavailable, "What was recorded on chain can't be read."));
    }
    Ok(known.wallet.adopt(shown, entries.is_empty(), u16::from_le_bytes(random()?), chain.now())?)
}

/// Every lane of the listed assets, page by page.
async fn shown(hub: &Hub, home: &Home, key: &SecretKey, channel_id: ChannelId) -> Result<Shown> {
    // Messages of the channel come through it too; they are repeated when the wallet connects.
    let socket = hub.open_socket().await?;
    prove(hub, &socket, channel_id, key, &home.chain.domain).await?;
    let mut shown = Shown::new();
    for asset in home.assets() {
        for payer in [Side::A, Side::B] {
            let pages = pages(hub, &socket, Lane { channel_id, asset, payer, from: 0 }).await?;
            shown.push((LaneId { asset, payer }, pages));
        }
    }
    Ok(shown)
}

async fn pages(hub: &Hub, socket: &Rc<Socket>, mut lane: Lane) -> Result<Vec<LanePage>> {
    let mut pages = Vec::new();
    loop {
        let page = hub.call_on(socket, &lane).await?.read::<Lane>()?;
        let next = page.next;
        pages.push(page);
        match next {
            Some(next) if next > lane.from => lane.from = next,
            Some(_) => return Err(Failure::new(Code::HubFault, "The hub's pages of a lane go round in circles.")),
            None => return Ok(pages),
        }
    }
}
