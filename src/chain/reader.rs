//! Carries out a look at the chain for one channel: answers the questions of the machine that reads, and hands on what it
//! tells. What the headers say that were seen is not asked for again: each of the window's blocks is the child of the one
//! before, up to the newest. Blocks are named by number in calls, as what is asked ahead has no hash yet; a chain that
//! was reorganised is noticed by the hash of the final block, with the logs or at the next look.

use super::{Chain, logs};
use crate::failure::{Failure, Result};
use crate::task::{Work, all};
use alloy_primitives::Bytes;
use farthing_protocol::chain::{ChainFact, Head};
use farthing_protocol::condition::ConditionKey;
use farthing_protocol::proof::LaneId;
use farthing_protocol::reading::answers::{
    ask_claims, ask_exits, ask_states, ask_units, read_claims, read_states, read_units,
};
use farthing_protocol::reading::{Answer, Question, Reading, ReadingConfig, Step, Told};
use farthing_protocol::types::{Asset, ChannelId};
use farthing_protocol::{Code, Error};

/// What a look tells.
#[derive(Debug)]
pub enum News {
    /// Facts.
    Facts(Vec<ChainFact>),
    /// The last facts before a head, and the head: [`Reading::heard`] says what comes next.
    Head(Vec<ChainFact>, Head),
    /// The look is over.
    Done,
}

impl Chain {
    /// What reads these assets of a channel, from now on.
    #[must_use]
    pub fn reading(&self, channel: ChannelId, assets: Vec<Asset>) -> Reading {
        let config = ReadingConfig {
            contract: self.domain.contract(),
            assets: Some(assets),
            confirmations: self.confirmations(),
            log_range: logs::SPAN,
            // A head that goes back is waited for here: [`Self::read_head`].
            resets_after: self.is_local().then_some(0),
            by_channel: true,
        };
        Reading::new(config, [channel], None)
    }

    /// Goes on with a look until it tells something. Of a head that was read already, the newest block is not asked for.
    pub fn news<'a>(&'a self, reading: &'a mut Reading, is_known: bool) -> Work<'a, News> {
        Box::pin(async move {
            loop {
                match reading.step() {
                    Step::Ask(questions) => {
                        let known = self.newest.get().filter(|_| is_known && questions == [Question::Newest]);
                        let answers = match known {
                            Some(block) => Ok(vec![Answer::Block(Some(block))]),
                            None => self.answers(&questions).await,
                        };
                        match answers {
                            Err(_) if reading.may_miss() => reading.missed()?,
                            answers => reading.answered(answers?).map_err(unread)?,
                        }
                    }
                    // All is read anew at the next start.
                    Step::Store(_) => reading.stored()?,
                    Step::Announced(_) => reading.announced([])?,
                    Step::CaughtUp { .. } => reading.told(Vec::new())?,
                    Step::Tell { facts, .. } => {
                        reading.told(Vec::new())?;
                        return Ok(News::Facts(alone(facts)));
                    }
                    Step::Recorded(facts) => {
                        reading.told(Vec::new())?;
                        return Ok(News::Facts(facts));
                    }
                    Step::Head { facts, head } => return Ok(News::Head(alone(facts), head)),
                    Step::Done(_) | Step::Rest => {
                        drop(reading.notes());
                        return Ok(News::Done);
                    }
                }
            }
        })
    }

    async fn answers(&self, questions: &[Question]) -> Result<Vec<Answer>> {
        all(questions.iter().map(|question| self.answer_to(question)).collect()).await
    }

    fn answer_to<'a>(&'a self, question: &'a Question) -> Work<'a, Answer> {
        Box::pin(async move {
            match question {
                Question::Newest => {
                    self.read_head().await?;
                    self.asked_logs.set(false);
                    Ok(Answer::Block(self.newest.get()))
                }
                Question::Block(number) => self.block_at_height(*number).await,
                Question::Logs { from, to, .. } if self.is_quiet(*from, *to) => Ok(Answer::Logs(Vec::new())),
                Question::Logs { wanted, from, to, .. } => {
                    self.asked_logs.set(true);
                    self.logs(wanted, *from, *to).await.map(Answer::Logs)
                }
                Question::Calls { calls, at } => self.calls(calls, at.block().number).await.map(Answer::Calls),
            }
        })
    }

    /// As it was seen at this look, unless logs were asked for since: they may be another chain's.
    async fn block_at_height(&self, number: u64) -> Result<Answer> {
        if self.newest.get().is_none_or(|newest| number > newest.number) {
            return Ok(Answer::Block(None));
        }
        if !self.asked_logs.get() {
            let base = self.base.get().filter(|base| base.number == number);
            let seen = base.or_else(|| self.window.borrow().find(number).map(super::window::Block::known));
            if seen.is_some() {
                return Ok(Answer::Block(seen));
            }
        }
        let block = self.block(&format!("{number:#x}")).await?;
        let mut window = self.window.borrow_mut();
        if window.find(number).is_some_and(|seen| *seen != block) {
            window.forget();
        }
        Ok(Answer::Block(Some(block.known())))
    }

    /// What the contract returns to these calls at a block, asked side by side.
    pub fn calls<'a>(&'a self, calls: &'a [Bytes], number: u64) -> Work<'a, Vec<Bytes>> {
        let contract = self.domain.contract();
        Box::pin(async move {
            let tag = format!("{number:#x}");
            all(calls.iter().map(|call| self.call(contract, call.to_vec(), &tag)).collect()).await
        })
    }

    /// The states of assets of a channel at a block.
    pub fn states(
        &self,
        channel: ChannelId,
        assets: impl Iterator<Item = Asset>,
        number: u64,
    ) -> Work<'_, Vec<ChainFact>> {
        let wanted: Vec<_> = assets.map(|asset| (channel, asset)).collect();
        Box::pin(async move {
            let answers = self.calls(&ask_states(&wanted), number).await?;
            Ok(alone(read_states(&wanted, &answers).map_err(unread)?))
        })
    }

    /// Asks ahead for all that is read of a channel that is taken up.
    pub fn ask_state(&self, channel: ChannelId, assets: impl Iterator<Item = Asset>, (newest, at): (u64, u64)) {
        let wanted: Vec<_> = assets.map(|asset| (channel, asset)).collect();
        self.rpc.ahead(self.calls(&ask_states(&wanted), at));
        self.rpc.ahead(self.calls(&ask_exits(&[channel]), newest));
    }

    /// What was claimed of locks of a channel's settled lanes, and recorded for keys, zero included, at a block.
    pub fn recorded<'a>(
        &'a self,
        channel: ChannelId,
        locks: &'a [(LaneId, u16)],
        keys: &'a [ConditionKey],
        number: u64,
    ) -> Work<'a, Vec<ChainFact>> {
        Box::pin(async move {
            let mut calls = ask_claims(channel, locks);
            calls.extend(ask_units(keys));
            let mut claims = self.calls(&calls, number).await?;
            let units = claims.split_off(locks.len().min(claims.len()));
            let mut facts = read_claims(locks, &claims).map_err(unread)?;
            facts.extend(read_units(keys, &units).map_err(unread)?);
            Ok(facts)
        })
    }
}

/// The contract was checked when the channel was opened: what can't be read now is the node's doing.
fn unread(error: Error) -> Failure {
    match error.code() {
        Code::ChainMismatch => Failure::new(Code::ChainUnavailable, "The RPC gave no answer of the contract's."),
        _ => error.into(),
    }
}

fn alone(told: Vec<Told>) -> Vec<ChainFact> {
    told.into_iter().map(|(_, fact)| fact).collect()
}
