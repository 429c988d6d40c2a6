//! What a bug report needs to know of a client, and nothing that is a secret: no key, word, preimage or memo. And what it
//! has, told when it changes.

use super::{Client, Notice};
use crate::chain::Skew;
use crate::failure::Failure;
use farthing_protocol::Amount;
use farthing_protocol::channel::ExitStage;
use farthing_protocol::types::Asset;
use farthing_protocol::wallet::{Balance, Status};

/// Balances with credits, and streams that wait.
pub(super) type Seen = (Vec<(Balance, Amount)>, usize);

/// Where a client stands.
#[derive(Clone, Debug)]
pub struct Bearings {
    /// The newest block, its time in Unix seconds, and the newest final one.
    pub head: (u64, u64, u64),
    /// Seconds that the chain's head is old.
    pub lag: u64,
    /// Seconds by which the device is ahead (or, negative, behind), and whether that is sure.
    pub skew: (i64, bool),
    /// By asset: the highest nonce that we signed, the one that the hub accepted, the one that we accepted, the highest seen.
    pub lanes: Vec<(Asset, [u64; 4])>,
    /// Payments that are pending, held, returning.
    pub open: [u32; 3],
    /// Calls that wait for something.
    pub asking: u32,
    /// Where an exit stands.
    pub exit: ExitStage,
    /// Both sides have told each other what they know since the last connection.
    pub synced: bool,
    /// Why there is no connection.
    pub obstacle: Option<Failure>,
    /// Why the client has stopped.
    pub failed: Option<Failure>,
    /// It was disconnected.
    pub closed: bool,
}

impl Client {
    /// Where it stands. Asks nobody and changes nothing, so it works whatever has failed.
    #[must_use]
    pub fn bearings(&self) -> Bearings {
        let (head, now, wallet) = (self.chain.head(), self.chain.now(), self.wallet.borrow());
        let channel = wallet.channel();
        let books = channel.state().assets.iter();
        let signed = |seconds: u64| i64::try_from(seconds).unwrap_or(i64::MAX);
        let count = |status| {
            let found = self.in_flight.borrow();
            let alike =
                found.values().filter(|waiter| waiter.latest.borrow().as_ref().is_some_and(|is| is.status == status));
            u32::try_from(alike.count()).unwrap_or(u32::MAX)
        };
        Bearings {
            head: (head.number, head.timestamp, head.final_number),
            lag: now.saturating_sub(head.timestamp),
            skew: match self.chain.skew() {
                Skew::None => (0, true),
                Skew::Behind(by) => (signed(by).saturating_neg(), true),
                Skew::Ahead(by) => (signed(by), true),
                Skew::Undecided(by) => (signed(by), false),
            },
            lanes: books
                .map(|(asset, book)| {
                    let ours = [book.out.highest, book.out.accepted.as_ref().map_or(0, |signed| signed.proof.nonce)];
                    (*asset, [ours[0], ours[1], book.inc.accepted_nonce(), book.inc.seen])
                })
                .collect(),
            open: [count(Status::Pending), count(Status::Held), count(Status::Returning)],
            asking: self.asking.get(),
            exit: channel.exit_stage(),
            synced: channel.is_synced(),
            obstacle: self.obstacle.borrow().clone(),
            failed: self.failed.borrow().clone(),
            closed: self.closed.is_sent(),
        }
    }

    /// What there is of each asset that the hub lists, also of a client that has ended.
    #[must_use]
    pub fn last_balances(&self) -> Vec<Balance> {
        let wallet = self.wallet.borrow();
        self.terms().assets.iter().map(|terms| wallet.balance(terms.asset)).collect()
    }

    /// What there is, with what the contract keeps, and how many streams wait for somebody who takes them.
    pub(super) fn seen(&self) -> Seen {
        let credit = |of: Balance| (of, self.credit(of.asset).unwrap_or_default());
        let all = self.last_balances().into_iter().map(credit).collect();
        (all, self.wallet.borrow().undecided_streams())
    }

    /// Tells what was seen, if that is not what was told last.
    pub(super) fn tell_seen(&self, (all, waiting): Seen) {
        let before = self.told_balances.replace(Some(all.clone()));
        // What there is at the start is not news: whoever connects asks for it.
        if before.is_some_and(|before| before != all) {
            self.tell(Notice::Balance(all.into_iter().map(|(balance, _)| balance).collect()));
        }
        if self.told_offers.replace(waiting) != waiting {
            self.tell(Notice::Offers(waiting));
        }
    }
}
