//! Hands the newest proofs to watchtowers, and checks their receipts: an exit that starts while nobody is here is
//! answered by them.

use super::{Client, Notice};
use crate::failure::{Failure, Result};
use crate::task::{Either, race, sleep};
use crate::transport::Hub;
use crate::url::origin;
use alloy_primitives::Address;
use farthing_protocol::api::tower::{Config, Put, Receipts};
use farthing_protocol::journal::Write;
use farthing_protocol::proof::LaneId;
use farthing_protocol::watch::WatchOrder;
use farthing_protocol::{Code, json};
use std::rc::Rc;

/// Pause after a change, so that several go into one call, and least time between two, in milliseconds.
const GATHER: u32 = 500;
const REST: u32 = 2_500;

/// How long an order is good, in seconds.
const ORDER: u64 = 30 * 86_400;

/// A watchtower, what it was handed, and whether the application knows that it fails.
struct Tower {
    hub: Hub,
    key: Option<Address>,
    handed: Vec<(LaneId, u64)>,
    told: bool,
}

impl Client {
    /// Runs until the client ends.
    pub(super) async fn keep_watched(self: Rc<Self>) {
        let tower = |url: &String| {
            let hub = Hub::new(url).ok()?;
            Some(Tower { hub, key: None, handed: Vec::new(), told: false })
        };
        let mut towers: Vec<Tower> = self.watchtowers.iter().filter_map(tower).collect();
        while !towers.is_empty() {
            if let Either::First(()) = race(self.closed.wait(), self.unwatched.rings()).await {
                return;
            }
            if let Either::First(()) = race(self.closed.wait(), sleep(GATHER)).await {
                return;
            }
            for tower in &mut towers {
                let handed = match race(self.closed.wait(), Box::pin(self.hand_over(tower))).await {
                    Either::First(()) => return,
                    Either::Second(handed) => handed,
                };
                match handed {
                    Ok(()) => tower.told = false,
                    Err(failure) => {
                        // Tried again; told once, until it works again.
                        self.unwatched.ring();
                        if !std::mem::replace(&mut tower.told, true) {
                            // The codes' advice is about the hub.
                            let code = match failure.code() {
                                Code::HubFault => Code::NotAHub,
                                code => code,
                            };
                            let detail = format!(
                                "Watchtower {}: {} It is asked again, and payments go on without it; check its URL.",
                                origin(tower.hub.url()),
                                failure.detail()
                            );
                            self.tell(Notice::Error(Failure::advised(code, detail)));
                        }
                    }
                }
            }
            if let Either::First(()) = race(self.closed.wait(), sleep(REST)).await {
                return;
            }
        }
    }

    /// Hands over every lane whose newest proof the tower does not have.
    async fn hand_over(&self, tower: &mut Tower) -> Result<()> {
        let key = match tower.key {
            Some(key) => key,
            None => {
                let terms = tower.hub.call(&Config {}).await?.read::<Config>()?;
                let domain = &self.chain.domain;
                if (terms.chain_id, terms.contract) != (domain.chain_id(), domain.contract()) {
                    return Err(Failure::new(Code::ChainMismatch, "It watches another chain or contract."));
                }
                *tower.key.insert(terms.tower)
            }
        };
        let mut lanes = self.wallet.borrow().watched_lanes();
        lanes.retain(|lane| !tower.handed.contains(&(lane.lane(), lane.signed.proof.nonce)));
        if lanes.is_empty() {
            return Ok(());
        }
        let order = WatchOrder::sign(
            self.def,
            self.chain.least_time().saturating_add(ORDER),
            key,
            &self.chain.domain,
            self.signer()?,
        );
        let put = Put { order, lanes };
        let Receipts { receipts } = tower.hub.call(&put).await?.read::<Put>()?;
        if receipts.len() != put.lanes.len() {
            return Err(Failure::new(Code::BadTerms, "It gave no receipt for each lane."));
        }
        let mut writes = Vec::new();
        for (lane, receipt) in put.lanes.iter().zip(&receipts) {
            receipt.verify(&self.chain.domain, key, self.id, lane.lane(), &lane.signed)?;
            let asset = lane.asset;
            let name = format!("{}/receipt/{key}/{asset}/{}", self.prefix, lane.payer.index());
            writes.push(Write::Put { key: name, value: json::encode(receipt).into_bytes() });
            tower.handed.retain(|(known, _)| *known != lane.lane());
            tower.handed.push((lane.lane(), lane.signed.proof.nonce));
        }
        // Proof against a tower that does not do what it promised.
        self.store.commit(writes).await?;
        self.tell(Notice::Watched { url: tower.hub.url().to_owned(), tower: key });
        Ok(())
    }
}
