//! Which channel it is, where none is stored: one that the chain knows, or a new one.

use super::Settings;
use super::backup::{self, Restored};
use super::greeting::look_up;
use super::load::Home;
use super::record::{Record, holds_money, usage};
use crate::failure::{Failure, Result};
use crate::signer::is_keys;
use crate::signer::typed_data::{self, TypedData};
use crate::task::both;
use alloy_primitives::{Address, Bytes};
use farthing_protocol::api::PayeeInfo;
use farthing_protocol::backup::Backup;
use farthing_protocol::sign::SecretKey;
use farthing_protocol::types::{ChannelDef, ChannelId, Participant};
use farthing_protocol::{Code, abi};

/// Channels of the same participants that are looked at, one after the other.
const MAX_SALT: u64 = 64;

/// The channel to use, which was not stored.
pub(crate) struct Chosen {
    pub(crate) record: Record,
    /// It has money in it already.
    pub(crate) in_use: bool,
    /// The snapshot of a backup, and where that comes from.
    pub(crate) backup: Option<(Vec<u8>, Restored)>,
}

/// What a channel is chosen by.
pub(crate) struct Choice<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) home: &'a Home,
    /// The signer's, and what the owner signed to make it.
    pub(crate) key: &'a SecretKey,
    pub(crate) session: &'a TypedData,
    /// Of a new channel, in seconds.
    pub(crate) challenge_period: Result<u32>,
    pub(crate) first_salt: u64,
    /// The key was made a second time.
    pub(crate) is_proven: bool,
}

/// A channel that the hub knows us by.
#[derive(Default)]
struct Listed {
    def: Option<ChannelDef>,
    binding: Option<Bytes>,
}

impl Choice<'_> {
    /// The first channel that the chain knows nothing of, or the one with money in it. One that is in use there is taken
    /// up again from a backup, or by what the hub shows where that is asked for: what was signed in it is unknown
    /// otherwise.
    pub(crate) async fn make(self) -> Result<Chosen> {
        let home = self.home;
        if let Ok(period) = &self.challenge_period {
            let likely = home.id(&self.def(*period, self.first_salt));
            home.chain.rpc.ahead(usage(&home.chain, &home.terms, likely, home.chain.head().number));
        }
        let (mut listed, of_owner) = self.ask_hub().await;
        let mut salts = self.first_salt..self.first_salt.saturating_add(MAX_SALT);
        loop {
            let known = listed.def.take();
            let channel = match known {
                Some(known) => known,
                None => match salts.next() {
                    Some(salt) => self.def(self.challenge_period.clone()?, salt),
                    None => break,
                },
            };
            channel.check()?;
            let id = home.id(&channel);
            let (used, open) = usage(&home.chain, &home.terms, id, home.chain.head().number).await?;
            if open {
                if let Some((backup, restored)) = self.find_backup(id).await? {
                    let record = Record { channel, binding: backup.binding, elsewhere: None };
                    return Ok(Chosen { record, in_use: true, backup: Some((backup.snapshot, restored)) });
                }
            } else if used || known.is_some() {
                continue;
            }
            let given = listed.binding.take().filter(|_| known.is_some());
            let binding = self.binding(given, id, open).await?;
            let elsewhere = match open {
                true => None,
                false => self.find_elsewhere(of_owner, &channel).await?,
            };
            return Ok(Chosen { record: Record { channel, binding, elsewhere }, in_use: open, backup: None });
        }
        Err(Failure::new(Code::Unsupported, "This account has closed too many channels with this hub."))
    }

    fn owner(&self) -> Address {
        self.settings.owner.address()
    }

    fn def(&self, challenge_period: u32, salt: u64) -> ChannelDef {
        let hub = &self.home.terms.hub;
        ChannelDef {
            a: Participant { owner: self.owner(), signer: self.key.address() },
            b: Participant { owner: hub.owner, signer: hub.signer },
            challenge_period,
            salt,
        }
    }

    /// The channel that the hub knows us by, which may have another challenge period than a new one would have; and what
    /// it says of the account.
    async fn ask_hub(&self) -> (Listed, Result<PayeeInfo>) {
        let (hub, owner, signer) = (&self.settings.hub, self.owner(), self.key.address());
        let (of_signer, of_owner) = if owner == signer {
            let found = look_up(hub, owner).await;
            (found.clone(), found)
        } else {
            both(look_up(hub, signer), look_up(hub, owner)).await
        };
        let Ok(PayeeInfo { channel, binding, .. }) = of_signer else { return (Listed::default(), of_owner) };
        let is_ours = channel == self.def(channel.challenge_period, channel.salt) && channel.salt >= self.first_salt;
        let listed = if is_ours { Listed { def: Some(channel), binding } } else { Listed::default() };
        (listed, of_owner)
    }

    /// The newest backup; `None` if the hub is asked for what it holds instead.
    async fn find_backup(&self, id: ChannelId) -> Result<Option<(Backup, Restored)>> {
        let settings = self.settings;
        let found = match backup::find(settings, self.key, &self.home.chain.domain, id).await {
            // What the hub shows will do; but a place of the owner's may have more, and would be written over. So
            // would a backup that a newer build can read.
            Err(failure)
                if settings.adopt
                    && settings.backup.is_none()
                    && !matches!(failure.code(), Code::NotConnected | Code::StorageVersion) =>
            {
                None
            }
            found => found?,
        };
        if found.is_none() && !settings.adopt {
            let detail = format!(
                "The chain knows channel {id} of this account with money in it; this store does not, and there is no \
                 backup of it. With adopt: true the hub is asked for what it holds."
            );
            return Err(Failure::new(Code::StateOutdated, detail));
        }
        Ok(found)
    }

    /// The owner's signature for the signer, where they differ: the one that the hub has, if it is one.
    async fn binding(&self, given: Option<Bytes>, id: ChannelId, open: bool) -> Result<Option<Bytes>> {
        let (owner, signer, domain) = (self.owner(), self.key.address(), &self.home.chain.domain);
        if owner == signer {
            return Ok(None);
        }
        let digest = domain.digest(&abi::Binding { owner, signer, channelId: id.0 });
        if let Some(given) = given
            && (is_keys(owner, digest, &given) || self.home.chain.signed(owner, digest, given.clone()).await?)
        {
            return Ok(Some(given));
        }
        // In a channel of this key that is in use, or before this one, it was made again already.
        if !open && !self.is_proven {
            self.settings.owner.check_repeats(self.session, self.key).await?;
        }
        let signed = self.settings.owner.sign(&typed_data::binding(domain, owner, signer, id)).await?;
        self.home.chain.owners(owner, digest, signed).await.map(Some)
    }

    /// Of what the hub says of this account, another channel that has money in it, by the chain's word. Another site made
    /// it, or the wallet signed differently then; what leads to it is the hub's word, so there may be more.
    async fn find_elsewhere(&self, found: Result<PayeeInfo>, ours: &ChannelDef) -> Result<Option<ChannelDef>> {
        let def = match found {
            Ok(found) => found.channel,
            Err(failure) if failure.code() == Code::UnknownPayee => return Ok(None),
            Err(failure) => return Err(failure),
        };
        let other = def.a.owner == ours.a.owner && def.b == ours.b && def.a.signer != ours.a.signer;
        Ok(if other && holds_money(&self.home.chain, &self.home.terms, &def).await? { Some(def) } else { None })
    }
}
