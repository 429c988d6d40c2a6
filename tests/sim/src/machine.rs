//! One participant's machine, of either kind, and the store that it comes back from.

use farthing_protocol::chain::{ChainCall, ChainFact, Head};
use farthing_protocol::channel::{CallId, Channel};
use farthing_protocol::condition::ConditionKey;
use farthing_protocol::error::Error;
use farthing_protocol::gate::Commit;
use farthing_protocol::hub::{Hub, HubConfig, HubEffect};
use farthing_protocol::journal::Write;
use farthing_protocol::message::Message;
use farthing_protocol::sign::SecretKey;
use farthing_protocol::types::ChannelId;
use farthing_protocol::wallet::{Event, Payment, Wallet, WalletConfig, WalletEffect};
use std::collections::BTreeMap;

pub type Store = BTreeMap<String, Vec<u8>>;

/// One atomic transaction: all of the batch, or nothing.
pub fn write(store: &mut Store, writes: &[Write]) {
    for write in writes {
        match write.clone() {
            Write::Put { key, value } => store.insert(key, value),
            Write::Delete { key } => store.remove(&key),
        };
    }
}

#[derive(Clone)]
pub enum Config {
    Wallet(WalletConfig),
    Hub(HubConfig),
}

pub enum Machine {
    Wallet(Box<Wallet>),
    Hub(Box<Hub>),
}

/// What a commit allows, of either machine.
#[allow(clippy::large_enum_variant, reason = "a test's effects")]
pub enum Act {
    Send(ChannelId, Message),
    Submit(CallId, ChannelId, ChainCall),
    Tell(Event),
}

impl Machine {
    /// As a store holds it.
    pub fn restore(config: &Config, key: &SecretKey, store: &Store, now: u64) -> Result<Self, Error> {
        let entries: Vec<_> = store.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        Ok(match config {
            Config::Wallet(config) => {
                Self::Wallet(Box::new(Wallet::restore(config.clone(), Some(key.clone()), &entries)?))
            }
            Config::Hub(config) => Self::Hub(Box::new(Hub::restore(config.clone(), key.clone(), &entries, now)?)),
        })
    }

    /// Its channels.
    pub fn channels(&self) -> Vec<&Channel> {
        match self {
            Self::Wallet(wallet) => vec![wallet.channel()],
            Self::Hub(hub) => hub.channels().collect(),
        }
    }

    pub fn handle(&mut self, channel: ChannelId, message: Message, now: u64) -> Result<(), Error> {
        match self {
            Self::Wallet(wallet) => wallet.handle(message, now),
            Self::Hub(hub) => hub.handle(channel, message, now),
        }
    }

    pub fn connected(&mut self, channel: ChannelId, now: u64) -> Result<(), Error> {
        match self {
            Self::Wallet(wallet) => wallet.connected(now),
            Self::Hub(hub) => hub.connected(channel, now)?,
        }
        Ok(())
    }

    pub fn disconnected(&mut self, channel: ChannelId) {
        match self {
            Self::Wallet(wallet) => wallet.disconnected(),
            Self::Hub(hub) => hub.disconnected(channel),
        }
    }

    pub fn tell(&mut self, channel: Option<ChannelId>, fact: &ChainFact, now: u64) {
        match self {
            Self::Hub(hub) => hub.chain(channel, fact, now),
            Self::Wallet(wallet) => {
                if channel.is_none_or(|id| id == wallet.id()) {
                    wallet.chain(fact, now);
                }
            }
        }
    }

    /// The chain's head, and the keys whose recorded units have to be read after it.
    pub fn head(&mut self, head: Head, now: u64) -> Vec<ConditionKey> {
        match self {
            Self::Hub(hub) => {
                hub.head(head, now);
                hub.unread_keys().into_iter().collect()
            }
            Self::Wallet(wallet) => {
                wallet.head(head, now);
                wallet.unread_keys().into_iter().collect()
            }
        }
    }

    pub fn tick(&mut self, now: u64) {
        match self {
            Self::Hub(hub) => hub.tick(now),
            Self::Wallet(wallet) => wallet.tick(now),
        }
    }

    pub fn submit_failed(&mut self, channel: ChannelId, id: &CallId, call: &ChainCall) {
        match self {
            Self::Hub(hub) => hub.submit_failed(channel, id, call),
            Self::Wallet(wallet) => wallet.submit_failed(id),
        }
    }

    /// The next batch of writes; what it allows is told by [`Machine::committed`].
    pub fn poll(&mut self, now: u64) -> Result<Option<Commit>, Error> {
        match self {
            Self::Wallet(wallet) => wallet.poll_commit(now),
            Self::Hub(hub) => hub.poll_commit(now),
        }
    }

    /// What a commit allows, now that it is durable.
    pub fn committed(&mut self, commit: Commit) -> Result<Vec<Act>, Error> {
        Ok(match self {
            Self::Wallet(wallet) => {
                let id = wallet.id();
                let acts = wallet.committed(commit.durable())?.into_iter().map(|effect| match effect {
                    WalletEffect::Send(message) => Act::Send(id, message),
                    WalletEffect::Submit { id: name, call, .. } => Act::Submit(name, id, call),
                    WalletEffect::Event(event) => Act::Tell(event),
                });
                acts.collect()
            }
            Self::Hub(hub) => {
                let acts = hub.committed(commit.durable())?.into_iter().map(|effect| match effect {
                    HubEffect::Send { channel, message } => Act::Send(channel, message),
                    HubEffect::Submit { id, channel, call, .. } => Act::Submit(id, channel, call),
                });
                acts.collect()
            }
        })
    }
}

/// All payments that a wallet's owner sees, ended ones from the history too.
pub fn payments(wallet: &Wallet, store: &Store) -> Vec<Payment> {
    let mut payments = wallet.payments();
    for (_, value) in store.iter().filter(|(key, _)| key.contains("/history/")) {
        payments.extend(Wallet::decode_history(value).unwrap());
    }
    payments
}
