//! Deposits of owners of tokens who have no ETH: the hub sends what they signed, for a fee in the token.
//!
//! Duties: one digest is one order of the sender, which persists before it sends, so that asking again, also after a
//! restart, never sends a second transaction. What it may cost is taken from the day's budget, durably, before it is
//! ordered. What would fail on chain, or costs more than the configuration allows, is not sent.

use crate::chain::{Estimate, Order, Orders, Placed, Rpc};
use crate::clock;
use crate::config::{Config, DEPOSIT_GAS, Deposits};
use crate::health::{Health, RelayReport};
use crate::store::{Status, Store};
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::{SolCall, SolError};
use farthing_protocol::abi::{self, IDepositRelay};
use farthing_protocol::api::hub::RelayDeposit;
use farthing_protocol::api::relay::{Authorization, RelayedDeposit};
use farthing_protocol::chain::Purpose;
use farthing_protocol::eip712::Domain;
use farthing_protocol::journal::Write;
use farthing_protocol::{Amount, ChannelDef, Code, ETH, Error, Side};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// How long a caller waits for the sender; less than clients wait for an answer.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long the end of the deposit before is waited for.
const TURN: Duration = Duration::from_secs(3);
/// A deposit that ends sooner might be mined too late.
const LEAST_TIME: u64 = 60;
const DAY: u64 = 86_400;
/// Gas of one, at most, in what one takes usually: room for a contract's own check of its owner, which may be as dear as it
/// likes at the hub's cost.
const MOST: u64 = 3 * DEPOSIT_GAS;
/// Where is kept what the days have cost: `relayed/<day>/<digest>`, the owner and the wei.
const KEPT: &str = "relayed/";

alloy_sol_types::sol! {
    #[derive(Debug)]
    error WrongSignature(address expected);
    #[derive(Debug)]
    error InsufficientAllowance(uint256 allowance, uint256 amount);
    #[derive(Debug)]
    error ERC20InsufficientBalance(address sender, uint256 balance, uint256 needed);
    #[derive(Debug)]
    error ERC20InsufficientAllowance(address spender, uint256 allowance, uint256 needed);
    #[derive(Debug)]
    error InvalidSigner();
    #[derive(Debug)]
    error ERC3009InvalidSignature();
}

/// Sends deposits, within what is configured.
#[derive(Debug)]
pub struct DepositDesk {
    config: Deposits,
    /// What owners sign in.
    domain: Domain,
    farthing: Domain,
    /// Who sends, and the key of the hub's side of channels.
    owner: Address,
    signer: Address,
    rpc: Rpc,
    orders: Orders,
    store: Arc<dyn Store>,
    health: Arc<Health>,
    /// Held while the day's budget is looked at and taken from.
    till: Mutex<()>,
}

/// What one deposit was charged to a day.
struct Charge {
    key: String,
    day: u64,
    owner: Address,
    wei: Amount,
}

impl DepositDesk {
    /// Nothing if the hub sends none.
    pub fn new(config: &Config, rpc: Rpc, orders: Orders, store: Arc<dyn Store>, health: Arc<Health>) -> Option<Self> {
        let deposits = config.deposits.clone()?;
        Some(Self {
            domain: Domain::relay(config.chain_id, deposits.contract),
            farthing: Domain::new(config.chain_id, config.contract),
            owner: config.keys.owner.address(),
            signer: config.keys.signer.address(),
            config: deposits,
            rpc,
            orders,
            store,
            health,
            till: Mutex::new(()),
        })
    }

    /// Questions of one origin in a minute.
    #[must_use]
    pub const fn per_minute(&self) -> u32 {
        self.config.per_minute
    }

    /// Has a deposit sent. Returns its transaction as it was signed first.
    pub async fn send(&self, asked: RelayDeposit) -> Result<B256, Error> {
        let RelayDeposit { channel, deposit, authorization } = asked;
        let digest = self.domain.digest(&abi::RelayedDeposit::from(&deposit));
        let id = format!("{KEPT}{digest}");
        let known = self.store.order(&id).await?;
        match &known {
            Some(known) if matches!(known.status, Status::Queued | Status::Sent | Status::Mined) => {
                return self.first_hash(&id).await;
            }
            // It was paid for once; another one is another signature.
            Some(known) if known.reverts > 0 => {
                return Err(refused(
                    Code::LimitExceeded,
                    "its transaction failed; sign another deposit, with another salt",
                ));
            }
            Some(_) | None => {}
        }
        let now = clock::now();
        self.check(&channel, &deposit, now)?;
        // Simulated well and mined too late, it would cost the hub its gas, and its owner nothing.
        if ends(&authorization).is_some_and(|end| end < now.saturating_add(LEAST_TIME)) {
            return Err(refused(Code::BadExpiry, "what lets its tokens be taken ends too soon, or has ended"));
        }
        // Before the chain is asked, which may have the other one already and would say something else.
        self.wait_for_turn(&id, deposit.from).await?;
        let data = calldata(&channel, &deposit, authorization);
        let cost = self.simulate(&data).await?;
        {
            let _till = self.till.lock().await;
            self.charge(&id, digest, deposit.from, cost, now).await?;
            let order = Order {
                id: id.clone(),
                channel: deposit.channel_id,
                label: "relayDeposit",
                to: Some(self.config.contract),
                data,
                value: U256::ZERO,
                allowance: None,
                // What is known in wei bounds what the sender pays, raised fees included.
                purpose: Purpose::Serve { asset: ETH, amount: cost },
            };
            if self.orders.place(order) == Placed::Refused {
                return Err(refused(Code::RateLimited, "too much waits to be sent just now; try again in a while"));
            }
        }
        self.first_hash(&id).await
    }

    /// What can be said without the chain.
    fn check(&self, channel: &ChannelDef, deposit: &RelayedDeposit, now: u64) -> Result<(), Error> {
        if deposit.farthing != self.farthing.contract() {
            return Err(refused(Code::BadTerms, "it names another Farthing contract than the hub's"));
        }
        let id = channel.id(self.farthing.chain_id(), self.farthing.contract());
        if deposit.channel_id != id || deposit.side != Side::A {
            return Err(refused(Code::WrongChannel, "it is not for the client's side of the channel that was given"));
        }
        if (channel.b.owner, channel.b.signer) != (self.owner, self.signer) {
            return Err(refused(Code::WrongChannel, "the channel is not with this hub"));
        }
        let Some(fee) = self.config.fees.get(&deposit.asset) else {
            return Err(refused(Code::UnknownAsset, "the hub sends no deposits of this token"));
        };
        if deposit.relayer != self.owner {
            return Err(refused(Code::InvalidArgument, format!("its relayer must be {}", self.owner)));
        }
        if deposit.fee < *fee {
            return Err(refused(
                Code::InvalidAmount,
                format!("the hub takes a fee of {fee}, it offers {}", deposit.fee),
            ));
        }
        if deposit.fee >= deposit.amount {
            return Err(refused(Code::InvalidAmount, "the fee leaves nothing to deposit"));
        }
        if deposit.deadline < now.saturating_add(LEAST_TIME) {
            return Err(refused(Code::BadExpiry, "its deadline is too near, or has passed"));
        }
        Ok(())
    }

    /// Wei that it may cost at most. What would fail is refused here, and costs nobody anything.
    async fn simulate(&self, data: &Bytes) -> Result<Amount, Error> {
        let question = self.rpc.estimate(self.owner, self.config.contract, data.clone(), U256::ZERO);
        let (estimate, fees, balance) = tokio::try_join!(question, self.rpc.fees(), self.rpc.balance(self.owner))?;
        let gas = match estimate {
            Estimate::Gas(gas) if gas > MOST => {
                return Err(refused(
                    Code::LimitExceeded,
                    format!("it would take {gas} gas, and the hub pays for {MOST} at most"),
                ));
            }
            Estimate::Gas(gas) => gas.saturating_add(gas / 4),
            Estimate::Reverts(reason) => return Err(would_fail(&reason)),
            // The call has no value: what is missing are tokens, or the gas of the account.
            Estimate::Unaffordable if balance > self.config.reserve => {
                return Err(refused(
                    Code::InsufficientFunds,
                    "the owner has too little of the token, or allows too little",
                ));
            }
            Estimate::Unaffordable => return Err(unfunded()),
        };
        let base_fee = fees.max_fee.saturating_sub(fees.priority_fee).div_euclid(2);
        let price = base_fee.saturating_add(base_fee / 8).saturating_add(fees.priority_fee);
        if price > self.config.max_fee {
            let said = format!(
                "gas costs {price} wei now, and the hub pays at most {} for deposits; try again later",
                self.config.max_fee
            );
            return Err(refused(Code::LimitExceeded, said));
        }
        let cost = u128::from(gas).saturating_mul(self.config.max_fee);
        if balance < self.config.reserve.saturating_add(U256::from(cost)) {
            return Err(unfunded());
        }
        Ok(Amount::new(cost))
    }

    /// Takes it from the day's budget, once, however often it is asked for.
    async fn charge(&self, id: &str, digest: B256, owner: Address, cost: Amount, now: u64) -> Result<(), Error> {
        let today = now.div_euclid(DAY);
        let charges = self.charges().await?;
        self.check_turn(&charges, id, owner).await?;
        let of_today: Vec<&Charge> = charges.iter().filter(|charge| charge.day == today).collect();
        if charges.iter().any(|charge| charge.key.ends_with(&digest.to_string())) {
            return Ok(());
        }
        let count = of_today.iter().filter(|charge| charge.owner == owner).count();
        if u32::try_from(count).unwrap_or(u32::MAX) >= self.config.per_owner {
            let said = format!("the hub sends {} deposits of an owner in a day", self.config.per_owner);
            return Err(refused(Code::LimitExceeded, said));
        }
        let spent = of_today.iter().fold(cost.units(), |sum, charge| sum.saturating_add(charge.wei.units()));
        if spent > self.config.day.units() {
            return Err(refused(Code::HubUnfunded, "what the hub spends on deposits is used up for today"));
        }
        let value = [owner.as_slice(), &cost.units().to_be_bytes()].concat();
        let mut writes = vec![Write::Put { key: format!("{KEPT}{today}/{digest}"), value }];
        // Yesterday's are looked at for those that are under way.
        let old = charges.iter().filter(|charge| charge.day.saturating_add(1) < today);
        writes.extend(old.map(|charge| Write::Delete { key: charge.key.clone() }));
        self.store.commit(&writes).await?;
        self.health.set_relay(RelayReport {
            deposits: of_today.len().saturating_add(1),
            spent: U256::from(spent),
            most: U256::from(self.config.day.units()),
        });
        Ok(())
    }

    /// Two that spend the same tokens or nonce would be simulated apart and fail together, so an owner has one under way.
    async fn check_turn(&self, charges: &[Charge], id: &str, owner: Address) -> Result<(), Error> {
        for charge in charges.iter().filter(|charge| charge.owner == owner) {
            let other = charge.key.rsplit('/').next().map(|digest| format!("{KEPT}{digest}")).unwrap_or_default();
            if other != id && self.is_open(&other).await? {
                return Err(refused(
                    Code::RateLimited,
                    "one deposit of an owner at a time; wait for the one before it",
                ));
            }
        }
        Ok(())
    }

    /// As `check_turn`; but whoever follows the chain may have told an owner of the end of the one before a moment before the
    /// sender hears of it, so that is waited for.
    async fn wait_for_turn(&self, id: &str, owner: Address) -> Result<(), Error> {
        let mut progress = self.orders.progress();
        let turn = async {
            loop {
                progress.borrow_and_update();
                let refusal = match self.check_turn(&self.charges().await?, id, owner).await {
                    Err(refusal) if refusal.code() == Code::RateLimited => refusal,
                    outcome => return outcome,
                };
                if progress.changed().await.is_err() {
                    return Err(refusal);
                }
            }
        };
        match tokio::time::timeout(TURN, turn).await {
            Ok(outcome) => outcome,
            Err(_) => self.check_turn(&self.charges().await?, id, owner).await,
        }
    }

    async fn charges(&self) -> Result<Vec<Charge>, Error> {
        let entries = self.store.load(KEPT).await?;
        let corrupt = || Error::new(Code::StorageCorrupt, "what a deposit cost can't be read");
        entries
            .into_iter()
            .map(|(key, value)| {
                let day =
                    key.strip_prefix(KEPT).and_then(|rest| rest.split_once('/')).and_then(|(day, _)| day.parse().ok());
                let (owner, wei) = value.split_at_checked(20).ok_or_else(corrupt)?;
                Ok(Charge {
                    day: day.ok_or_else(corrupt)?,
                    owner: Address::from_slice(owner),
                    wei: Amount::new(u128::from_be_bytes(wei.try_into().map_err(|_| corrupt())?)),
                    key,
                })
            })
            .collect()
    }

    async fn is_open(&self, id: &str) -> Result<bool, Error> {
        let known = self.store.order(id).await?;
        Ok(self.orders.is_pending(id)
            || known.is_some_and(|order| matches!(order.status, Status::Queued | Status::Sent)))
    }

    /// Waits until the sender has signed it.
    async fn first_hash(&self, id: &str) -> Result<B256, Error> {
        let mut progress = self.orders.progress();
        let signed = async {
            loop {
                progress.borrow_and_update();
                let pending = self.orders.is_pending(id);
                if let Some(hash) = self.store.first_hash(id).await? {
                    return Ok(hash);
                }
                let known = self.store.order(id).await?;
                if !pending && known.is_some_and(|order| order.status == Status::Failed) {
                    return Err(refused(Code::InvalidArgument, "it would fail by now"));
                }
                if progress.changed().await.is_err() {
                    return Err(Code::ClientClosed.into());
                }
            }
        };
        match tokio::time::timeout(PATIENCE, signed).await {
            Ok(signed) => signed,
            Err(_) => Err(Error::new(
                Code::Unanswered,
                "the hub has taken this deposit and could not send it yet; ask again for the same one, which is sent once \
                 at most",
            )),
        }
    }
}

/// A refusal before anything was sent.
fn refused(code: Code, why: impl std::fmt::Display) -> Error {
    Error::new(code, format!("this deposit was not sent, and nothing has moved: {why}"))
}

fn unfunded() -> Error {
    refused(Code::HubUnfunded, "the hub has no gas money for deposits just now")
}

/// Why, as far as nodes tell it.
fn would_fail(reason: &str) -> Error {
    let said = |selector: [u8; 4]| reason.contains(&alloy_primitives::hex::encode(selector));
    if said(WrongSignature::SELECTOR)
        || said(InvalidSigner::SELECTOR)
        || said(ERC3009InvalidSignature::SELECTOR)
        || reason.to_lowercase().contains("invalid signature")
    {
        return refused(Code::BadSignature, "the owner did not sign this");
    }
    if said(InsufficientAllowance::SELECTOR)
        || said(ERC20InsufficientBalance::SELECTOR)
        || said(ERC20InsufficientAllowance::SELECTOR)
    {
        return refused(Code::InsufficientFunds, "the owner has too little of the token, or allows too little");
    }
    let shown: String = reason.chars().filter(|c| !c.is_control()).take(200).collect();
    refused(Code::InvalidArgument, format!("it would fail on chain ({shown})"))
}

/// When what lets the tokens be taken is over, if ever.
const fn ends(authorization: &Authorization) -> Option<u64> {
    match *authorization {
        // An allowance, and DAI's word for never.
        Authorization::Permit { v: 0, .. } | Authorization::DaiPermit { expiry: 0, .. } => None,
        Authorization::Permit { deadline, .. } | Authorization::Permit2 { deadline, .. } => Some(deadline),
        Authorization::DaiPermit { expiry, .. } => Some(expiry),
        Authorization::Authorization { valid_before, .. } => Some(valid_before),
    }
}

fn calldata(channel: &ChannelDef, deposit: &RelayedDeposit, authorization: Authorization) -> Bytes {
    let (channel, wish) = (abi::Channel::from(channel), abi::RelayedDeposit::from(deposit));
    let data = match authorization {
        Authorization::Permit { deadline, v, r, s, signature } => {
            let permit = abi::Permit { deadline: U256::from(deadline), v, r, s };
            IDepositRelay::depositWithPermitCall { channel, wish, permit, signature }.abi_encode()
        }
        Authorization::DaiPermit { nonce, expiry, v, r, s, signature } => {
            let permit = abi::DaiPermit { nonce: U256::from(nonce), expiry: U256::from(expiry), v, r, s };
            IDepositRelay::depositWithDaiPermitCall { channel, wish, permit, signature }.abi_encode()
        }
        Authorization::Authorization { valid_after, valid_before, signature } => {
            let (valid_after, valid_before) = (U256::from(valid_after), U256::from(valid_before));
            IDepositRelay::depositWithAuthorizationCall {
                channel,
                wish,
                validAfter: valid_after,
                validBefore: valid_before,
                signature,
            }
            .abi_encode()
        }
        Authorization::Permit2 { nonce, deadline, signature } => IDepositRelay::depositWithPermit2Call {
            channel,
            wish,
            nonce: nonce.into(),
            deadline: U256::from(deadline),
            signature,
        }
        .abi_encode(),
    };
    data.into()
}
