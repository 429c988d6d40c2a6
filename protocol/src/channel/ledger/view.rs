//! The chain as we have seen it, which is never its present: what counts as fresh, as past, and as decided.

use crate::chain::Head;
use crate::condition::ConditionKey;
use crate::error::{Code, Error};
use crate::map::Set;

/// The newest block that we were told of, and what was read at it.
#[derive(Debug, Default)]
pub(crate) struct View {
    head: Option<Head>,
    /// Keys whose recorded units were read at a block after their expiry.
    read: Set<ConditionKey>,
}

impl View {
    pub(crate) const fn see(&mut self, head: Head) {
        self.head = Some(head);
    }

    pub(crate) const fn head(&self) -> Option<&Head> {
        self.head.as_ref()
    }

    /// Refuses when the newest block is more than `most` seconds old, or none was seen. [18]
    pub(crate) fn check_fresh(&self, now: u64, most: u64) -> Result<(), Error> {
        if crate::rule_off!(18) {
            return Ok(());
        }
        let head = self.head.as_ref().ok_or_else(|| Error::new(Code::ChainStale, "the chain has not been seen yet"))?;
        if now > head.timestamp.saturating_add(most) {
            return Err(Code::ChainStale.into());
        }
        Ok(())
    }

    /// The later of our clock and the newest block, Unix seconds.
    pub(crate) fn latest_time(&self, now: u64) -> u64 {
        self.head.as_ref().map_or(now, |head| head.timestamp.max(now))
    }

    /// The newest block's time, Unix seconds.
    pub(crate) fn time(&self) -> u64 {
        self.head.as_ref().map_or(0, |head| head.timestamp)
    }

    /// Whether no evidence can be recorded any more, at a final block.
    pub(crate) fn is_finally_past(&self, time: u64) -> bool {
        self.head.as_ref().is_some_and(|head| head.final_timestamp > time)
    }

    pub(crate) fn note_read(&mut self, key: ConditionKey) {
        self.read.insert(key);
    }

    /// Whether a key's recorded units still have to be read after its expiry.
    pub(crate) fn is_unread(&self, key: ConditionKey, expiry: u64) -> bool {
        self.is_finally_past(expiry) && !self.read.contains(&key)
    }

    /// Whether a lock can't be claimed for more than the chain showed: its expiry is final, and the recorded units
    /// were read after it. Evidence may have been recorded before we knew the key, so logs alone do not tell.
    pub(crate) fn is_decided(&self, key: ConditionKey, expiry: u64) -> bool {
        self.is_finally_past(expiry) && self.read.contains(&key)
    }
}
