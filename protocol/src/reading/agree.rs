//! What several nodes say together. What decides about money counts where two of them agree; the only one that can be
//! reached is believed, as if it were the only one configured.

use super::question::{Answer, Log, Question};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// Why nodes have no common answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Disagreement<E> {
    /// None was asked.
    Nobody,
    /// They did not answer, and this is why.
    Failed(E),
    /// They say different things.
    Differ,
}

/// The common answer of the nodes that could be reached. One that could not be reached has no place among the answers;
/// a failure in them is one that says something of the question, and agrees with nothing.
pub fn agree<E>(question: &Question, answers: Vec<Result<Answer, E>>) -> Result<Answer, Disagreement<E>> {
    match question {
        Question::Newest => farthest(answers),
        Question::Block(_) => found(answers),
        Question::Logs { final_number, .. } => settled(answers, *final_number),
        Question::Calls { .. } => agreed(answers),
    }
}

/// Of several newest blocks, the one of the node that is farthest.
fn farthest<E>(answers: Vec<Result<Answer, E>>) -> Result<Answer, Disagreement<E>> {
    let number =
        |answer: &Answer| if let Answer::Block(block) = answer { block.map(|block| block.number) } else { None };
    let (mut newest, mut failure) = (None::<Answer>, None);
    for answer in answers {
        match answer {
            Ok(answer) => {
                if newest.as_ref().is_none_or(|newest| number(newest) < number(&answer)) {
                    newest = Some(answer);
                }
            }
            Err(error) => failure = Some(error),
        }
    }
    newest.ok_or_else(|| failure.map_or(Disagreement::Nobody, Disagreement::Failed))
}

/// A node that does not have a block says nothing of it.
fn found<E>(answers: Vec<Result<Answer, E>>) -> Result<Answer, Disagreement<E>> {
    let has = |answer: &Result<Answer, E>| matches!(answer, Ok(Answer::Block(Some(_))));
    let (found, mut rest): (Vec<_>, Vec<_>) = answers.into_iter().partition(has);
    if !found.is_empty() {
        return agreed(found);
    }
    match rest.iter().position(Result::is_err) {
        Some(failed) => agreed(alloc::vec![rest.swap_remove(failed)]),
        None => rest.pop().map_or(Err(Disagreement::Nobody), |none| none.map_err(Disagreement::Failed)),
    }
}

/// Nodes have to agree on the logs of final blocks; of later ones they may not all know, so there all logs of all nodes
/// count.
fn settled<E>(answers: Vec<Result<Answer, E>>, final_number: u64) -> Result<Answer, Disagreement<E>> {
    let mut young: BTreeMap<_, Log> = BTreeMap::new();
    let old = answers.into_iter().map(|answer| {
        answer.map(|answer| match answer {
            Answer::Logs(logs) => {
                let (late, old): (Vec<Log>, Vec<Log>) = logs.into_iter().partition(|log| log.block > final_number);
                young.extend(late.into_iter().map(|log| ((log.block, log.block_hash, log.index), log)));
                Answer::Logs(old)
            }
            other => other,
        })
    });
    let old = old.collect();
    match agreed(old)? {
        Answer::Logs(mut logs) => {
            logs.extend(young.into_values());
            Ok(Answer::Logs(logs))
        }
        other => Ok(other),
    }
}

/// The answer that two nodes give, or the one that was reached.
fn agreed<E>(mut answers: Vec<Result<Answer, E>>) -> Result<Answer, Disagreement<E>> {
    if answers.len() < 2 {
        return answers.pop().map_or(Err(Disagreement::Nobody), |answer| answer.map_err(Disagreement::Failed));
    }
    while let Some(answer) = answers.pop() {
        match answer {
            Ok(this) if answers.iter().any(|other| matches!(other, Ok(other) if *other == this)) => return Ok(this),
            // All of them may have refused the question.
            Err(error) if answers.is_empty() => return Err(Disagreement::Failed(error)),
            _ => {}
        }
    }
    Err(Disagreement::Differ)
}
