//! Which channels the hub has, and whom they belong to.

use super::{Entry, Hub};
use crate::api::PayeeInfo;
use crate::channel::Channel;
use crate::codec::stored;
use crate::error::{Code, Error};
use crate::journal::{Journal, Write, encode};
use crate::sign::{PublicKey, Signature};
use crate::types::{ChannelDef, ChannelId, Participant, Side};
use crate::wallet::binding_digest;
use alloc::format;
use alloy_primitives::{Address, Bytes};

/// Most bytes of a binding, which is kept for good and shown to every payer: contracts' signatures have no fixed form.
const MAX_BINDING: usize = 4_096;

/// What a client tells the hub of its channel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Registration {
    /// The channel; the hub is `B`.
    pub channel: ChannelDef,
    /// Of `A`'s signer; unknown while the channel is known from the chain alone.
    pub public_key: Option<PublicKey>,
    /// `A`'s owner's signature over `Binding`, if its signer is a session key.
    pub binding: Option<Bytes>,
}

stored!(struct Registration { channel, public_key, binding });

/// Marks that are stored beside a registration: the signer has proved its key.
pub(super) const PROVEN: u8 = 1;
/// The chain was read for the channel.
pub(super) const READ: u8 = 2;

impl Hub {
    /// Admits a channel with this hub's terms. Repeating it adds what was missing.
    pub fn register(&mut self, registration: Registration) -> Result<ChannelId, Error> {
        self.register_seen(registration, false)
    }

    /// The same; `seen` if a final block has said that the owner's contract takes the binding for its own (ERC-1271).
    pub fn register_seen(&mut self, registration: Registration, seen: bool) -> Result<ChannelId, Error> {
        self.check_sound()?;
        let def = registration.channel;
        def.check()?;
        if def.b != self.participant() {
            return Err(Error::new(Code::BadTerms, "side B of the channel is not this hub"));
        }
        let (min, max) = self.config.challenge_period;
        if !(min..=max).contains(&def.challenge_period) {
            return Err(Error::new(Code::BadTerms, format!("the challenge period must be {min} to {max} seconds")));
        }
        if let Some(public_key) = &registration.public_key
            && public_key.address()? != def.a.signer
        {
            return Err(Error::new(Code::BadTerms, "the public key is not the signer's"));
        }
        let domain = self.config.domain;
        let id = def.id(domain.chain_id(), domain.contract());
        let digest = binding_digest(&domain, &def);
        if let Some(binding) = &registration.binding {
            if binding.len() > MAX_BINDING {
                return Err(Error::new(Code::LimitExceeded, "the binding has too many bytes"));
            }
            // What was bound stays bound, whatever a contract says later: the signer is the channel's for life.
            let known =
                self.channels.get(&id).is_some_and(|entry| entry.registration.binding.as_ref() == Some(binding));
            if !known && !seen {
                Signature::from_slice(binding)?.verify(digest, def.a.owner)?;
            }
        }
        if let Some(entry) = self.channels.get_mut(&id) {
            let mut merged = entry.registration.clone();
            merged.public_key = merged.public_key.or(registration.public_key);
            // What the owner's key signed holds whatever becomes of the account's code; of a contract's word payers ask it
            // themselves, and it may have stopped taking the older one.
            let by_key = |known: &Bytes| {
                Signature::from_slice(known).is_ok_and(|signature| signature.verify(digest, def.a.owner).is_ok())
            };
            if registration.binding.is_some()
                && merged.binding != registration.binding
                && !merged.binding.as_ref().is_some_and(by_key)
            {
                merged.binding = registration.binding;
            }
            if merged != entry.registration {
                // Anybody may show a binding, and of a contract's there may be many forms: none but the first, and its signer,
                // makes a channel the one of its owner that is paid.
                let is_first = entry.registration.binding.is_none();
                entry.registration = merged;
                let write = entry.def_write(id);
                self.gate.write([write]);
                if is_first {
                    self.list(id);
                }
            }
            return Ok(id);
        }
        let channel = Channel::new(domain, def, Side::B, self.config.channel_policy())?;
        self.insert(channel, Journal::new(format!("c/{id}")), registration, 0);
        self.store_def(id);
        Ok(id)
    }

    /// All that the chain holds of these channels at a final block was told: it is never again as if nothing were
    /// known of them.
    pub fn mark_read(&mut self, ids: impl IntoIterator<Item = ChannelId>) {
        for id in ids {
            let Some(entry) = self.channels.get_mut(&id).filter(|entry| !entry.read) else { continue };
            entry.read = true;
            self.store_def(id);
        }
    }

    /// Whether the chain was read for a channel, at least once since it was registered. What has happened to it since
    /// then is told with the blocks in which it happened, also after a restart.
    #[must_use]
    pub fn was_read(&self, id: &ChannelId) -> bool {
        self.channels.get(id).is_some_and(|entry| entry.read)
    }

    fn store_def(&mut self, id: ChannelId) {
        self.gate.write(self.channels.get(&id).map(|entry| entry.def_write(id)));
    }

    /// Lists a channel under its signer's address once the signer has proved itself, and under its owner's
    /// if that is the same or has bound the signer. The newest listing of an address is the one that is paid.
    pub(crate) fn list(&mut self, id: ChannelId) {
        let Some(entry) = self.channels.get(&id) else {
            return;
        };
        let Participant { owner, signer } = entry.registration.channel.a;
        if entry.proven {
            let bound = owner == signer || entry.registration.binding.is_some();
            self.directory.insert(signer, id);
            if bound {
                self.directory.insert(owner, id);
            }
        }
    }

    /// The signer of a channel has proved its key.
    pub(crate) fn prove(&mut self, id: ChannelId) -> Result<(), Error> {
        let entry = self.channels.get_mut(&id).ok_or_else(|| Error::from(Code::UnknownChannel))?;
        if !entry.proven {
            entry.proven = true;
            self.store_def(id);
        }
        self.list(id);
        Ok(())
    }

    /// What a payer needs to pay an owner's or signer's address.
    pub fn lookup(&self, address: Address) -> Result<PayeeInfo, Error> {
        let entry = self
            .directory
            .get(&address)
            .and_then(|id| self.channels.get(id))
            .ok_or_else(|| Error::from(Code::UnknownPayee))?;
        let Registration { channel, public_key, binding } = entry.registration.clone();
        let public_key =
            public_key.ok_or_else(|| Error::new(Code::UnknownPayee, "the payee has not registered its key"))?;
        Ok(PayeeInfo { channel, public_key, binding, online: entry.online })
    }
}

impl Entry {
    fn def_write(&self, id: ChannelId) -> Write {
        let proven = if self.proven { PROVEN } else { 0 };
        let read = if self.read { READ } else { 0 };
        Write::Put { key: format!("c/{id}/def"), value: encode(&(&self.registration, proven | read)) }
    }
}
