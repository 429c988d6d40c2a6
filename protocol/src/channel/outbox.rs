//! What a channel says: messages and calls for its driver, events for its owner. What must be said once is
//! said once.

use super::call_id::{CallId, Item};
use super::calls::Calls;
use super::{Effect, Event};
use crate::chain::{ChainCall, Purpose};
use crate::error::Error;
use crate::lane::LockRef;
use crate::map::Map;
use crate::message::Message;
use crate::reason::Matter;
use crate::types::ChannelId;
use alloc::string::ToString;
use alloc::vec::Vec;
use alloy_primitives::Bytes;

/// What waits to be told.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    effects: Vec<Effect>,
    events: Vec<Event>,
    /// The most units of each lock of ours whose redemption was told, with what proves them: one entry for a lock, or
    /// whoever is paid unit by unit would fill our memory.
    told: Map<LockRef, u32>,
    calls: Calls,
}

impl Outbox {
    pub(crate) fn send(&mut self, message: Message) {
        self.effects.push(Effect::Send(message));
    }

    pub(crate) fn emit(&mut self, event: Event) {
        self.events.push(event);
    }

    pub(crate) fn decline(&mut self, what: Matter, error: &Error) {
        let code = error.code().into();
        self.send(Message::Declined { what, code, message: error.to_string() });
    }

    /// Tells that a lock of ours is going to be redeemed, whenever it is for more units. Of units alone it is told, too,
    /// and once more with what proves them.
    pub(crate) fn tell_revealed(&mut self, lock: LockRef, units: u32, evidence: Bytes) {
        if self.told.get(&lock).is_some_and(|told| *told >= units) {
            return;
        }
        if !evidence.is_empty() {
            self.told.insert(lock, units);
        }
        self.emit(Event::Revealed { lock, units, evidence });
    }

    /// The calls that are under way.
    pub(crate) const fn calls(&self) -> &Calls {
        &self.calls
    }

    pub(crate) const fn calls_mut(&mut self) -> &mut Calls {
        &mut self.calls
    }

    /// Asks for a call, once.
    pub(crate) fn ask(&mut self, id: CallId, call: ChainCall, purpose: Purpose) {
        if self.calls.add(&id, Vec::new()) {
            if matches!(purpose, Purpose::Serve { .. }) {
                self.calls.count_relayed();
            }
            self.effects.push(Effect::Submit { id, call, purpose });
        }
    }

    /// Asks for a call about some items of a kind, once, and gives its name.
    pub(crate) fn ask_about(
        &mut self,
        channel: ChannelId,
        items: Vec<Item>,
        call: ChainCall,
        purpose: Purpose,
    ) -> CallId {
        let id = CallId::of_items(channel, &items);
        if self.calls.add(&id, items) {
            self.effects.push(Effect::Submit { id: id.clone(), call, purpose });
        }
        id
    }

    pub(crate) fn take_events(&mut self) -> Vec<Event> {
        core::mem::take(&mut self.events)
    }

    pub(crate) fn take_effects(&mut self) -> Vec<Effect> {
        core::mem::take(&mut self.effects)
    }

    pub(crate) const fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    pub(crate) const fn has_effects(&self) -> bool {
        !self.effects.is_empty()
    }
}
