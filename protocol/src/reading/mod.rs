//! Reading the chain: what has to be asked, when an answer counts, and in which order it is told.
//!
//! A look is a conversation with whoever drives it: [`Reading::step`] says what to do next, and the driver says what
//! came of it. Nothing here asks, stores, waits or reads a clock. The duties:
//!
//! - A question that failed is not an answer: without all answers of a step the look is over, and the next one asks
//!   again. What a step told stands, since it was told only when all of it was read.
//! - Facts come before the head: locks are released when their expiry is final, so whoever hears of a final block has
//!   heard every fact up to it.
//! - Facts are read at that very block, and the block is looked at again after its logs were read.
//! - The place up to which the chain was read moves on only after the listener has made the facts durable, and the
//!   block at which they are read is stored before they are told. Facts are absolute, so reading twice is harmless.
//! - For a head that goes back nothing is unlearned: a node may be behind. One that does not even know the block at which
//!   was read is waited for. What was final and is not there any more is a reorganisation, after which every channel is
//!   read anew.
//!
//! A start costs by what happened since the last one: only channels that were never read, and all of them after a
//! reorganisation below what was final, are read as a whole. `docs/adr/0010-one-machine-reads-the-chain.md` says why.

mod agree;
pub mod answers;
mod cursor;
mod events;
mod look;
mod node;
mod question;
#[cfg(test)]
mod tests;
mod words;

pub use agree::{Disagreement, agree};
pub use cursor::Cursor;
pub use events::evidence_in;
pub use node::{Asking, Failure, Manner, Request, Tag};
pub use question::{Answer, At, Block, Log, Question, Wanted};

use crate::chain::{ChainFact, Head};
use crate::condition::ConditionKey;
use crate::error::{Code, Error};
use crate::map::Set;
use crate::types::{Asset, ChannelDef, ChannelId};
use alloc::vec::Vec;
use alloy_primitives::Address;
use events::News;
use look::{Look, Stage};

/// Most questions of one kind in one step.
pub const BATCH: usize = 100;

/// A fact, and the channel that it is about; evidence is about all.
pub type Told = (Option<ChannelId>, ChainFact);

/// What is read, and how.
#[derive(Clone, Debug)]
pub struct ReadingConfig {
    /// Whose logs are read.
    pub contract: Address,
    /// Assets whose state is read; without a list all, but only when something happened to them.
    pub assets: Option<Vec<Asset>>,
    /// Blocks on top of one before it is final.
    pub confirmations: u64,
    /// Most blocks in one question for logs.
    pub log_range: u64,
    /// Seconds after which a chain that is shorter than it was is taken for one that was reset. Only development nodes
    /// do that; elsewhere it is waited for.
    pub resets_after: Option<u64>,
    /// For who cares about few channels: logs are asked for of each of them by itself, and evidence by the keys that
    /// [`Reading::seek`] names.
    pub by_channel: bool,
}

/// What is to be done next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// Ask all of these, and give all answers to [`Reading::answered`].
    Ask(Vec<Question>),
    /// These channels were announced; [`Reading::announced`] takes those that are to be watched from now on.
    Announced(Vec<ChannelDef>),
    /// Make this durable, then call [`Reading::stored`].
    Store(Cursor),
    /// A part of what was read, while there is more to come before the next head. When it is durable,
    /// [`Reading::told`].
    Tell {
        /// The facts.
        facts: Vec<Told>,
        /// The newest block when they were read.
        newest: u64,
    },
    /// All there is to know of these channels has been told: they need not be read as a whole again, also after a
    /// restart. When that is durable, [`Reading::told`].
    CaughtUp {
        /// Which.
        channels: Vec<ChannelId>,
        /// As of which final block.
        at: Block,
    },
    /// The last facts up to a final block, and the head that they lead to. When they are durable, [`Reading::heard`].
    Head {
        /// The facts, which come first.
        facts: Vec<Told>,
        /// The head.
        head: Head,
    },
    /// What was recorded for keys at the final block of the last head, zero included. When it is durable,
    /// [`Reading::told`].
    Recorded(Vec<ChainFact>),
    /// The look is over, and all up to this head is known.
    Done(Head),
    /// No look was begun, or the last one is over.
    Rest,
}

/// What whoever was told says to a head.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Heard {
    /// Keys whose recorded units have to be read at the final block.
    pub unread: Vec<ConditionKey>,
    /// Channels that need not be watched any more.
    pub gone: Vec<ChannelId>,
}

/// What is worth a line in a log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Note {
    /// A log of the contract in this block can't be read, and was skipped.
    Unreadable(u64),
    /// The chain was reorganised below this block, which was final; every channel is read again.
    Reorganised(u64),
}

/// Reads the chain for one participant.
#[derive(Debug)]
pub struct Reading {
    config: ReadingConfig,
    known: Set<ChannelId>,
    /// Channels whose whole state has to be read.
    unread: Set<ChannelId>,
    /// Exits that the listener knows from before the start, and when they began.
    begun: Vec<(ChannelId, u64)>,
    /// Exits at the last look above what was final then: the listener was told of them.
    exits: Vec<(ChannelId, u64)>,
    /// Channels whose exit was not final at the last look; a reorg may take it back.
    young: Set<ChannelId>,
    /// Keys whose evidence is sought in the logs.
    keys: Vec<ConditionKey>,
    /// Keys whose evidence the logs did not tell: the contract is asked for the units.
    missed: Vec<ConditionKey>,
    /// What the logs said that is not told yet.
    pending: News,
    /// The first final block whose logs were not read.
    unread_logs: u64,
    cursor: Option<Cursor>,
    /// The cursor as it is stored.
    stored: Option<Cursor>,
    /// The last look, if it came to its end.
    last: Option<Look>,
    /// The highest block that anything was told of.
    highest: u64,
    /// Since when the chain is shorter than what was told of it.
    shorter_since: Option<u64>,
    now: u64,
    stage: Stage,
    /// What this step asked.
    asked: Vec<Question>,
    /// Whether the outcome of a step is awaited.
    awaited: bool,
    notes: Vec<Note>,
}

impl Reading {
    /// For the channels that are known at the start, from where the chain was read to before.
    #[must_use]
    pub fn new(config: ReadingConfig, known: impl IntoIterator<Item = ChannelId>, stored: Option<Cursor>) -> Self {
        let known: Set<_> = known.into_iter().collect();
        Self {
            config,
            unread: known.clone(),
            known,
            begun: Vec::new(),
            exits: Vec::new(),
            young: Set::new(),
            keys: Vec::new(),
            missed: Vec::new(),
            pending: News::default(),
            unread_logs: stored.as_ref().map_or(0, |cursor| cursor.next),
            cursor: stored,
            stored: None,
            last: None,
            highest: 0,
            shorter_since: None,
            now: 0,
            stage: Stage::Idle,
            asked: Vec::new(),
            awaited: false,
            notes: Vec::new(),
        }
    }

    /// For a listener that remembers what it was told: at the start only these channels have to be read, unless the
    /// cursor says otherwise.
    #[must_use]
    pub fn with_unread(mut self, unread: impl IntoIterator<Item = ChannelId>) -> Self {
        if self.cursor.as_ref().is_some_and(|cursor| !cursor.whole) {
            self.unread = unread.into_iter().collect();
        }
        self
    }

    /// For a listener that remembers exits: by when they began it is told which of them may have been taken back.
    #[must_use]
    pub fn with_exits(mut self, begun: impl IntoIterator<Item = (ChannelId, u64)>) -> Self {
        self.begun = begun.into_iter().collect();
        self
    }

    /// Watches one more channel, and has all of it read.
    pub fn add(&mut self, channel: ChannelId) {
        self.known.insert(channel);
        self.unread.insert(channel);
    }

    /// Reads these assets from now on. One that was not read before makes every channel one that has to be read.
    pub fn list(&mut self, assets: Vec<Asset>) {
        let covered = |before: &Vec<Asset>| assets.iter().all(|asset| before.contains(asset));
        if !self.config.assets.as_ref().is_none_or(covered) {
            self.unread = self.known.clone();
        }
        self.config.assets = Some(assets);
    }

    /// Seeks the evidence of these keys in the logs that are read from now on, where it is asked for by key. What was
    /// recorded for a key before it was named here is for [`Heard::unread`].
    pub fn seek(&mut self, keys: Vec<ConditionKey>) {
        self.keys = keys;
    }

    /// So many confirmations are waited for from now on.
    pub const fn confirm(&mut self, confirmations: u64) {
        self.config.confirmations = confirmations;
    }

    /// Begins a look. `now` are seconds of a clock that only goes forward. Whatever an earlier look was in the middle
    /// of is read again.
    pub fn look(&mut self, now: u64) {
        self.now = now;
        self.awaited = false;
        self.stage = Stage::Newest;
    }

    /// What to do next. A step whose outcome was not told before the next one is asked for has failed, and so has the
    /// look.
    pub fn step(&mut self) -> Step {
        let mut stage = core::mem::take(&mut self.stage);
        if core::mem::take(&mut self.awaited) {
            stage = Stage::Idle;
        }
        loop {
            match self.emit(stage) {
                Ok(step) => {
                    self.awaited = !matches!(step, Step::Done(_) | Step::Rest);
                    return step;
                }
                Err(next) => stage = next,
            }
        }
    }

    /// The answers to all questions of a step, in their order. An error ends the look.
    pub fn answered(&mut self, answers: Vec<Answer>) -> Result<(), Error> {
        let (stage, asked) = (self.awaited()?, core::mem::take(&mut self.asked));
        if asked.is_empty() || asked.len() != answers.len() {
            return Err(out_of_turn());
        }
        for (question, answer) in asked.iter().zip(&answers) {
            question.check(answer, self.config.contract)?;
        }
        self.stage = self.take(stage, answers)?;
        Ok(())
    }

    /// The logs that this step asked for, of evidence by key, could not be had: nodes may refuse that question alone. What
    /// was recorded is asked of the contract instead, before the head, and without what proved it.
    pub fn missed(&mut self) -> Result<(), Error> {
        let Stage::Evidence(look, from) = self.awaited()? else { return Err(out_of_turn()) };
        for key in &self.keys {
            if !self.missed.contains(key) {
                self.missed.push(*key);
            }
        }
        self.stage = self.after_logs(look, from);
        Ok(())
    }

    /// Whether this step asks for what need not be had: see [`Reading::missed`].
    #[must_use]
    pub const fn may_miss(&self) -> bool {
        matches!(self.stage, Stage::Evidence(..))
    }

    /// Of the channels that were announced, those that are to be watched.
    pub fn announced(&mut self, channels: impl IntoIterator<Item = ChannelId>) -> Result<(), Error> {
        let Stage::Announce(look) = self.awaited()? else { return Err(out_of_turn()) };
        self.pending.opened.clear();
        for channel in channels {
            self.add(channel);
        }
        self.stage = Stage::Save(look);
        Ok(())
    }

    /// The cursor is durable.
    pub fn stored(&mut self) -> Result<(), Error> {
        self.stage = match self.awaited()? {
            Stage::Save(look) => Stage::Exits(look),
            Stage::Keep(look, keys) => Stage::Keys(look, keys),
            _ => return Err(out_of_turn()),
        };
        self.stored = self.cursor.clone();
        Ok(())
    }

    /// What was told is durable. `gone` need not be watched any more.
    pub fn told(&mut self, gone: Vec<ChannelId>) -> Result<(), Error> {
        let stage = self.awaited()?;
        self.forget(gone);
        self.stage = self.after_told(stage).ok_or_else(out_of_turn)?;
        Ok(())
    }

    /// The head and the facts before it are durable.
    pub fn heard(&mut self, heard: Heard) -> Result<(), Error> {
        let Stage::Head(look, _, undone) = self.awaited()? else { return Err(out_of_turn()) };
        self.forget(heard.gone);
        self.stage = self.after_heard(look, &undone, heard.unread);
        Ok(())
    }

    /// What happened since this was asked last.
    pub fn notes(&mut self) -> Vec<Note> {
        core::mem::take(&mut self.notes)
    }

    /// How far the chain was read.
    #[must_use]
    pub const fn cursor(&self) -> Option<&Cursor> {
        self.cursor.as_ref()
    }

    /// The stage whose outcome is being told.
    fn awaited(&mut self) -> Result<Stage, Error> {
        let stage = core::mem::take(&mut self.stage);
        if core::mem::take(&mut self.awaited) { Ok(stage) } else { Err(out_of_turn()) }
    }

    fn forget(&mut self, gone: Vec<ChannelId>) {
        for channel in gone {
            self.known.remove(&channel);
        }
    }
}

/// The driver told of what was not to be done.
fn out_of_turn() -> Error {
    Error::new(Code::Internal, "the reading of the chain was told of a step that it did not ask for")
}
