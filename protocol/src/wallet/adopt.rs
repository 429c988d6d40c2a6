//! Taking over what the hub holds, on a device whose store is lost or old. The hub shows both lanes; signatures, roots,
//! `seen`, the chain and what the store still knows decide.
//!
//! What it can't decide: the hub alone signs its own lane. Of what it paid us, it may show less than there was, down to
//! what our store knows and what we have spent. So this is done only when the application asks for it, and refused
//! wherever something does not fit: whoever has a store or a backup can still leave with it.

use super::receive::id_of;
use super::{Direction, Payment, PaymentId, Status, Stream, Wallet};
use crate::amount::Amount;
use crate::chain::AssetStatus;
use crate::channel::{LanePage, ShownLane};
use crate::condition::ConditionKey;
use crate::error::{Code, Error};
use crate::journal::Write;
use crate::lane::LockRef;
use crate::map::Map;
use crate::proof::LaneId;
use crate::types::{Asset, Side};
use alloc::string::String;
use alloc::vec::Vec;

/// The pages of each lane, as the hub shows them.
pub type Shown = Vec<(LaneId, Vec<LanePage>)>;

/// Both lanes of an asset.
type Both = (Option<ShownLane>, Option<ShownLane>);

impl Wallet {
    /// The writes that bring a store up to what the hub shows; `None` if it shows nothing newer than a store that is
    /// not lost. The wallet is as the store has it (`lost`: it has nothing), and has been told what the chain says.
    /// `leap` is fresh randomness: nobody shall know which nonce comes next.
    ///
    /// Refused with `state-outdated` if the hub shows less than its proofs, ours, our store and the chain say that there
    /// is; with `unacknowledged` if older or lost proofs of ours would stay alive; with `channel-exiting` while an exit
    /// runs; and as any message if something is not as it was signed, or as no update could have made it. Nothing
    /// changes then.
    pub fn adopt(mut self, shown: Shown, lost: bool, leap: u16, now: u64) -> Result<Option<Vec<Write>>, Error> {
        if self.channel.is_exiting() {
            return Err(Code::ChannelExiting.into());
        }
        // [18] What the chain shows has to be what it shows now.
        self.channel.check_fresh(now)?;
        let mut lanes: Map<Asset, Both> = Map::new();
        for (id, pages) in shown {
            // What was closed is decided; what is known of it stays.
            if self.channel.on_chain(id.asset).status != AssetStatus::Open {
                continue;
            }
            let lane = self.channel.read_shown(id, pages)?;
            let of_asset = lanes.or_default(id.asset);
            match id.payer {
                Side::A => of_asset.0 = lane,
                Side::B => of_asset.1 = lane,
            }
        }
        let outdated = self.channel.is_outdated();
        // Of a channel without any money nothing can be lost.
        let lost = lost && self.channel.is_funded();
        let (mut newer, leap) = (false, u64::from(leap));
        for (asset, (ours, theirs)) in lanes {
            let before = self.carriers(asset);
            let (replaced, renewed) = self.channel.adopt(asset, ours, theirs)?;
            newer |= replaced | renewed;
            if replaced || lost || outdated {
                self.channel.leap(asset, leap);
            }
            self.list_locks(asset, &before, replaced, now)?;
        }
        if !newer && !lost {
            // What was shown once is hidden now.
            return if outdated { Err(Code::StateOutdated.into()) } else { Ok(None) };
        }
        self.channel.finish_adopting();
        let payments: Vec<&Payment> = self.payments.values().collect();
        Ok(Some(self.journal.snapshot(&(self.channel.state(), payments))))
    }

    /// The locks of both lanes, by name, with the keys that no other lock can have.
    fn carriers(&self, asset: Asset) -> Map<LockRef, ConditionKey> {
        let (sent, received) = self.channel.lock_names(asset);
        let key = |name: LockRef| Some((name, self.channel.lock(&name)?.lock.key));
        sent.into_iter().chain(received).filter_map(key).collect()
    }

    /// Makes the list of payments fit the lanes: those that are gone have ended, those that are new are listed, and
    /// the secrets of payments to us are taken from their envelopes.
    fn list_locks(
        &mut self,
        asset: Asset,
        before: &Map<LockRef, ConditionKey>,
        replaced: bool,
        now: u64,
    ) -> Result<(), Error> {
        let live: Vec<Payment> =
            self.payments.values().filter(|payment| payment.asset == asset && !payment.is_final()).cloned().collect();
        for payment in live {
            let Some(lock) = payment.lock else {
                if payment.op.is_some() && replaced {
                    self.end(payment.id, now);
                }
                continue;
            };
            if self.channel.lock(&lock).is_none() && !self.channel.still_counts(&lock) {
                self.end(payment.id, now);
            }
        }
        let (sent, received) = self.channel.lock_names(asset);
        for lock in sent.iter().chain(&received).filter(|lock| self.by_lock.contains_key(lock)) {
            // A lock's name is bound by nothing that is signed; its key is.
            if before.get(lock) != self.channel.lock(lock).map(|pending| &pending.lock.key) {
                return Err(Error::new(Code::ProofMismatch, "a lock has the name of another one"));
            }
        }
        for lock in sent {
            self.list_sent(lock, now);
        }
        let margin = self.channel.policy().safety_margin;
        for lock in received {
            // As an update would not be accepted, so no secret is shown for what can't be claimed in time; and what
            // can't be opened goes back to its payer.
            let in_time = self.channel.lock(&lock).is_some_and(|pending| pending.expiry > now.saturating_add(margin));
            let given_up = self.channel.has_given_up(&lock);
            if in_time && !given_up && !self.by_lock.contains_key(&lock) {
                self.take_or_give_up(&lock, now);
            }
        }
        Ok(())
    }

    /// What carried a payment is in no proof that still counts.
    fn end(&mut self, id: PaymentId, now: u64) {
        self.change(id, now, |payment| {
            payment.settled = true;
            if let Some(stream) = payment.stream.clone() {
                stream.end_unseen(payment);
                return;
            }
            let returning = |payment: &mut Payment, status| {
                payment.status = status;
                payment.code = Some(Code::StateOutdated.into());
            };
            match payment.direction {
                Direction::Sent if payment.status == Status::Completed && payment.preimage.is_some() => {}
                // It may have been paid, so it must not be paid again.
                Direction::Sent => returning(payment, Status::Returning),
                // The hub can't take a payment back before its expiry.
                Direction::Received if payment.expiry.is_none_or(|expiry| now <= expiry) => {
                    payment.status = Status::Completed;
                }
                Direction::Received => returning(payment, Status::Returning),
            }
        });
    }

    /// Whom it is for is bound by nothing that we signed.
    fn list_sent(&mut self, lock: LockRef, now: u64) {
        let Some(pending) = self.channel.lock(&lock) else { return };
        if self.by_lock.contains_key(&lock) {
            return;
        }
        // What is received with the same nonce and slot has a name without this bit.
        let id = id_of(self.id(), lock.lane.asset, lock.placed, u32::from(lock.slot) | 1 << 31);
        let amount = pending.lock.value().unwrap_or(Amount::MAX);
        let payment = Payment {
            direction: Direction::Sent,
            lock: Some(lock),
            stream: Stream::shown(pending),
            ..Payment::received(id, lock.lane.asset, amount, String::new(), Some(pending.expiry), now)
        };
        self.index(payment);
    }
}
