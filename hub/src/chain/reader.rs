//! Carries the questions of a look out: asks the nodes, many questions in one request. A question that fails is asked
//! again by itself, before whoever asks gives up what it has got so far.
//!
//! What decides about money is asked of all nodes that can be reached, and counts where two of them agree; the only one
//! that can be reached is believed, as if it were the only one configured. A node that stands still while others go on
//! is left out as well: it would hold up what has to be answered in time.

use super::fault::is_behind;
use super::rpc::{Rpc, at_hash};
use alloy::eips::BlockId;
use alloy_primitives::{Address, Bytes};
use farthing_protocol::reading::{
    Answer, Asking, At, Block, Disagreement, Failure, Manner, Question, Request, Tag, agree,
};
use farthing_protocol::{Code, Error};
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Most questions in one request.
const BATCH: usize = farthing_protocol::reading::BATCH;
/// Requests at once to a node that takes no batches.
const CONCURRENCY: usize = 16;
/// How long a failed question waits before it is asked again, each time.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(400)];

/// Asks the node about the contract.
#[derive(Debug)]
pub(super) struct Reader {
    rpc: Rpc,
    contract: Address,
    /// Each of the nodes.
    nodes: Vec<Rpc>,
    /// Questions in one request, as many as the node takes.
    batch: AtomicUsize,
    /// What each node takes, as far as it has shown.
    manners: Mutex<Vec<Manner>>,
    /// The newest block of each node, and since when it is that high.
    heights: Mutex<Vec<Option<(Block, Instant)>>>,
    /// How long a node may stand still while others go on.
    patience: Duration,
}

impl Reader {
    pub(super) fn new(rpc: Rpc, contract: Address, patience: Duration) -> Self {
        let nodes = rpc.each();
        let heights = Mutex::new(vec![None; nodes.len()]);
        let manners = Mutex::new(vec![Manner::default(); nodes.len()]);
        Self { rpc, contract, nodes, batch: AtomicUsize::new(BATCH), manners, heights, patience }
    }

    pub(super) const fn rpc(&self) -> &Rpc {
        &self.rpc
    }

    /// The newest block; of several nodes, of the one that is farthest.
    async fn latest(&self) -> Result<Block, Error> {
        if self.nodes.len() < 2 {
            return again(&self.rpc, || self.rpc.latest()).await;
        }
        // Those that stand still, too: they may have gone on.
        let none = self.nodes.iter().all(|rpc| rpc.nodes().is_left_alone());
        let all = self.nodes.iter().map(|rpc| async move {
            if !none && rpc.nodes().is_left_alone() { Err(left_alone()) } else { rpc.latest().await }
        });
        let answers = futures_util::future::join_all(all).await;
        self.note_heights(&answers);
        let newest = answers.iter().flatten().copied().max_by_key(|block| block.number);
        newest.map_or_else(|| answers.into_iter().next_back().unwrap_or_else(|| Err(left_alone())), Ok)
    }

    fn note_heights(&self, answers: &[Result<Block, Error>]) {
        let newest = answers.iter().flatten().map(|block| block.number).max().unwrap_or_default();
        let mut heights = self.heights.lock().unwrap_or_else(PoisonError::into_inner);
        for ((answer, height), rpc) in answers.iter().zip(heights.iter_mut()).zip(&self.nodes) {
            let Ok(block) = answer else { continue };
            let same = height.filter(|(before, _)| before.number == block.number);
            let since = same.map_or_else(Instant::now, |(_, since)| since);
            *height = Some((*block, since));
            rpc.nodes().note_stuck(block.number < newest && since.elapsed() >= self.patience);
        }
    }

    /// The answer to a question, as one node or two of several give it.
    pub(super) async fn answer(&self, question: &Question) -> Result<Answer, Error> {
        if *question == Question::Newest {
            return self.latest().await.map(|block| Answer::Block(Some(block)));
        }
        let is_one = self.nodes.len() < 2;
        let answers = match question {
            // Where there is one only, its back-off is waited for.
            Question::Block(_) if is_one => vec![again(&self.rpc, || self.ask_node(0, &self.rpc, question)).await],
            _ => self.each(|index, rpc| self.ask_node(index, rpc, question)).await?,
        };
        agree(question, answers).map_err(|disagreement| match disagreement {
            Disagreement::Failed(error) => error,
            Disagreement::Nobody => left_alone(),
            Disagreement::Differ => {
                let said = format!("the RPCs do not agree about what the chain says: {}", self.rpc.origins());
                Error::new(Code::ChainUnavailable, said)
            }
        })
    }

    /// What the nodes say that can be reached; an error where none can. One that hangs is not waited for each time, nor
    /// does one count that stands still, unless all are like that.
    async fn each<'a, T, F>(&'a self, ask: impl Fn(usize, &'a Rpc) -> F) -> Result<Vec<Result<T, Error>>, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let is_out = |rpc: &Rpc| rpc.nodes().is_left_alone() || rpc.nodes().is_stuck();
        let all_out = self.nodes.iter().all(is_out);
        let asked = self.nodes.iter().enumerate().filter(|(_, rpc)| all_out || !is_out(rpc));
        let asked: Vec<(usize, &Rpc)> = asked.collect();
        let answers = futures_util::future::join_all(asked.iter().map(|(index, rpc)| ask(*index, rpc))).await;
        let mut lost = left_alone();
        let mut reached = Vec::with_capacity(answers.len());
        for (answer, (_, rpc)) in answers.into_iter().zip(asked) {
            match answer {
                Err(error) if rpc.nodes().rests() => {
                    tracing::debug!(%error, "a node was not reached");
                    lost = error;
                }
                answer => reached.push(answer),
            }
        }
        if reached.is_empty() { Err(lost) } else { Ok(reached) }
    }

    /// What one node says, asked as it takes it.
    async fn ask_node(&self, index: usize, rpc: &Rpc, question: &Question) -> Result<Answer, Error> {
        let question = self.put_to(index, question);
        let mut manner = self.manner(index);
        let mut asking = Asking::new(question, &manner);
        loop {
            let outcome = match self.carry_out(rpc, asking.request(&manner)).await {
                Ok(answer) => asking.answered(&mut manner, answer),
                Err(error) => {
                    let failure = match () {
                        () if rpc.nodes().rests() => Failure::Lost,
                        () if is_behind(error.detail()) => Failure::Behind,
                        () => Failure::Refused,
                    };
                    tracing::debug!(%error, "the RPC did not answer");
                    asking.failed(&mut manner, failure, error).map(|()| None)
                }
            };
            self.learn(index, rpc, manner);
            if let Some(answer) = outcome? {
                return Ok(answer);
            }
        }
    }

    /// Of several nodes each is asked about its own newest block: of the farthest one's it may not know yet.
    fn put_to(&self, index: usize, question: &Question) -> Question {
        let own = || {
            let heights = self.heights.lock().unwrap_or_else(PoisonError::into_inner);
            heights.get(index).copied().flatten().map(|(block, _)| block)
        };
        match question {
            Question::Calls { calls, at: At::Newest(newest) } if self.nodes.len() > 1 => {
                Question::Calls { calls: calls.clone(), at: At::Newest(own().unwrap_or(*newest)) }
            }
            question => question.clone(),
        }
    }

    fn manner(&self, index: usize) -> Manner {
        let manners = self.manners.lock().unwrap_or_else(PoisonError::into_inner);
        manners.get(index).copied().unwrap_or_default()
    }

    fn learn(&self, index: usize, rpc: &Rpc, manner: Manner) {
        let mut manners = self.manners.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = manners.get_mut(index) {
            if manner.lacks_hashes && !known.lacks_hashes {
                rpc.nodes().tell_lack_of_hashes();
            }
            *known = manner;
        }
    }

    async fn carry_out(&self, rpc: &Rpc, request: Request) -> Result<Answer, Error> {
        let id = |tag: Tag| match tag {
            Tag::Hash(hash) => at_hash(hash),
            Tag::Number(number) => BlockId::number(number),
        };
        Ok(match request {
            Request::Newest => Answer::Block(Some(rpc.latest().await?)),
            Request::Block(number) => Answer::Block(rpc.block(number).await?),
            // A hub wants all of them.
            Request::Logs { wanted: _, from, to } => Answer::Logs(rpc.logs(self.contract, from, to).await?),
            Request::Calls { calls, tag } => Answer::Calls(self.ask_in_batches(rpc, &calls, id(tag)).await?),
            Request::Code { tag } => Answer::Code(rpc.has_code_at(self.contract, id(tag)).await?),
        })
    }

    async fn ask_in_batches(&self, rpc: &Rpc, data: &[Bytes], at: BlockId) -> Result<Vec<Bytes>, Error> {
        let mut answers = Vec::with_capacity(data.len());
        let mut rest = data;
        while !rest.is_empty() {
            let size = self.batch.load(Ordering::Relaxed);
            if size <= 1 {
                let single =
                    rest.iter().map(|data| again(rpc, move || rpc.call(self.contract, data.clone(), at)).boxed());
                let single: Vec<_> = single.collect();
                answers.extend(stream::iter(single).buffered(CONCURRENCY).try_collect::<Vec<_>>().await?);
                break;
            }
            let (now, later) = rest.split_at(size.min(rest.len()));
            match self.together(rpc, now, at).await {
                Ok(answered) => {
                    answers.extend(answered);
                    rest = later;
                }
                // Either nothing is answered, or so many at once are not.
                Err(_) => {
                    let Some(first) = now.first() else { break };
                    rpc.call(self.contract, first.clone(), at).await?;
                    let fewer = now.len().div_euclid(2).max(1);
                    tracing::warn!(questions = now.len(), fewer, "the RPC did not answer so many questions at once");
                    self.batch.store(fewer, Ordering::Relaxed);
                }
            }
        }
        Ok(answers)
    }

    /// Asks in one request; those that failed are asked again.
    async fn together(&self, rpc: &Rpc, calls: &[Bytes], at: BlockId) -> Result<Vec<Bytes>, Error> {
        let mut answers: Vec<Option<Bytes>> = vec![None; calls.len()];
        let mut pauses = PAUSES.iter();
        loop {
            let open = calls.iter().zip(&answers).filter(|(_, answer)| answer.is_none());
            let open: Vec<Bytes> = open.map(|(call, _)| call.clone()).collect();
            let failure = match rpc.calls(self.contract, &open, at).await {
                Ok(got) => {
                    let mut failure = None;
                    let places = answers.iter_mut().filter(|answer| answer.is_none());
                    for (place, answer) in places.zip(got) {
                        match answer {
                            Ok(answer) => *place = Some(answer),
                            Err(error) => failure = Some(error),
                        }
                    }
                    failure
                }
                // It was asked often enough.
                Err(error) => return Err(error),
            };
            let Some(error) = failure else { break };
            // What a contract says is not said otherwise a moment later.
            let Some(pause) = pauses.next().filter(|_| !is_reverted(&error)) else { return Err(error) };
            tracing::debug!(%error, "asking the RPC again");
            tokio::time::sleep(*pause).await;
        }
        Ok(answers.into_iter().flatten().collect())
    }
}

/// Asks one question until it is answered, a few times at most. Where no node answers at all it was asked often enough.
async fn again<T, F: Future<Output = Result<T, Error>>>(rpc: &Rpc, ask: impl Fn() -> F) -> Result<T, Error> {
    for pause in PAUSES {
        match ask().await {
            Err(error) if error.code() == Code::ChainUnavailable && rpc.trouble().is_none() => {
                tracing::debug!(%error, "asking the RPC again");
                tokio::time::sleep(pause).await;
            }
            answer => return answer,
        }
    }
    ask().await
}

/// Whether it is the word of a contract that was asked.
fn is_reverted(error: &Error) -> bool {
    error.detail().to_lowercase().contains("revert")
}

fn left_alone() -> Error {
    Error::new(Code::ChainUnavailable, "the RPC failed a moment ago")
}
