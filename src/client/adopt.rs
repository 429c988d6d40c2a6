//! Has the hub show both lanes of every asset, for a wallet whose store is lost or old. What comes of it is decided by
//! `Wallet::adopt`, which believes signatures only.

use super::connection::prove;
use crate::chain::Chain;
use crate::failure::{Failure, Result};
use crate::task::Work;
use crate::transport::Hub;
use crate::transport::socket::Socket;
use farthing_protocol::channel::LanePage;
use farthing_protocol::proof::LaneId;
use farthing_protocol::sign::SecretKey;
use farthing_protocol::types::{Asset, ChannelId, Side};
use farthing_protocol::wallet::Shown;
use farthing_protocol::{Code, json, wire};
use std::rc::Rc;

struct OfLane {
    channel_id: ChannelId,
    asset: Asset,
    payer: Side,
    from: u16,
}

wire!(write struct OfLane { channel_id = "channelId", asset, payer, from });

/// Every lane of these assets, page by page.
pub(super) fn shown<'a>(
    hub: &'a Hub,
    chain: &'a Chain,
    key: &'a SecretKey,
    channel_id: ChannelId,
    assets: Vec<Asset>,
) -> Work<'a, Shown> {
    Box::pin(async move {
        // Messages of the channel come through it too; they are repeated when the wallet connects.
        let socket = Socket::open(hub.websocket_url(), channel_id, drop).await?;
        prove(hub, &socket, channel_id, key, &chain.domain).await?;
        let mut shown = Shown::new();
        for asset in assets {
            for payer in [Side::A, Side::B] {
                let pages = pages(hub, &socket, OfLane { channel_id, asset, payer, from: 0 }).await?;
                shown.push((LaneId { asset, payer }, pages));
            }
        }
        Ok(shown)
    })
}

async fn pages(hub: &Hub, socket: &Rc<Socket>, mut lane: OfLane) -> Result<Vec<LanePage>> {
    let mut pages = Vec::new();
    loop {
        let page: LanePage = hub.call_on(socket, "farthing_lane", &json::encode(&lane)).await?.read()?;
        let next = page.next;
        pages.push(page);
        match next {
            Some(next) if next > lane.from => lane.from = next,
            Some(_) => return Err(Failure::new(Code::HubFault, "The hub's pages of a lane go round in circles.")),
            None => return Ok(pages),
        }
    }
}
