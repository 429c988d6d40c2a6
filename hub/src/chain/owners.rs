//! Whether an owner that is a contract stands by a signature (ERC-1271), asked of the nodes like all that decides about
//! money: at a final block, and two of them must agree. A question that failed is no answer.

use super::follower::STANDSTILL;
use super::reader::{Reader, is_reverted};
use super::rpc::Rpc;
use alloy_primitives::{Address, B256, Bytes};
use alloy_sol_types::SolCall;
use farthing_protocol::abi::IERC1271;
use farthing_protocol::reading::{Answer, At, Question};
use farthing_protocol::{Code, Error};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Gas that a contract may use to answer: a passkey that is checked in Solidity takes a tenth.
const GAS: u64 = 5_000_000;

/// So many are asked at once, whoever wants to know.
const AT_ONCE: usize = 8;

/// Asks contracts.
#[derive(Debug)]
pub struct Owners {
    rpc: Rpc,
    patience: Duration,
    turns: Semaphore,
}

impl Owners {
    /// Of these nodes, which are looked at so often.
    #[must_use]
    pub fn new(rpc: &Rpc, poll_interval: Duration) -> Self {
        let patience = poll_interval.saturating_mul(STANDSTILL);
        Self { rpc: rpc.capped(GAS), patience, turns: Semaphore::new(AT_ONCE) }
    }

    /// Whether the contract at `owner` takes this for its signature of `digest`, at the end of this final block.
    pub async fn signed(&self, owner: Address, digest: B256, signature: Bytes, block: u64) -> Result<bool, Error> {
        let _turn = self.turns.acquire().await.map_err(|_| Error::from(Code::ClientClosed))?;
        let reader = Reader::new(self.rpc.clone(), owner, self.patience);
        let Answer::Block(Some(block)) = reader.answer(&Question::Block(block)).await? else {
            return Err(Error::new(Code::ChainUnavailable, "the RPC does not know a final block"));
        };
        let call = IERC1271::isValidSignatureCall { hash: digest, signature }.abi_encode();
        let asked = reader.answer(&Question::Calls { calls: vec![call.into()], at: At::Final(block) }).await;
        // A question that all of them answer by what the contract says is no failure: each try again would take the turn of
        // somebody else.
        if asked.as_ref().is_err_and(is_reverted) {
            return Ok(false);
        }
        let answer = asked.map_err(|error| {
            let said = format!("whether the owner's contract takes the binding is not known: {}", error.detail());
            Error::new(Code::ChainUnavailable, said)
        })?;
        let Answer::Calls(answers) = answer else { return Ok(false) };
        Ok(answers.first().is_some_and(|answer| says_yes(answer)))
    }
}

/// The magic value, and nothing beside it.
fn says_yes(answer: &[u8]) -> bool {
    matches!(answer.split_at_checked(4), Some((magic, rest))
        if answer.len() == 32 && magic == IERC1271::isValidSignatureCall::SELECTOR && rest.iter().all(|byte| *byte == 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_magic_value_is_a_yes() {
        let mut yes = [0; 32];
        yes[..4].copy_from_slice(&[0x16, 0x26, 0xba, 0x7e]);
        assert!(says_yes(&yes));
        let mut odd = yes;
        odd[31] = 1;
        for no in [&[][..], &yes[..4], &[0; 32], &[0xff; 32], &odd, &[&yes[..], &[0]].concat()] {
            assert!(!says_yes(no), "{no:?}");
        }
    }
}
