//! Deposits that the hub sends for an owner without ETH. What the owner signed is stored before the hub hears of it, and
//! until the chain says that it was carried out or is past its deadline: in that time nothing else of its asset is
//! deposited, since whoever has it may still send it.

use super::Client;
use super::payout::Progress;
use crate::chain::send::Stage;
use crate::chain::token::Way;
use crate::entrance::greeting::ask;
use crate::failure::{Failure, Result};
use crate::js::{array, date_text, get, get_string, object, quantity, random, running};
use crate::signal::Standing;
use crate::signer::token_data;
use crate::signer::typed_data::TypedData;
use crate::task::{race, sleep};
use crate::transport::terms::Terms;
use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::SolEvent;
use farthing_protocol::api::relay::{Authorization, RelayDeposit, RelayTerms, RelayedDeposit};
use farthing_protocol::journal::Write;
use farthing_protocol::types::{Asset, ETH, Side};
use farthing_protocol::{Amount, Code, abi, json, wire};
use std::rc::Rc;

/// Seconds for which what was signed is good.
const LIFETIME: u64 = 1_200;

/// Seconds of them that must be left when the hub is asked: later it could send what reverts.
const LEFT: u64 = 120;

/// Pause between looks where no block comes, in milliseconds.
const QUIET: u32 = 5_000;

/// What a deposit by the hub costs.
#[derive(Clone, Debug)]
pub struct DepositFee {
    /// Of the amount.
    pub fee: Amount,
    /// The token.
    pub token: Asset,
    /// By what the token lets itself be taken.
    pub how: &'static str,
}

/// A deposit that was signed, and may be sent by whoever has it.
#[derive(Clone, Debug)]
struct Pending {
    request: RelayDeposit,
    relay: Address,
    digest: B256,
    /// The newest block when it was signed.
    block: u64,
}

wire!(open struct Pending { request, relay, digest, block });

/// What became of a deposit.
enum End {
    /// It is in the channel by a final block.
    Done,
    /// It can't be sent any more.
    Lapsed,
    /// Neither.
    Open,
}

impl Client {
    /// What the hub takes for sending a deposit, as it says now; `None` if it does not, or the token can't be taken so.
    pub async fn deposit_fee(&self, asset: Asset) -> Result<Option<DepositFee>> {
        self.check_open()?;
        let terms = self.fresh_terms().await?;
        let (Some(relay), Some(fee)) = (terms.relay, terms.of(asset)?.deposit_fee) else { return Ok(None) };
        if asset == ETH {
            return Ok(None);
        }
        // A token that says nothing of permits can still be taken by Permit2, where that may take the least.
        let owner = self.owner.address();
        let Some(way) = self.chain.way(asset, owner, relay.contract, U256::from(1)).await? else { return Ok(None) };
        self.chain.check_relay(relay.contract).await?;
        self.quoted.borrow_mut().insert(asset, fee);
        Ok(Some(DepositFee { fee, token: asset, how: way.as_str() }))
    }

    /// Refuses while a deposit of this asset is signed that may still be sent. One that can't be any more is forgotten. Gives
    /// the transaction of one that carried out the same, of which nobody was told.
    pub(super) async fn relayed_before(&self, asset: Asset, amount: Amount) -> Result<Option<String>> {
        let Some(pending) = self.pending(asset).await? else { return Ok(None) };
        let end = self.end_of(&pending).await?;
        if let End::Open = end {
            return Err(Failure::advised(Code::Unanswered, format!("{} Nothing new was signed.", standing(&pending))));
        }
        let hash = match end {
            End::Done if self.is_untold(&pending, amount) => Some(self.transaction_of(&pending).await?),
            _ => None,
        };
        self.forget_relayed(asset).await?;
        Ok(hash)
    }

    /// Has the hub send a deposit. Gives the transaction's hash, as far as it is known, when it is in a final block.
    pub(super) async fn deposit_by_hub(
        &self,
        asset: Asset,
        amount: Amount,
        max_fee: Option<Amount>,
        told: &dyn Fn(Amount),
        progress: &Progress,
        known: &Standing,
    ) -> Result<String> {
        let is_same = |pending: &Pending| pending.request.deposit.amount == amount;
        let mut sent = None;
        let mut pending = self.pending(asset).await?;
        if let Some(before) = &pending {
            match self.end_of(before).await? {
                End::Done if self.is_untold(before, amount) => sent = Some(self.transaction_of(before).await?),
                End::Done | End::Lapsed => {
                    self.forget_relayed(asset).await?;
                    pending = None;
                }
                End::Open if is_same(before) && max_fee.is_none_or(|most| before.request.deposit.fee <= most) => {}
                End::Open => {
                    let detail = format!("{} Nothing new was signed.", standing(before));
                    return Err(Failure::advised(Code::Unanswered, detail));
                }
            }
        }
        let pending = match pending {
            Some(pending) => pending,
            None => self.sign_relayed(asset, amount, max_fee, known).await?,
        };
        told(pending.request.deposit.fee);
        known.sent(standing(&pending));
        let hash = match sent {
            Some(hash) => hash,
            None => self.ask_to_send(&pending, known).await?,
        };
        progress(Stage::Submitted, Some(&hash));
        let hash = self.until_end(Box::pin(self.until_relayed(&pending, hash, progress))).await?;
        known.sent(format!(
            "The hub sent the deposit with transaction {hash}, and it is in the channel: don't deposit again."
        ));
        Ok(hash)
    }

    /// Signs a new deposit and stores it.
    async fn sign_relayed(
        &self,
        asset: Asset,
        amount: Amount,
        max_fee: Option<Amount>,
        known: &Standing,
    ) -> Result<Pending> {
        self.check_deposit(asset, amount, "").await?;
        let shown = self.quoted.borrow().get(&asset).copied();
        let terms = self.fresh_terms().await?;
        let of_asset = terms.of(asset)?;
        let (Some(RelayTerms { contract: relay, relayer }), Some(fee)) = (terms.relay, of_asset.deposit_fee) else {
            let detail = format!(
                "The hub sends no deposits of {}: deposit with your own gas. Nothing was signed and no money moved.",
                of_asset.symbol
            );
            return Err(Failure::advised(Code::Unsupported, detail));
        };
        let most = max_fee.or(shown).unwrap_or_default();
        if fee > most {
            let detail = format!(
                "The hub takes {} now for sending a deposit, and at most {} was agreed to: nothing was signed and no \
                 money moved. Ask depositFee() again, or give a higher maxFee.",
                of_asset.show(fee),
                of_asset.show(most)
            );
            return Err(Failure::advised(Code::LimitExceeded, detail));
        }
        if fee >= amount {
            let detail = format!(
                "The hub takes {} for sending a deposit, which would leave nothing of {}: deposit more, or with your own \
                 gas. Nothing was signed and no money moved.",
                of_asset.show(fee),
                of_asset.show(amount)
            );
            return Err(Failure::advised(Code::InvalidAmount, detail));
        }
        self.chain.check_relay(relay).await?;
        let owner = self.owner.address();
        let units = U256::from(amount.units());
        let Some(way) = self.chain.way(asset, owner, relay, units).await? else {
            let detail = format!(
                "{} takes no signature in place of a transaction (ERC-2612, ERC-3009, DAI's permit), and Permit2 may not \
                 take so much of it: deposit with your own gas. Nothing was signed and no money moved.",
                of_asset.symbol
            );
            return Err(Failure::advised(Code::Unsupported, detail));
        };
        let head = self.chain.read_head().await?;
        let deadline = head.timestamp.max(self.chain.least_time()).saturating_add(LIFETIME);
        let deposit = RelayedDeposit {
            farthing: self.chain.domain.contract(),
            channel_id: self.id,
            side: Side::A,
            from: owner,
            asset,
            amount,
            fee,
            relayer,
            deadline,
            salt: random::<32>()?.into(),
        };
        let wish = abi::RelayedDeposit::from(&deposit);
        let of_deposit = token_data::deposit(self.chain.domain.chain_id(), relay, &wish);
        let digest = of_deposit.digest;
        let authorization = self.authorize(&way, relay, &wish, &of_deposit, known).await?;
        self.check_open()?;
        if self.chain.read_head().await?.timestamp.saturating_add(LEFT) > deadline {
            let detail = "It took so long to sign the deposit that it is past its time. Nothing was sent and no money \
                          moved; ask again.";
            return Err(Failure::advised(Code::WalletUnavailable, detail));
        }
        let request = RelayDeposit { channel: self.def, deposit, authorization };
        let pending = Pending { request, relay, digest, block: head.number };
        let value = json::encode(&pending).into_bytes();
        self.store.commit(vec![Write::Put { key: self.relay_key(asset), value }]).await?;
        Ok(pending)
    }

    /// The owner's signatures.
    async fn authorize(
        &self,
        way: &Way,
        relay: Address,
        wish: &abi::RelayedDeposit,
        of_deposit: &TypedData,
        known: &Standing,
    ) -> Result<Authorization> {
        let (chain_id, parties, deadline) = (of_deposit.chain_id, (wish.from, relay), wish.deadline);
        self.asks_owner(known);
        let sign = |data: TypedData| async move {
            let signed = self.until_end(Box::pin(async {
                let given = self.owner.sign(&data).await?;
                // What nobody can send would only stand in the way of what comes after it.
                self.chain.owners(self.owner.address(), data.digest, given).await
            }));
            signed.await.map_err(|failure| failure.because("Nothing was sent and no money moved."))
        };
        Ok(match way {
            Way::Allowed => Authorization::Permit {
                deadline: 0,
                v: 0,
                r: B256::ZERO,
                s: B256::ZERO,
                signature: sign(of_deposit.clone()).await?,
            },
            Way::Permit { domain, nonce } => {
                let data = token_data::permit(domain, chain_id, parties, wish.amount, *nonce, deadline);
                let (v, r, s) = parts(&sign(data).await?)?;
                Authorization::Permit { deadline, v, r, s, signature: sign(of_deposit.clone()).await? }
            }
            Way::DaiPermit { domain, nonce } => {
                let data = token_data::dai_permit(domain, chain_id, parties, *nonce, deadline);
                let (v, r, s) = parts(&sign(data).await?)?;
                let signature = sign(of_deposit.clone()).await?;
                Authorization::DaiPermit { nonce: *nonce, expiry: deadline, v, r, s, signature }
            }
            Way::Authorization { domain } => {
                // The contract takes it up to the deadline, the token before its own end.
                let before = deadline.saturating_add(1);
                let data = token_data::authorization(domain, chain_id, parties, wish.amount, before, of_deposit.digest);
                let signature = sign(data).await?;
                Authorization::Authorization { valid_after: 0, valid_before: before, signature }
            }
            Way::Permit2 => {
                let nonce = random::<32>()?.into();
                let signature = sign(token_data::permit2(chain_id, relay, wish, nonce)).await?;
                Authorization::Permit2 { nonce, deadline, signature }
            }
        })
    }

    /// Has the hub send it. The hub's word moves nothing: whatever it answers, what was signed can be sent.
    async fn ask_to_send(&self, pending: &Pending, known: &Standing) -> Result<String> {
        known.waits_for(Code::NotConnected);
        let asked = async { self.hub.call(&pending.request).await?.read::<RelayDeposit>() };
        match asked.await {
            Ok(relayed) => {
                known.waits_for(Code::ChainUnavailable);
                Ok(relayed.transaction.to_string())
            }
            Err(failure) => match failure.code() {
                // It may have heard of it.
                Code::NotConnected | Code::HubFault | Code::NotAHub => {
                    Err(failure.seen_as(Code::Unanswered).means(&standing(pending)))
                }
                // What it says, and what it did.
                _ => match self.relayed_in(pending).await {
                    Some(hash) => Ok(hash),
                    None => Err(failure.means(&format!("By that no money moved yet. {}", standing(pending)))),
                },
            },
        }
    }

    /// Waits until a final block says that it was carried out, or that it can't be any more.
    async fn until_relayed(&self, pending: &Pending, hash: String, progress: &Progress) -> Result<String> {
        let (mut is_mined, mut looked, waiting) = (false, None, running());
        loop {
            let head = self.chain.head();
            if looked != Some(head.number) {
                looked = Some(head.number);
                match self.end_of(pending).await {
                    Ok(End::Done) => {
                        let hash = self.relayed_in(pending).await.unwrap_or(hash);
                        progress(Stage::Confirmed, Some(&hash));
                        self.until_end(Box::pin(self.chain.known(&hash))).await?;
                        self.forget_relayed(pending.request.deposit.asset).await?;
                        return Ok(hash);
                    }
                    Ok(End::Lapsed) => {
                        self.forget_relayed(pending.request.deposit.asset).await?;
                        let detail = format!(
                            "The hub said that it sends the deposit with transaction {hash}, and it was not carried out by \
                             its deadline: no money moved, and by what was signed none can any more. Ask again, or deposit \
                             with your own gas."
                        );
                        return Err(Failure::advised(Code::TransactionFailed, detail));
                    }
                    // It is asked again at the next head.
                    Ok(End::Open) | Err(_) => {}
                }
                let used = self.chain.relayed(pending.relay, pending.digest, head.number).await;
                if !is_mined && used.is_ok_and(|used| used) {
                    is_mined = true;
                    progress(Stage::Mined, Some(&hash));
                }
            }
            if let Some(failure) = self.chain.unreadable(waiting) {
                return Err(failure.seen_as(Code::Unanswered).means(&standing(pending)));
            }
            race(self.chain.heads.next(), sleep(QUIET)).await;
        }
    }

    /// The transaction that carried it out, which the hub may have replaced since it told of it.
    async fn relayed_in(&self, pending: &Pending) -> Option<String> {
        let filter = object([
            ("address", pending.relay.to_string().into()),
            ("fromBlock", format!("{:#x}", pending.block).into()),
            ("toBlock", "latest".into()),
            (
                "topics",
                array([abi::IDepositRelay::DepositRelayed::SIGNATURE_HASH.to_string(), pending.digest.to_string()])
                    .into(),
            ),
        ]);
        let logs = self.chain.rpc.request("eth_getLogs", array([filter])).await.ok()?;
        let log = get(&logs, "0");
        quantity(&get(&log, "blockNumber"))?;
        get_string(&log, "transactionHash")
    }

    /// Of one that was carried out. The hub is not asked: whatever it says, this one can't be sent again.
    async fn transaction_of(&self, pending: &Pending) -> Result<String> {
        self.relayed_in(pending).await.ok_or_else(|| {
            let detail = "The same deposit, which was signed for the hub to send, is in the channel, and no node tells by which \
                          transaction: don't deposit again. Nothing new was signed.";
            Failure::advised(Code::Unanswered, detail)
        })
    }

    async fn end_of(&self, pending: &Pending) -> Result<End> {
        let head = self.chain.head();
        if self.chain.relayed(pending.relay, pending.digest, head.final_number).await? {
            return Ok(End::Done);
        }
        // The last second counts.
        Ok(if head.final_timestamp > pending.request.deposit.deadline { End::Lapsed } else { End::Open })
    }

    /// Whether it is the same that is asked for now, and who asked for it was not told that it was carried out.
    fn is_untold(&self, pending: &Pending, amount: Amount) -> bool {
        let RelayedDeposit { amount: before, deadline, .. } = pending.request.deposit;
        before == amount && self.chain.head().timestamp <= deadline
    }

    async fn pending(&self, asset: Asset) -> Result<Option<Pending>> {
        let key = self.relay_key(asset);
        let entries = self.store.load(&key).await?;
        let Some((_, value)) = entries.into_iter().find(|(found, _)| *found == key) else { return Ok(None) };
        let read = core::str::from_utf8(&value).ok().and_then(|text| json::decode(text).ok());
        match read {
            Some(pending) => Ok(Some(pending)),
            None => Err(Failure::new(Code::StorageCorrupt, "The record of a signed deposit can't be read.")),
        }
    }

    async fn forget_relayed(&self, asset: Asset) -> Result<()> {
        self.store.commit(vec![Write::Delete { key: self.relay_key(asset) }]).await
    }

    fn relay_key(&self, asset: Asset) -> String {
        format!("relay/{}/{asset}", self.id)
    }

    /// What the hub says now, which is adopted if it is the hub that we know.
    async fn fresh_terms(&self) -> Result<Rc<Terms>> {
        let fresh =
            ask(&self.hub).await.map_err(|failure| failure.because("Nothing was signed and no money moved."))?;
        self.adopt_terms(fresh)?;
        Ok(self.terms())
    }
}

/// What is true of a deposit that was signed.
fn standing(pending: &Pending) -> String {
    let deposit = &pending.request.deposit;
    format!(
        "A deposit of {} base units of {} is signed, {} of them the hub's fee, and whoever has it may send it until {}; if \
         it is not in the channel by then, no money moved. Asked again for the same, the call goes on with it and signs no \
         other.",
        deposit.amount,
        deposit.asset,
        deposit.fee,
        date_text(deposit.deadline)
    )
}

/// A signature in three parts.
fn parts(signature: &[u8]) -> Result<(u8, B256, B256)> {
    match signature.split_at_checked(64) {
        Some((rs, [v])) => {
            let (r, s) = rs.split_at(32);
            Ok((*v, B256::from_slice(r), B256::from_slice(s)))
        }
        _ => Err(Failure::new(
            Code::Unsupported,
            "This token takes the signature of a key only, and the wallet's is another. Nothing was sent and no money moved.",
        )),
    }
}
