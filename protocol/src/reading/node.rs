//! How one node is asked, as it is: nodes limit the blocks of a question for logs, or what they find in them; some take
//! no block's hash in a call (EIP-1898), some answer nothing at all for a contract that is there.

use super::question::{Answer, At, Block, Log, Question, Wanted, changed, unavailable};
use crate::error::Error;
use alloc::vec::Vec;
use alloy_primitives::{B256, Bytes};

/// Answered questions for logs after which twice as many blocks are tried again.
const GROWS_AFTER: u32 = 64;

/// How a block is named to a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tag {
    /// This very block: the question fails once it is no longer part of the chain.
    Hash(B256),
    /// Whatever block is at this height.
    Number(u64),
}

/// One request to one node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Request {
    /// The newest block.
    Newest,
    /// The block at a height.
    Block(u64),
    /// The contract's logs in these blocks, both ends included.
    Logs {
        /// Which of them.
        wanted: Wanted,
        /// The first.
        from: u64,
        /// The last.
        to: u64,
    },
    /// What the contract returns.
    Calls {
        /// Calldata.
        calls: Vec<Bytes>,
        /// At the end of which block.
        tag: Tag,
    },
    /// Whether the contract is there.
    Code {
        /// At the end of which block.
        tag: Tag,
    },
}

/// What a failed request says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// Nothing: the node was not reached, or answers nobody just now.
    Lost,
    /// The node does not have a block that it was asked about.
    Behind,
    /// The node does not take the question as it is.
    Refused,
}

/// What a node takes, as far as it has shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Manner {
    /// It takes no block's hash in a call.
    pub lacks_hashes: bool,
    /// Blocks in one question for logs.
    range: u64,
    /// Questions for logs that were answered since that was last changed.
    answered: u32,
}

impl Default for Manner {
    fn default() -> Self {
        Self { lacks_hashes: false, range: u64::MAX, answered: 0 }
    }
}

impl Manner {
    fn to(&self, from: u64, to: u64) -> u64 {
        to.min(from.saturating_add(self.range.saturating_sub(1)))
    }

    fn took(&mut self) {
        self.answered = self.answered.saturating_add(1);
        // What was refused once may have been refused for the node's load.
        if self.answered >= GROWS_AFTER {
            self.answered = 0;
            self.range = self.range.saturating_mul(2);
        }
    }

    fn refused(&mut self, blocks: u64) {
        self.answered = 0;
        self.range = blocks.div_euclid(2).max(1);
    }
}

/// One question to one node: it asks as the node takes it, until there is an answer or an end.
#[derive(Clone, Debug)]
pub struct Asking {
    question: Question,
    /// For logs: the first block that is not read.
    from: u64,
    /// For logs: what was found.
    found: Vec<Log>,
    /// For calls: how they are asked.
    pinned: Pinned,
}

/// How calls at one block are asked: by its hash, or by its number with a look at the hash before and after.
#[derive(Clone, Debug)]
struct Pinned {
    by_hash: bool,
    /// Why the hash was not taken, while the node is tried by one call.
    probe: Option<Error>,
    turn: Turn,
    answers: Vec<Bytes>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Turn {
    Before,
    Calls,
    Code,
    After,
}

impl Asking {
    /// Asks this of a node.
    #[must_use]
    pub fn new(question: Question, manner: &Manner) -> Self {
        let from = if let Question::Logs { from, .. } = &question { *from } else { 0 };
        let by_hash = !manner.lacks_hashes;
        let turn = if by_hash { Turn::Calls } else { Turn::Before };
        let pinned = Pinned { by_hash, probe: None, turn, answers: Vec::new() };
        Self { question, from, found: Vec::new(), pinned }
    }

    /// What to ask next.
    #[must_use]
    pub fn request(&self, manner: &Manner) -> Request {
        match &self.question {
            Question::Newest => Request::Newest,
            Question::Block(number) => Request::Block(*number),
            Question::Logs { wanted, to, .. } => {
                Request::Logs { wanted: wanted.clone(), from: self.from, to: manner.to(self.from, *to) }
            }
            Question::Calls { calls, at } => self.pinned.request(calls, at),
        }
    }

    /// What a node answered to the request: the answer to the question, or nothing yet.
    pub fn answered(&mut self, manner: &mut Manner, answer: Answer) -> Result<Option<Answer>, Error> {
        match (&self.question, answer) {
            (Question::Newest | Question::Block(_), answer @ Answer::Block(_)) => Ok(Some(answer)),
            (Question::Logs { to, .. }, Answer::Logs(logs)) => {
                let asked = manner.to(self.from, *to);
                manner.took();
                self.found.extend(logs);
                self.from = asked.saturating_add(1);
                if asked < *to {
                    return Ok(None);
                }
                self.found.sort_by_key(|log| (log.block, log.index));
                Ok(Some(Answer::Logs(core::mem::take(&mut self.found))))
            }
            (Question::Calls { at, .. }, answer) => self.pinned.answered(manner, at, answer),
            _ => Err(unavailable("the RPC answered another question")),
        }
    }

    /// The request failed. An error if it is of no use to ask in another way.
    pub fn failed(&mut self, manner: &mut Manner, failure: Failure, error: Error) -> Result<(), Error> {
        match &self.question {
            Question::Logs { to, .. } if failure == Failure::Refused => {
                let blocks = manner.to(self.from, *to).saturating_sub(self.from).saturating_add(1);
                if blocks <= 1 {
                    return Err(error);
                }
                manner.refused(blocks);
                Ok(())
            }
            Question::Calls { .. } => self.pinned.failed(failure, error),
            _ => Err(error),
        }
    }
}

impl Pinned {
    fn request(&self, calls: &[Bytes], at: &At) -> Request {
        let Block { number, hash, .. } = *at.block();
        let tag = if self.by_hash { Tag::Hash(hash) } else { Tag::Number(number) };
        match self.turn {
            Turn::Before | Turn::After => Request::Block(number),
            Turn::Code => Request::Code { tag },
            // One is enough to see whether the node takes numbers where it takes no hashes.
            Turn::Calls if self.probe.is_some() => {
                Request::Calls { calls: calls.iter().take(1).cloned().collect(), tag }
            }
            Turn::Calls => Request::Calls { calls: calls.to_vec(), tag },
        }
    }

    fn answered(&mut self, manner: &mut Manner, at: &At, answer: Answer) -> Result<Option<Answer>, Error> {
        match (self.turn, answer) {
            (Turn::Before | Turn::After, Answer::Block(now)) => {
                if now.is_none_or(|now| now.hash != at.block().hash) {
                    return Err(self.probe.take().unwrap_or_else(changed));
                }
                if self.turn == Turn::Before {
                    self.turn = Turn::Calls;
                    return Ok(None);
                }
                if self.probe.take().is_some() {
                    manner.lacks_hashes = true;
                    self.turn = Turn::Calls;
                    return Ok(None);
                }
                Ok(self.end())
            }
            (Turn::Calls, Answer::Calls(answers)) => {
                self.answers = answers;
                if self.answers.iter().any(|answer| answer.is_empty()) {
                    self.turn = Turn::Code;
                    return Ok(None);
                }
                self.turn = Turn::After;
                Ok(if self.by_hash { self.end() } else { None })
            }
            // Before the contract was there it could say nothing.
            (Turn::Code, Answer::Code(false)) => {
                self.turn = Turn::After;
                Ok(if self.by_hash { self.end() } else { None })
            }
            (Turn::Code, Answer::Code(true)) => {
                Err(unavailable("the RPC answered nothing for a contract that is there"))
            }
            _ => Err(unavailable("the RPC answered another question")),
        }
    }

    fn failed(&mut self, failure: Failure, error: Error) -> Result<(), Error> {
        if let Some(why) = self.probe.take() {
            return Err(why);
        }
        if !self.by_hash || self.turn != Turn::Calls || failure == Failure::Lost {
            return Err(error);
        }
        // It may be the block that it does not know, or the way in which it was named.
        (self.by_hash, self.probe, self.turn) = (false, Some(error), Turn::Before);
        Ok(())
    }

    fn end(&mut self) -> Option<Answer> {
        Some(Answer::Calls(core::mem::take(&mut self.answers)))
    }
}
