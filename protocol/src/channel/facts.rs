//! The facts of a channel and the state that they add up to. Applying a fact never fails and never decides:
//! whoever records it has checked it.

use super::incoming::Incoming;
use super::outgoing::Outgoing;
use super::signed::{SignedClosing, SignedWithdrawal};
use crate::amount::Amount;
use crate::chain::{AssetStatus, ChainFact};
use crate::codec::stored;
use crate::condition::ConditionKey;
use crate::lane::{PendingLock, Update};
use crate::map::{Map, Set};
use crate::message::{Closing, Withdrawal};
use crate::proof::SignedProof;
use crate::sign::Signature;
use crate::types::{Asset, Side, Sides};
use alloc::vec::Vec;
use alloy_primitives::Bytes;

/// One thing that became true.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fact {
    /// We signed an update of our lane.
    Signed {
        /// Which asset.
        asset: Asset,
        /// The update.
        update: Update,
    },
    /// The peer accepted our lane up to a nonce.
    PeerAccepted {
        /// Which asset.
        asset: Asset,
        /// Up to which proof.
        nonce: u64,
        /// Of exactly that proof.
        acknowledgement: Option<Signature>,
    },
    /// The peer refused our updates from a nonce on.
    PeerRefused {
        /// Which asset.
        asset: Asset,
        /// From which proof on.
        nonce: u64,
    },
    /// A refused or released lock's expiry is final with no more evidence on chain: it costs nothing any more.
    Lapsed {
        /// Which asset.
        asset: Asset,
        /// Nonce of the proof that placed it.
        placed: u64,
        /// Its slot.
        slot: u16,
    },
    /// We accepted an update of the peer's lane.
    Received {
        /// Which asset.
        asset: Asset,
        /// The update.
        update: Update,
        /// Ours, where one was due.
        acknowledgement: Option<Signature>,
    },
    /// We refused a proof that the peer had signed.
    Seen {
        /// Which asset.
        asset: Asset,
        /// Its nonce.
        nonce: u64,
    },
    /// We gave the rest of an incoming lock up.
    GaveUp {
        /// Which asset.
        asset: Asset,
        /// Nonce of the proof that placed it.
        placed: u64,
        /// Its slot.
        slot: u16,
    },
    /// We know evidence.
    Evidence {
        /// For which key.
        key: ConditionKey,
        /// Units it proves.
        units: u32,
        /// What proves them.
        evidence: Bytes,
        /// Whether it is recorded on chain, at a final block.
        on_chain: bool,
    },
    /// A withdrawal got a first signature, or both.
    Withdrawal(SignedWithdrawal),
    /// A withdrawal's deadline is final and it was not mined.
    WithdrawalLapsed(Withdrawal),
    /// A closing got a first signature, or both.
    Closing(SignedClosing),
    /// A closing's deadline is final and it was not mined.
    ClosingLapsed(Closing),
    /// The chain said so.
    Chain(ChainFact),
    /// The peer showed newer state of ours than we have.
    Outdated,
    /// We leave without the peer's help: nothing more is signed or accepted.
    Leaving,
    /// After a restore, the peer has shown what it holds of ours.
    Synced,
    /// The peer showed a proof of its own lane that is newer than ours, without the ops that lead to it.
    Bare {
        /// Which asset.
        asset: Asset,
        /// The proof.
        signed: SignedProof,
    },
}

/// What was claimed of a lock after settlement.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Claimed {
    /// Units paid to the payee by claims.
    pub units: u32,
    /// Whether the rest went back to the payer.
    pub returned: bool,
}

stored!(struct Claimed { units, returned });

stored!(enum Fact {
    0 => Outdated,
    1 => Signed { asset, update },
    2 => PeerAccepted { asset, nonce, acknowledgement },
    3 => PeerRefused { asset, nonce },
    4 => Lapsed { asset, placed, slot },
    5 => Received { asset, update, acknowledgement },
    6 => Seen { asset, nonce },
    7 => GaveUp { asset, placed, slot },
    8 => Evidence { key, units, evidence, on_chain },
    9 => Withdrawal(signed),
    10 => WithdrawalLapsed(withdrawal),
    11 => Closing(signed),
    12 => ClosingLapsed(closing),
    13 => Chain(fact),
    14 => Leaving,
    15 => Bare { asset, signed },
    16 => Synced,
});

/// The best evidence known for a key.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Known {
    /// Units it proves.
    pub units: u32,
    /// What proves them.
    pub evidence: Bytes,
    /// Units recorded on chain, at a final block.
    pub on_chain: u32,
}

stored!(struct Known { units, evidence, on_chain });

/// What is known of one asset.
#[derive(Clone, Debug, Default)]
pub struct AssetBook {
    /// Confirmed deposits.
    pub deposits: Sides<Amount>,
    /// Confirmed withdrawals.
    pub withdrawn: Sides<Amount>,
    /// What became of it.
    pub status: AssetStatus,
    /// The lane we pay with.
    pub out: Outgoing,
    /// The lane we are paid with.
    pub inc: Incoming,
    /// Withdrawals that one or both have signed and that may still be mined.
    pub withdrawals: Vec<SignedWithdrawal>,
    /// A closing that one or both have signed and that may still be mined.
    pub closing: Option<SignedClosing>,
    /// Nonces of the best proofs that an exit was shown, by payer; once settled, of those it was settled by.
    pub shown: Option<Sides<u64>>,
    /// Claims of locks after settlement, by payer and slot.
    pub claimed: Map<(Side, u16), Claimed>,
}

stored!(struct AssetBook { deposits, withdrawn, status, out, inc, withdrawals, closing, shown, claimed });

impl AssetBook {
    /// What a side has withdrawn, counting everything signed until it has lapsed. [2]
    #[must_use]
    pub fn withdrawn_counted(&self, side: Side) -> Amount {
        let confirmed = *self.withdrawn.of(side);
        if crate::rule_off!(2) {
            return confirmed;
        }
        self.withdrawals
            .iter()
            .filter(|signed| signed.withdrawal.side == side)
            .map(|signed| signed.withdrawal.total)
            .fold(confirmed, Amount::max)
    }
}

/// All facts of a channel, added up.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// By asset.
    pub assets: Map<Asset, AssetBook>,
    /// By condition key.
    pub evidence: Map<ConditionKey, Known>,
    /// End of the challenge period of an exit, Unix seconds.
    pub exit: Option<u64>,
    /// Whether the peer has shown newer state of ours than we have.
    pub outdated: bool,
    /// Whether we leave.
    pub leaving: bool,
    /// Whether it comes from a backup, and the peer has not shown yet what it holds of ours.
    pub restored: bool,
}

stored!(struct State { assets, evidence, exit, outdated, leaving, restored since 2 });

impl State {
    /// Replays a fact read from the store. Unlike [`State::apply`] it also redoes the changes of the lanes.
    pub fn replay(&mut self, fact: &Fact) -> Result<(), crate::error::Error> {
        match fact {
            Fact::Signed { asset, update } => {
                let out = &mut self.assets.or_default(*asset).out;
                let undo = out.lane.apply(update.proof.nonce, &update.ops)?;
                out.push(update.clone(), undo);
            }
            Fact::Received { asset, update, acknowledgement } => {
                let inc = &mut self.assets.or_default(*asset).inc;
                let undo = inc.lane.apply(update.proof.nonce, &update.ops)?;
                self.forfeit(*asset, &undo.releases(&update.ops));
                self.assets.or_default(*asset).inc.accept(update, *acknowledgement);
            }
            other => self.apply(other),
        }
        Ok(())
    }

    /// Counts what is lost by releases of locks that we hold evidence for and did not give up.
    pub(crate) fn forfeit(&mut self, asset: Asset, released: &[(u32, u16, PendingLock)]) {
        let lost = self.lost_by(asset, released);
        let inc = &mut self.assets.or_default(asset).inc;
        inc.forfeited = inc.forfeited.plus(lost).unwrap_or(Amount::MAX);
    }

    /// What such releases lose.
    pub(crate) fn lost_by(&self, asset: Asset, released: &[(u32, u16, PendingLock)]) -> Amount {
        let given_up = self.assets.get(&asset).map(|book| &book.inc.given_up);
        let unpaid = released.iter().filter_map(|(_, slot, pending)| {
            let known = self.evidence.get(&pending.lock.key).map_or(0, |known| known.units);
            let unpaid = pending.lock.provable(known);
            (!given_up.is_some_and(|set| set.contains(&(pending.placed, *slot)))).then_some(unpaid)
        });
        unpaid.fold(Amount::ZERO, |sum, next| sum.plus(next).unwrap_or(Amount::MAX))
    }

    /// Adds a fact. [`Fact::Signed`] and [`Fact::Received`] are made while they are checked, and change nothing here.
    pub(crate) fn apply(&mut self, fact: &Fact) {
        match fact {
            Fact::Signed { .. } | Fact::Received { .. } => {}
            Fact::PeerAccepted { asset, nonce, acknowledgement } => {
                self.assets.or_default(*asset).out.accept(*nonce, *acknowledgement);
            }
            Fact::PeerRefused { asset, nonce } => {
                self.assets.or_default(*asset).out.refuse(*nonce);
            }
            Fact::Lapsed { asset, placed, slot } => {
                self.assets.or_default(*asset).out.lapse(*placed, *slot);
            }
            Fact::Seen { asset, nonce } => {
                let inc = &mut self.assets.or_default(*asset).inc;
                inc.seen = inc.seen.max(*nonce);
            }
            Fact::GaveUp { asset, placed, slot } => {
                self.assets.or_default(*asset).inc.given_up.insert((*placed, *slot));
            }
            Fact::Evidence { key, units, evidence, on_chain } => {
                let known = self.evidence.or_default(*key);
                // Units may be known before what proves them.
                if *units > known.units || (*units == known.units && known.evidence.is_empty()) {
                    known.units = *units;
                    known.evidence = evidence.clone();
                }
                if *on_chain {
                    known.on_chain = known.on_chain.max(*units);
                }
            }
            Fact::Withdrawal(signed) => {
                let list = &mut self.assets.or_default(signed.withdrawal.asset).withdrawals;
                list.retain(|old| old.withdrawal != signed.withdrawal);
                list.push(signed.clone());
            }
            Fact::WithdrawalLapsed(withdrawal) => {
                let list = &mut self.assets.or_default(withdrawal.asset).withdrawals;
                list.retain(|old| old.withdrawal != *withdrawal);
            }
            Fact::Closing(signed) => {
                for entry in &signed.closing.assets {
                    self.assets.or_default(entry.asset).closing = Some(signed.clone());
                }
            }
            Fact::ClosingLapsed(closing) => {
                for entry in &closing.assets {
                    let book = self.assets.or_default(entry.asset);
                    if book.closing.as_ref().is_some_and(|signed| signed.closing == *closing) {
                        book.closing = None;
                    }
                }
            }
            Fact::Chain(ChainFact::Asset { asset, deposits, withdrawn, status }) => {
                let book = self.assets.or_default(*asset);
                book.deposits = *deposits;
                book.withdrawn = *withdrawn;
                // What it was settled by is told after this.
                book.shown = book.shown.filter(|_| book.status == *status);
                book.status = *status;
            }
            Fact::Chain(ChainFact::ExitStarted { ends_at }) => self.exit = Some(*ends_at),
            Fact::Chain(ChainFact::ExitGone) => {
                self.exit = None;
                self.assets.values_mut().for_each(|book| book.shown = None);
            }
            Fact::Chain(ChainFact::Shown { asset, shown }) => {
                self.assets.or_default(*asset).shown = Some(*shown);
            }
            Fact::Chain(ChainFact::Claimed { lane, slot, units, returned }) => {
                let book = self.assets.or_default(lane.asset);
                book.claimed.insert((lane.payer, *slot), Claimed { units: *units, returned: *returned });
            }
            Fact::Leaving => self.leaving = true,
            Fact::Synced => self.restored = false,
            Fact::Bare { asset, signed } => {
                let inc = &mut self.assets.or_default(*asset).inc;
                inc.seen = inc.seen.max(signed.proof.nonce);
                inc.bare = Some(*signed);
            }
            Fact::Chain(ChainFact::Evidence { .. }) => {}
            Fact::Outdated => self.outdated = true,
        }
    }

    /// Drops evidence that no lock and no older proof of either lane can need any more, if there is much of it.
    pub(crate) fn forget_spent_evidence(&mut self) {
        if self.evidence.len() >= 1024 {
            self.drop_spent_evidence();
        }
    }

    /// Drops it, however little there is.
    pub(crate) fn drop_spent_evidence(&mut self) {
        let Self { assets, evidence, .. } = self;
        let live: Set<ConditionKey> = assets
            .values()
            .flat_map(|book| {
                let pending = book.out.lane.locks.values().chain(book.inc.lane.locks.values());
                let refused = book.out.refused.iter().filter_map(|refused| refused.lock).map(|lock| lock.key);
                // An update in flight may be refused, and its locks come back.
                let flying = book.out.in_flight.iter().flat_map(|flight| flight.keys());
                pending.map(|pending| pending.lock.key).chain(refused).chain(flying)
            })
            .collect();
        evidence.retain(|key, _| live.contains(key));
    }
}
