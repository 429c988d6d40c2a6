//! The stages of a look, one after the other: what each asks or tells, and what comes of it.

use super::answers::{ask_exits, ask_shown, ask_states, ask_units, read_exits, read_shown, read_states, read_units};
use super::cursor::Cursor;
use super::events::News;
use super::question::{Answer, At, Block, Log, Question, Wanted, behind, changed, unknown};
use super::{BATCH, Note, Reading, Step, Told, out_of_turn};
use crate::chain::{ChainFact, Head};
use crate::condition::ConditionKey;
use crate::error::Error;
use crate::map::Set;
use crate::types::{Asset, ChannelId};
use alloc::vec::Vec;
use alloy_primitives::Bytes;

/// Blocks read again below the cursor after a reorg deeper than the confirmations.
const REORG_DEPTH: u64 = 256;

/// Assets of channels.
type Assets = Vec<(ChannelId, Asset)>;

/// The blocks of a look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Look {
    newest: Block,
    /// The final block at which is read.
    at: Block,
}

/// Channels that are read as a whole.
#[derive(Clone, Debug, Default)]
pub(super) struct Portion {
    channels: Vec<ChannelId>,
    exits: Vec<(ChannelId, Option<u64>)>,
    facts: Vec<Told>,
}

/// Where a look stands.
#[derive(Clone, Debug, Default)]
pub(super) enum Stage {
    /// None was begun.
    #[default]
    Idle,
    /// Asks for the newest block.
    Newest,
    /// Asks for the final block, and for the one at which was read before.
    Base(Block),
    /// Asks for the logs from this block on.
    Logs(Look, u64),
    /// Asks for the evidence of the blocks whose other logs were read, from this one on.
    Evidence(Look, u64),
    /// The logs were asked for by number. If the final block changed meanwhile, they may be another chain's.
    Check(Look),
    /// A channel that nobody registered is known from here on; its state is read in the same breath.
    Announce(Look),
    /// What is told of a block is noticed when that is reorganised, also if nobody looks then.
    Save(Look),
    /// Where much is to be read, exits are told first: they have to be answered in time.
    Exits(Look),
    /// Asks for all of some channels.
    Unread(Look),
    /// Asks what the exits of some channels were shown.
    Exiting(Look, Portion),
    /// Tells all of some channels.
    Portion(Look, Portion),
    /// Tells that this was all.
    CaughtUp(Look, Portion),
    /// Asks for the assets to which something happened, but for the last few.
    Touched(Look),
    /// Tells of these.
    Several(Look, Vec<Told>),
    /// Asks for what is left.
    Last(Look),
    /// Tells it, and the head. These channels' exits are gone.
    Head(Look, Vec<Told>, Vec<ChannelId>),
    /// Stores up to where all was told.
    Keep(Look, Vec<ConditionKey>),
    /// Asks what was recorded for keys.
    Keys(Look, Vec<ConditionKey>),
    /// Tells it; these keys are left.
    Recorded(Look, Vec<ChainFact>, Vec<ConditionKey>),
    /// All is known.
    End(Look),
}

impl Look {
    const fn head(&self) -> Head {
        Head {
            number: self.newest.number,
            timestamp: self.newest.timestamp,
            final_number: self.at.number,
            final_timestamp: self.at.timestamp,
        }
    }

    /// Calls at the final block.
    const fn finally(&self, calls: Vec<Bytes>) -> Question {
        Question::Calls { calls, at: At::Final(self.at) }
    }

    /// Calls at the newest block: a node that is behind would deny an exit that another one has shown.
    const fn newly(&self, calls: Vec<Bytes>) -> Question {
        Question::Calls { calls, at: At::Newest(self.newest) }
    }
}

impl Reading {
    /// The step of a stage, or the stage after it if there is nothing to do.
    #[allow(
        clippy::result_large_err,
        reason = "the next stage is no error, and goes no further than the caller's loop"
    )]
    pub(super) fn emit(&mut self, mut stage: Stage) -> Result<Step, Stage> {
        let step = match &mut stage {
            Stage::Idle => return Ok(Step::Rest),
            Stage::Newest => self.ask([Question::Newest]),
            Stage::Base(newest) => {
                let lowest = newest.number.saturating_sub(self.config.confirmations);
                let before = self.cursor.as_ref().map(|cursor| cursor.number).filter(|before| *before != lowest);
                self.ask([Some(lowest), before].into_iter().flatten().map(Question::Block))
            }
            Stage::Logs(look, from) if *from > look.newest.number => return Err(Stage::Check(*look)),
            Stage::Logs(look, from) => {
                let (from, to, final_number) = (*from, self.upto(look, *from), look.at.number);
                let logs = |wanted| Question::Logs { wanted, from, to, final_number };
                let each = self.known.iter().map(|channel| logs(Wanted::Channel(*channel)));
                let questions = if self.config.by_channel { each.collect() } else { [logs(Wanted::All)].to_vec() };
                if questions.is_empty() {
                    return Err(self.after_logs(*look, from));
                }
                self.ask(questions)
            }
            Stage::Evidence(look, from) => {
                let (from, final_number) = (*from, look.at.number);
                let to = self.upto(look, from).min(final_number);
                self.ask([Question::Logs { wanted: Wanted::Evidence(self.keys.clone()), from, to, final_number }])
            }
            Stage::Check(look) => self.ask([Question::Block(look.at.number)]),
            Stage::Announce(look) if self.pending.opened.is_empty() => return Err(Stage::Save(*look)),
            Stage::Announce(_) => Step::Announced(self.pending.opened.clone()),
            Stage::Save(look) => {
                self.pending.keep(&self.known, self.config.assets.as_deref());
                let tells = !(self.unread.is_empty() && self.pending.is_empty());
                self.unsaved().filter(|_| tells).map(Step::Store).ok_or(Stage::Exits(*look))?
            }
            Stage::Exits(look) => {
                let exits = self.new_exits();
                let is_long = !self.unread.is_empty() || self.pending.touched.len() > BATCH;
                if exits.is_empty() || !is_long {
                    return Err(Stage::Unread(*look));
                }
                self.doubt_exits();
                self.tell(look, exits)
            }
            Stage::Unread(look) if self.unread.is_empty() => return Err(Stage::Touched(*look)),
            Stage::Unread(look) => {
                let channels = self.some_unread();
                let (exits, states) = (ask_exits(&channels), ask_states(&self.all_of(&channels)));
                let states = Some(states).filter(|states| !states.is_empty());
                self.ask([Some(look.newly(exits)), states.map(|states| look.finally(states))].into_iter().flatten())
            }
            Stage::Exiting(look, portion) => {
                let calls = ask_shown(&self.exiting(portion));
                if calls.is_empty() {
                    return Err(Stage::Portion(*look, portion.clone()));
                }
                self.ask([look.finally(calls)])
            }
            Stage::Portion(look, portion) => self.tell(look, core::mem::take(&mut portion.facts)),
            Stage::CaughtUp(look, portion) => Step::CaughtUp { channels: portion.channels.clone(), at: look.at },
            Stage::Touched(look) if self.pending.touched.len() <= BATCH => return Err(Stage::Last(*look)),
            Stage::Touched(look) => self.ask([look.finally(ask_states(&self.some_touched()))]),
            Stage::Several(look, facts) => self.tell(look, core::mem::take(facts)),
            Stage::Last(look) => {
                let (touched, shown, doubtful) = self.left(look);
                let calls = [
                    look.finally(ask_states(&touched)),
                    look.finally(ask_shown(&shown)),
                    look.newly(ask_exits(&doubtful)),
                    look.finally(ask_exits(&doubtful)),
                    look.finally(ask_units(&self.missed)),
                ];
                let asks = |question: &Question| matches!(question, Question::Calls { calls, .. } if !calls.is_empty());
                let mut calls = calls.into_iter().filter(asks).peekable();
                if calls.peek().is_none() {
                    return Err(self.untold(*look, Vec::new(), Vec::new()));
                }
                self.ask(calls)
            }
            Stage::Head(look, facts, _) => {
                self.highest = self.highest.max(look.newest.number);
                self.doubt_exits();
                Step::Head { facts: core::mem::take(facts), head: look.head() }
            }
            Stage::Keep(look, keys) => {
                self.unsaved().map(Step::Store).ok_or_else(|| Stage::Keys(*look, keys.clone()))?
            }
            Stage::Keys(look, keys) if keys.is_empty() => return Err(Stage::End(*look)),
            Stage::Keys(look, keys) => self.ask([look.finally(ask_units(keys.get(..BATCH).unwrap_or(keys)))]),
            Stage::Recorded(_, facts, _) => Step::Recorded(core::mem::take(facts)),
            Stage::End(look) => {
                self.last = Some(*look);
                return Ok(Step::Done(look.head()));
            }
        };
        self.stage = stage;
        Ok(step)
    }

    /// The stage after the one whose questions were answered.
    pub(super) fn take(&mut self, stage: Stage, answers: Vec<Answer>) -> Result<Stage, Error> {
        let mut answers = answers.into_iter();
        let mut next = || answers.next().ok_or_else(out_of_turn);
        match stage {
            Stage::Newest => self.began(block(next()?)?.ok_or_else(behind)?),
            Stage::Base(newest) => {
                let lowest = newest.number.saturating_sub(self.config.confirmations);
                let at = block(next()?)?.ok_or_else(|| unknown(lowest))?;
                let before = match &self.cursor {
                    Some(cursor) if cursor.number != lowest => block(next()?)?,
                    _ => Some(at),
                };
                self.based(newest, at, before)
            }
            Stage::Logs(look, from) => {
                for answer in answers {
                    self.take_logs(&look, answer)?;
                }
                let seeks = self.config.by_channel && !self.keys.is_empty() && from <= look.at.number;
                Ok(if seeks { Stage::Evidence(look, from) } else { self.after_logs(look, from) })
            }
            Stage::Evidence(look, from) => {
                self.take_logs(&look, next()?)?;
                Ok(self.after_logs(look, from))
            }
            Stage::Check(look) => {
                let is_there = block(next()?)?.is_some_and(|block| block.hash == look.at.hash);
                if is_there { Ok(Stage::Announce(look)) } else { Err(changed()) }
            }
            Stage::Unread(look) => {
                let channels = self.some_unread();
                let exits = read_exits(&channels, &calls(next()?)?)?;
                let all = self.all_of(&channels);
                let facts = if all.is_empty() { Vec::new() } else { read_states(&all, &calls(next()?)?)? };
                let mut portion = Portion { channels, exits, facts };
                let none = self.exiting(&portion).is_empty();
                if none {
                    portion.close(self.is_lower(&look));
                }
                Ok(if none { Stage::Portion(look, portion) } else { Stage::Exiting(look, portion) })
            }
            Stage::Exiting(look, mut portion) => {
                portion.facts.extend(read_shown(&self.exiting(&portion), &calls(next()?)?)?);
                portion.close(self.is_lower(&look));
                Ok(Stage::Portion(look, portion))
            }
            Stage::Touched(look) => Ok(Stage::Several(look, read_states(&self.some_touched(), &calls(next()?)?)?)),
            Stage::Last(look) => {
                let (touched, shown, doubtful) = self.left(&look);
                let mut facts = Vec::new();
                if !touched.is_empty() {
                    facts.extend(read_states(&touched, &calls(next()?)?)?);
                }
                if !shown.is_empty() {
                    facts.extend(read_shown(&shown, &calls(next()?)?)?);
                }
                let mut undone = Vec::new();
                if !doubtful.is_empty() {
                    let now = read_exits(&doubtful, &calls(next()?)?)?;
                    let then = read_exits(&doubtful, &calls(next()?)?)?;
                    for ((channel, ends_at), (_, finally)) in now.into_iter().zip(then) {
                        if ends_at.is_none() {
                            undone.push(channel);
                        } else if finally == ends_at {
                            // What the newest block has may still be taken back, though its log is not shown yet.
                            self.young.remove(&channel);
                        }
                    }
                }
                if !self.missed.is_empty() {
                    facts.extend(read_units(&self.missed, &calls(next()?)?)?.into_iter().map(|fact| (None, fact)));
                }
                Ok(self.untold(look, facts, undone))
            }
            Stage::Keys(look, keys) => {
                let (now, later) = keys.split_at(keys.len().min(BATCH));
                Ok(Stage::Recorded(look, read_units(now, &calls(next()?)?)?, later.to_vec()))
            }
            _ => Err(out_of_turn()),
        }
    }

    /// The stage after one that told something.
    pub(super) fn after_told(&mut self, stage: Stage) -> Option<Stage> {
        Some(match stage {
            Stage::Exits(look) => Stage::Unread(look),
            Stage::Portion(look, portion) => Stage::CaughtUp(look, portion),
            Stage::CaughtUp(look, portion) => {
                // An exit was read at the newest block: the next look asks whether it is still there, or gone after all.
                let is_lower = self.is_lower(&look);
                for (channel, ends_at) in portion.exits {
                    self.unread.remove(&channel);
                    let _ = if ends_at.is_some() || is_lower {
                        self.young.insert(channel)
                    } else {
                        self.young.remove(&channel)
                    };
                }
                Stage::Unread(look)
            }
            Stage::Several(look, _) => {
                for told in self.some_touched() {
                    self.pending.touched.remove(&told);
                }
                Stage::Touched(look)
            }
            Stage::Recorded(look, _, later) => Stage::Keys(look, later),
            _ => return None,
        })
    }

    /// All up to the final block is durable.
    pub(super) fn after_heard(&mut self, look: Look, undone: &[ChannelId], keys: Vec<ConditionKey>) -> Stage {
        self.missed.clear();
        let told = core::mem::take(&mut self.pending);
        if let Some(cursor) = &mut self.cursor {
            cursor.next = self.unread_logs;
            cursor.whole = false;
        }
        self.young.retain(|channel| !undone.contains(channel));
        self.young.extend(told.exits.iter().chain(&told.young).map(|(channel, _)| *channel));
        // Not kept for longer: an exit that a reorg undid may be mined again, and end at the same second.
        self.exits = told.exits.into_iter().chain(told.young).collect();
        Stage::Keep(look, keys)
    }

    fn began(&mut self, newest: Block) -> Result<Stage, Error> {
        if let Some(look) = self.last.filter(|look| look.newest == newest && self.unread.is_empty()) {
            return Ok(Stage::End(look));
        }
        self.last = None;
        Ok(Stage::Base(newest))
    }

    /// Whether a chain that is shorter than it was has been so for too long to be waited for.
    fn is_reset(&mut self, is_shorter: bool) -> bool {
        if !is_shorter {
            self.shorter_since = None;
            return false;
        }
        let since = *self.shorter_since.get_or_insert(self.now);
        self.config.resets_after.is_some_and(|patience| self.now.saturating_sub(since) >= patience)
    }

    /// Whether the newest block is lower than one that was told of. Nothing is unlearned then: an exit that this block
    /// does not have may be in one that the node does not know.
    fn is_lower(&self, look: &Look) -> bool {
        look.newest.number < self.highest
    }

    /// The block to read at: the final one, unless more was read before. After a reorg below that, every channel is
    /// read anew. `before` is what stands now where was read last.
    fn based(&mut self, newest: Block, lowest: Block, before: Option<Block>) -> Result<Stage, Error> {
        let is_reset = self.is_reset(before.is_none() || newest.number < self.highest);
        let is_first = self.cursor.is_none();
        if is_first {
            let cursor = Cursor::fresh(lowest, self.config.assets.clone());
            self.unread_logs = cursor.next;
            self.cursor = Some(cursor);
        }
        let Some(cursor) = &mut self.cursor else { return Err(out_of_turn()) };
        if is_reset {
            self.highest = newest.number;
        } else if before.is_none() {
            // One that does not know the block says nothing of it: it is behind, as a node of several behind one URL may be.
            return Err(behind());
        }
        let at = match before.filter(|block| block.hash == cursor.hash) {
            Some(block) => {
                // Blocks of one second may be several.
                let begun = core::mem::take(&mut self.begun).into_iter();
                self.young.extend(begun.filter(|(_, began)| *began >= block.timestamp).map(|(channel, _)| channel));
                // A node that is a little behind, or more confirmations than before: what was told stays.
                if block.number > lowest.number { block } else { lowest }
            }
            None => {
                self.notes.push(Note::Reorganised(cursor.number));
                self.unread = self.known.clone();
                self.begun.clear();
                self.pending = Default::default();
                cursor.whole = true;
                cursor.next = cursor.next.min(lowest.number).saturating_sub(REORG_DEPTH);
                self.unread_logs = cursor.next;
                lowest
            }
        };
        if at.number > newest.number {
            return Err(behind());
        }
        cursor.number = at.number;
        cursor.hash = at.hash;
        self.pending.young.clear();
        if is_first && self.config.by_channel && self.config.assets.is_some() {
            // All that is listed is read as a whole, at this block and at the newest: the logs begin after it.
            cursor.next = at.number.saturating_add(1);
            self.unread_logs = cursor.next;
            return Ok(Stage::Announce(Look { newest, at }));
        }
        Ok(Stage::Logs(Look { newest, at }, self.unread_logs))
    }

    /// The last block of the range that begins here.
    fn upto(&self, look: &Look, from: u64) -> u64 {
        from.saturating_add(self.config.log_range.saturating_sub(1)).min(look.newest.number)
    }

    fn take_logs(&mut self, look: &Look, answer: Answer) -> Result<(), Error> {
        let Answer::Logs(logs) = answer else { return Err(out_of_turn()) };
        let other = |log: &Log| log.block == look.at.number && log.block_hash.is_some_and(|of| of != look.at.hash);
        if logs.iter().any(other) {
            return Err(changed());
        }
        let unreadable = self.pending.read(&logs, look.at.number);
        self.notes.extend(unreadable.into_iter().map(Note::Unreadable));
        Ok(())
    }

    /// All logs of the range that begins here were read.
    pub(super) fn after_logs(&mut self, look: Look, from: u64) -> Stage {
        let from = self.upto(&look, from).saturating_add(1);
        self.unread_logs = from.min(look.at.number.saturating_add(1));
        Stage::Logs(look, from)
    }

    fn ask(&mut self, questions: impl IntoIterator<Item = Question>) -> Step {
        self.asked = questions.into_iter().collect();
        Step::Ask(self.asked.clone())
    }

    fn tell(&mut self, look: &Look, facts: Vec<Told>) -> Step {
        self.highest = self.highest.max(look.newest.number);
        Step::Tell { facts, newest: look.newest.number }
    }

    /// What is left to be told, and with it the head.
    fn untold(&self, look: Look, states: Vec<Told>, undone: Vec<ChannelId>) -> Stage {
        let mut facts = states;
        facts.extend(self.pending.claimed.iter().map(|(channel, fact)| (Some(*channel), fact.clone())));
        facts.extend(undone.iter().map(|channel| (Some(*channel), ChainFact::ExitGone)));
        facts.extend(self.new_exits());
        facts.extend(self.pending.evidence.iter().cloned());
        Stage::Head(look, facts, undone)
    }

    /// What is left to be asked: assets, what exits were shown, and exits of which the logs tell no more. Logs of blocks
    /// that are not final are read at every look.
    fn left(&self, look: &Look) -> (Assets, Assets, Vec<ChannelId>) {
        let News { touched, shown, exits, young, .. } = &self.pending;
        let there: Set<_> = exits.iter().chain(young).map(|exit| exit.0).collect();
        let doubtful = self.young.iter().filter(|channel| !there.contains(channel) && !self.is_lower(look));
        let doubtful = doubtful.copied().collect();
        (touched.iter().copied().collect(), shown.iter().copied().collect(), doubtful)
    }

    /// Exits that the last look did not tell of, up to the newest block.
    fn new_exits(&self) -> Vec<Told> {
        let all = self.pending.exits.iter().chain(&self.pending.young);
        let new = all.filter(|exit| !self.exits.contains(exit));
        new.map(|(channel, ends_at)| (Some(*channel), ChainFact::ExitStarted { ends_at: *ends_at })).collect()
    }

    /// Of exits that are being told it is asked whether they are still there, also when this look does not come to its
    /// end.
    fn doubt_exits(&mut self) {
        let told = self.pending.exits.iter().chain(&self.pending.young);
        self.young.extend(told.map(|(channel, _)| *channel));
    }

    fn unsaved(&self) -> Option<Cursor> {
        self.cursor.clone().filter(|cursor| self.stored.as_ref() != Some(cursor))
    }

    fn some_unread(&self) -> Vec<ChannelId> {
        let assets = self.config.assets.as_ref().map_or(0, Vec::len);
        let most = BATCH.checked_div(assets).unwrap_or(BATCH).max(1);
        self.unread.iter().take(most).copied().collect()
    }

    fn some_touched(&self) -> Vec<(ChannelId, Asset)> {
        self.pending.touched.iter().take(BATCH).copied().collect()
    }

    /// All assets that are read of channels.
    fn all_of(&self, channels: &[ChannelId]) -> Vec<(ChannelId, Asset)> {
        let assets = || self.config.assets.iter().flatten().copied();
        channels.iter().flat_map(|channel| assets().map(|asset| (*channel, asset))).collect()
    }

    /// All assets of those that have an exit.
    fn exiting(&self, portion: &Portion) -> Vec<(ChannelId, Asset)> {
        let exiting = portion.exits.iter().filter(|(_, ends_at)| ends_at.is_some());
        self.all_of(&exiting.map(|(channel, _)| *channel).collect::<Vec<_>>())
    }
}

impl Portion {
    /// The exits come last; also what a reorg took back of them is told, unless the block is too low to say so.
    fn close(&mut self, is_lower: bool) {
        for (channel, ends_at) in &self.exits {
            match ends_at {
                Some(ends_at) => self.facts.push((Some(*channel), ChainFact::ExitStarted { ends_at: *ends_at })),
                None if is_lower => {}
                None => self.facts.push((Some(*channel), ChainFact::ExitGone)),
            }
        }
    }
}

fn block(answer: Answer) -> Result<Option<Block>, Error> {
    if let Answer::Block(block) = answer { Ok(block) } else { Err(out_of_turn()) }
}

fn calls(answer: Answer) -> Result<Vec<Bytes>, Error> {
    if let Answer::Calls(answers) = answer { Ok(answers) } else { Err(out_of_turn()) }
}
