//! Persist before you speak, as a type: what a machine has decided waits in its gate, and only the receipt of the commit
//! that it depends on lets it out.
//!
//! Invariant: one commit at a time is on its way to the store. What is decided meanwhile gathers for the next one.

use crate::error::{Code, Error};
use crate::journal::Write;
use alloc::vec::Vec;

/// Writes that must become durable together, in one atomic transaction.
#[derive(Debug)]
#[must_use = "what depends on this commit waits until it is durable"]
pub struct Commit {
    /// What to write, in this order.
    pub writes: Vec<Write>,
    number: u64,
}

impl Commit {
    /// States that all writes are durable. Whoever calls this before they are loses money in a crash.
    pub fn durable(self) -> Receipt {
        Receipt { number: self.number }
    }
}

/// Says that a commit is durable. It is handed in once.
#[derive(Debug)]
#[must_use = "what depends on the commit waits for its receipt"]
pub struct Receipt {
    number: u64,
}

/// What a machine has decided to write, to send and to tell.
#[derive(Debug)]
pub(crate) struct Gate<E> {
    /// For the next commit.
    writes: Vec<Write>,
    effects: Vec<E>,
    /// Of the commit that is on its way to the store, with its number.
    waiting: Option<(u64, Vec<E>)>,
    commits: u64,
    poisoned: bool,
}

impl<E> Default for Gate<E> {
    fn default() -> Self {
        Self { writes: Vec::new(), effects: Vec::new(), waiting: None, commits: 0, poisoned: false }
    }
}

impl<E> Gate<E> {
    /// Adds to the next commit.
    pub(crate) fn write(&mut self, writes: impl IntoIterator<Item = Write>) {
        self.writes.extend(writes);
    }

    /// Adds what depends on the next commit.
    pub(crate) fn decide(&mut self, effects: impl IntoIterator<Item = E>) {
        self.effects.extend(effects);
    }

    /// Whether a commit is on its way.
    pub(crate) const fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// The next commit; `None` if there is nothing to do, or while one is on its way.
    pub(crate) fn commit(&mut self) -> Option<Commit> {
        if self.is_waiting() || (self.writes.is_empty() && self.effects.is_empty()) {
            return None;
        }
        self.commits = self.commits.saturating_add(1);
        self.waiting = Some((self.commits, core::mem::take(&mut self.effects)));
        Some(Commit { writes: core::mem::take(&mut self.writes), number: self.commits })
    }

    /// What depends on a commit that is durable; with the receipt of another one, nothing.
    pub(crate) fn committed(&mut self, receipt: Receipt) -> Result<Vec<E>, Error> {
        self.check_sound()?;
        let Receipt { number } = receipt;
        match self.waiting.take_if(|(waiting, _)| *waiting == number) {
            Some((_, effects)) => Ok(effects),
            None => Err(Error::new(Code::Internal, "the receipt is of another commit")),
        }
    }

    /// The store failed: nothing gets out any more.
    pub(crate) const fn poison(&mut self) {
        self.poisoned = true;
    }

    pub(crate) const fn is_poisoned(&self) -> bool {
        self.poisoned
    }

    /// Refuses once the store has failed.
    pub(crate) fn check_sound(&self) -> Result<(), Error> {
        if self.poisoned { Err(Code::StorageFailed.into()) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate() -> Gate<&'static str> {
        Gate::default()
    }

    #[test]
    fn a_receipt_lets_out_what_its_own_commit_allows() {
        let mut gate = gate();
        gate.decide(["one"]);
        let first = gate.commit().unwrap().durable();
        let number = first.number;
        let again = Receipt { number };
        assert_eq!(gate.committed(first).unwrap(), ["one"]);
        assert_eq!(gate.committed(again).unwrap_err().code(), Code::Internal, "there is nothing left of it");
        gate.decide(["two"]);
        let second = gate.commit().unwrap();
        let old = Receipt { number };
        assert_eq!(gate.committed(old).unwrap_err().code(), Code::Internal);
        assert!(gate.is_waiting(), "it still waits for its own");
        assert_eq!(gate.committed(second.durable()).unwrap(), ["two"]);
        assert!(!gate.is_waiting());
    }

    #[test]
    fn what_is_decided_while_a_commit_is_written_is_of_the_next() {
        let mut gate = gate();
        assert!(gate.commit().is_none(), "there is nothing to do");
        gate.decide(["a"]);
        let first = gate.commit().unwrap();
        gate.decide(["b"]);
        gate.write([Write::Delete { key: "k".into() }]);
        assert!(gate.commit().is_none(), "one is on its way");
        assert_eq!(gate.committed(first.durable()).unwrap(), ["a"]);
        let second = gate.commit().unwrap();
        assert_eq!(second.writes.len(), 1);
        assert_eq!(gate.committed(second.durable()).unwrap(), ["b"]);
        assert!(gate.commit().is_none());
    }

    #[test]
    fn all_stays_in_the_order_in_which_it_was_decided() {
        let mut gate = gate();
        let write = |key: &str| Write::Delete { key: key.into() };
        gate.write([write("a"), write("b")]);
        gate.decide(["1", "2"]);
        gate.write([write("c")]);
        gate.decide(["3"]);
        let commit = gate.commit().unwrap();
        assert_eq!(commit.writes, [write("a"), write("b"), write("c")]);
        assert_eq!(gate.committed(commit.durable()).unwrap(), ["1", "2", "3"]);
    }

    #[test]
    fn a_failed_store_lets_nothing_out() {
        let mut gate = gate();
        gate.decide(["send"]);
        let commit = gate.commit().unwrap();
        gate.poison();
        assert_eq!(gate.committed(commit.durable()).unwrap_err().code(), Code::StorageFailed);
        assert!(gate.is_waiting() && gate.is_poisoned());
    }
}
