//! Channels that nobody has put money into are forgotten, with what else is stored for them.

use super::Driver;
use crate::store::backup_key;
use farthing_protocol::ChannelId;
use farthing_protocol::chain::ChainFact;
use farthing_protocol::hub::Registration;
use farthing_protocol::journal::Write;
use std::collections::BTreeMap;

/// How many channels without a deposit a hub keeps, and for how long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unfunded {
    /// Seconds without use.
    pub age: u64,
    /// Most at once.
    pub most: usize,
    /// Most at once that one origin registered or attached.
    pub most_per_origin: usize,
}

/// What was forgotten and has to be told.
#[derive(Debug, Default)]
pub(super) struct Forgotten {
    /// Whose backups go with the next commit, which has the other writes.
    stored: Vec<ChannelId>,
    /// Of which the follower does not know yet.
    followed: BTreeMap<ChannelId, Registration>,
}

impl Forgotten {
    pub(super) fn note(&mut self, id: ChannelId, registration: Registration) {
        self.stored.push(id);
        self.followed.insert(id, registration);
    }

    /// The writes that remove backups.
    pub(super) fn backups(&mut self) -> impl Iterator<Item = Write> + '_ {
        self.stored.drain(..).map(|channel| Write::Delete { key: backup_key(channel) })
    }
}

impl Driver {
    /// Forgets what has been unfunded for too long, and what is too much.
    pub(super) fn forget(&mut self, now: u64, most: usize) {
        for registration in self.hub.forget_unfunded(now, self.parts.unfunded.age, most) {
            self.forgot(registration);
        }
    }

    /// The follower may have read a deposit while its channel was being forgotten.
    pub(super) fn recall(&mut self, facts: &[(Option<ChannelId>, ChainFact)]) {
        for channel in facts.iter().filter_map(|(channel, _)| *channel) {
            let Some(registration) = self.forgotten.followed.remove(&channel) else { continue };
            if let Err(error) = self.register(registration, false) {
                tracing::warn!(%channel, %error, "a forgotten channel was not admitted again");
            }
        }
    }

    /// Channels that need not be followed any more; those that were registered again since then do.
    pub(super) fn gone(&mut self) -> Vec<ChannelId> {
        let forgotten = std::mem::take(&mut self.forgotten.followed);
        forgotten.into_keys().filter(|channel| self.hub.channel(channel).is_none()).collect()
    }
}
