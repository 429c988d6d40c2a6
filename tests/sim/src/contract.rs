//! The contract, once more in Rust, after sections 6 and 7 of `docs/protocol.md` and not after its Solidity.
//! It shares the EIP-712 digests with the library and nothing else.

use alloy_primitives::{Address, B256, Bytes, keccak256};
use farthing_protocol::abi;
use farthing_protocol::chain::{AssetStatus, ChainCall, EvidenceItem, LockClaim};
use farthing_protocol::condition::{Condition, ConditionKey, Kind, sha256};
use farthing_protocol::eip712::Domain;
use farthing_protocol::message::{Closing, Withdrawal};
use farthing_protocol::proof::{LaneId, SignedProof};
use farthing_protocol::sign::Signature;
use farthing_protocol::tree::{empty_root, root_of_branch};
use farthing_protocol::types::{Asset, ChannelDef, ChannelId, ETH, Side, Sides};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

/// Why a call reverts, in a word for the trace.
pub type Outcome = Result<(), &'static str>;

/// The rules of the contract that the model can leave out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Without {
    Nothing,
    /// 13: the payer alone may show a proof.
    Admission,
    /// 13: at equal nonces the last one filed wins.
    EqualNonces,
    /// 14: closed and settled assets stay usable.
    ClosedForEver,
    /// 17: a negative net counts as zero.
    SignedNet,
    /// 16: what one item of a call is refused for refuses all of it.
    Skipping,
    /// 16: what the recipient of a withdrawal does not take is gone.
    Refusal,
}

#[derive(Clone, Default, Debug, PartialEq, Eq)]
pub struct ChainLane {
    pub nonce: u64,
    pub acknowledged: bool,
    pub transferred: u128,
    pub locked: u128,
    pub root: B256,
    pub claims: BTreeMap<u16, (u32, bool)>,
}

#[derive(Clone, Default, Debug, PartialEq, Eq)]
pub struct Record {
    pub deposits: Sides<u128>,
    pub withdrawn: Sides<u128>,
    pub status: AssetStatus,
    pub left: u128,
    pub net: Sides<i128>,
    pub lanes: Sides<ChainLane>,
    /// All that ever left, in any way.
    pub paid: u128,
}

impl Record {
    pub fn deposited(&self) -> u128 {
        self.deposits.a + self.deposits.b
    }

    fn held(&self) -> Result<u128, &'static str> {
        self.deposited().checked_sub(self.withdrawn.a + self.withdrawn.b).ok_or("arithmetic")
    }
}

/// Signatures that were looked at before: the same digest and bytes have the same signer.
type Recovered = Rc<RefCell<HashMap<(B256, [u8; 65]), Option<Address>>>>;

#[derive(Clone)]
pub struct Contract {
    domain: Domain,
    without: Without,
    recovered: Recovered,
    pub records: BTreeMap<(ChannelId, Asset), Record>,
    pub exits: BTreeMap<ChannelId, u64>,
    pub units: BTreeMap<ConditionKey, u32>,
    /// What the external condition answers now.
    pub external: u32,
    /// A contract that takes no ether.
    pub no_ether: Option<Address>,
    /// What came out to an account less what it put in.
    pub accounts: BTreeMap<(Address, Asset), i128>,
}

impl Contract {
    pub fn new(domain: Domain, without: Without) -> Self {
        Self {
            domain,
            without,
            recovered: Rc::default(),
            records: BTreeMap::new(),
            exits: BTreeMap::new(),
            units: BTreeMap::new(),
            external: 0,
            no_ether: None,
            accounts: BTreeMap::new(),
        }
    }

    pub fn account(&self, owner: Address, asset: Asset) -> i128 {
        self.accounts.get(&(owner, asset)).copied().unwrap_or(0)
    }

    pub fn record(&self, id: ChannelId, asset: Asset) -> Record {
        self.records.get(&(id, asset)).cloned().unwrap_or_default()
    }

    fn id(&self, def: &ChannelDef) -> ChannelId {
        def.id(self.domain.chain_id(), self.domain.contract())
    }

    /// Does a call, or changes nothing.
    pub fn call(&mut self, from: Address, now: u64, call: &ChainCall) -> Outcome {
        match call {
            ChainCall::Deposit { channel, side, asset, amount } => {
                let id = self.id(channel);
                self.deposit(from, id, *side, *asset, amount.units())
            }
            ChainCall::Withdraw { channel, withdrawal, signatures, owner_signature } => {
                self.withdraw(now, channel, withdrawal, signatures, owner_signature)
            }
            ChainCall::Close { channel, closing, signatures } => self.close(now, channel, closing, signatures),
            ChainCall::RecordEvidence { items } => self.record_evidence(now, items),
            ChainCall::StartExit { channel, proofs } => {
                let id = self.id(channel);
                if self.exits.contains_key(&id) {
                    return Err("exit running");
                }
                if ![channel.a.owner, channel.a.signer, channel.b.owner, channel.b.signer].contains(&from) {
                    return Err("not a participant");
                }
                self.file_all(from, id, channel, proofs)?;
                self.exits.insert(id, now + u64::from(channel.challenge_period));
                Ok(())
            }
            ChainCall::SubmitProofs { channel, proofs } => {
                let id = self.id(channel);
                let ends = *self.exits.get(&id).ok_or("no exit")?;
                if now > ends {
                    return Err("challenge period over");
                }
                self.file_all(from, id, channel, proofs)
            }
            ChainCall::Settle { channel, assets } => self.settle(now, channel, assets),
            ChainCall::ClaimLocks { channel, lane, claims } => self.claim(now, channel, *lane, claims),
        }
    }

    fn is_open(&self, record: &Record) -> bool {
        record.status == AssetStatus::Open || self.without == Without::ClosedForEver
    }

    fn signed(&self, digest: B256, signature: &Signature, signer: Address) -> Outcome {
        let key = (digest, *signature.as_bytes());
        let known = self.recovered.borrow().get(&key).copied();
        let who = known.unwrap_or_else(|| {
            let who = signature.recover(digest).ok();
            self.recovered.borrow_mut().insert(key, who);
            who
        });
        if who == Some(signer) { Ok(()) } else { Err("wrong signature") }
    }

    fn deposit(&mut self, from: Address, id: ChannelId, side: Side, asset: Asset, amount: u128) -> Outcome {
        let mut record = self.record(id, asset);
        if self.exits.contains_key(&id) {
            return Err("exit running");
        }
        if !self.is_open(&record) || amount == 0 {
            return Err("not open, or nothing");
        }
        let total = record.deposits.of(side).checked_add(amount).filter(|total| *total < 1 << 120).ok_or("too much")?;
        *record.deposits.of_mut(side) = total;
        *self.accounts.entry((from, asset)).or_default() -= amount as i128;
        self.records.insert((id, asset), record);
        Ok(())
    }

    fn withdraw(
        &mut self,
        now: u64,
        def: &ChannelDef,
        withdrawal: &Withdrawal,
        signatures: &Sides<Signature>,
        owner_signature: &Bytes,
    ) -> Outcome {
        let id = self.id(def);
        let mut record = self.record(id, withdrawal.asset);
        if now > withdrawal.deadline || self.exits.contains_key(&id) || !self.is_open(&record) {
            return Err("late, exiting or closed");
        }
        let digest = self.domain.digest(&withdrawal.to_abi(id));
        self.signed(digest, &signatures.a, def.a.signer)?;
        self.signed(digest, &signatures.b, def.b.signer)?;
        let owner = def.participant(withdrawal.side).owner;
        if withdrawal.recipient != owner {
            let signature = Signature::from_slice(owner_signature).map_err(|_| "wrong signature")?;
            self.signed(digest, &signature, owner)?;
        }
        let total = withdrawal.total.units();
        let before = *record.withdrawn.of(withdrawal.side);
        if total <= before {
            return Err("total does not rise");
        }
        if total - before > record.held()? {
            return Err("exceeds what is held");
        }
        // The owner asked for it, so it is the owner's to name one who takes it: nothing becomes a credit here.
        let refuses = withdrawal.asset == ETH && self.no_ether == Some(withdrawal.recipient);
        if (refuses && self.without != Without::Refusal) || withdrawal.recipient == self.domain.contract() {
            return Err("the recipient does not take it");
        }
        *record.withdrawn.of_mut(withdrawal.side) = total;
        self.pay(&mut record, withdrawal.asset, withdrawal.recipient, total - before);
        self.records.insert((id, withdrawal.asset), record);
        Ok(())
    }

    fn close(&mut self, now: u64, def: &ChannelDef, closing: &Closing, signatures: &Sides<Signature>) -> Outcome {
        let id = self.id(def);
        if now > closing.deadline || self.exits.contains_key(&id) {
            return Err("late or exiting");
        }
        let digest = self.domain.digest(&closing.to_abi(id));
        self.signed(digest, &signatures.a, def.a.signer)?;
        self.signed(digest, &signatures.b, def.b.signer)?;
        let mut closed: Vec<(Asset, Record, Sides<u128>)> = Vec::new();
        for named in &closing.assets {
            let mut record = self.record(id, named.asset);
            if !self.is_open(&record) || closed.iter().any(|(asset, ..)| *asset == named.asset) {
                return Err("not open");
            }
            let sum = |sides: &Sides<farthing_protocol::Amount>| sides.a.plus(sides.b).map_err(|_| "unbalanced");
            if sum(&named.totals)? != sum(&named.deposits)? {
                return Err("unbalanced");
            }
            let mut shares = Sides::default();
            for side in Side::BOTH {
                let named_deposit = named.deposits.of(side).units();
                let surplus = record.deposits.of(side).checked_sub(named_deposit).ok_or("deposit missing")?;
                let due = named.totals.of(side).units() + surplus;
                *shares.of_mut(side) = due.checked_sub(*record.withdrawn.of(side)).ok_or("withdrawn too much")?;
            }
            record.status = AssetStatus::Closed;
            closed.push((named.asset, record, shares));
        }
        for (asset, mut record, shares) in closed {
            for side in Side::BOTH {
                self.pay(&mut record, asset, def.participant(side).owner, *shares.of(side));
            }
            self.records.insert((id, asset), record);
        }
        Ok(())
    }

    /// Of several pieces, those are skipped that count for nothing.
    fn record_evidence(&mut self, now: u64, items: &[EvidenceItem]) -> Outcome {
        let mut last = Ok(());
        for item in items {
            last = self.record_piece(now, item);
            if last.is_err() && self.without == Without::Skipping {
                return last;
            }
        }
        if items.len() == 1 { last } else { Ok(()) }
    }

    fn record_piece(&mut self, now: u64, item: &EvidenceItem) -> Outcome {
        if now > item.expiry {
            return Err("evidence late");
        }
        let key = item.condition.key(item.expiry);
        let units = self.prove(&item.condition, key, &item.evidence).ok_or("nothing proven")?;
        let best = self.units.entry(key).or_default();
        *best = units.max(*best);
        Ok(())
    }

    pub fn prove(&self, condition: &Condition, key: ConditionKey, evidence: &[u8]) -> Option<u32> {
        let params = &condition.params;
        let number = |bytes: &[u8]| bytes.try_into().map(u32::from_be_bytes).ok();
        match condition.kind() {
            Kind::HashLock => {
                (evidence.len() == 32 && params.len() == 32 && sha256(evidence) == params[..]).then_some(u32::MAX)
            }
            Kind::HashChain => {
                if params.len() != 36 || evidence.len() != 36 {
                    return None;
                }
                let (n, k) = (number(&params[32..])?, number(&evidence[..4])?);
                if n > 1 << 14 || k == 0 || k > n {
                    return None;
                }
                let word = (0..k).fold(B256::from_slice(&evidence[4..]), |word, _| keccak256(word));
                (word[..] == params[..32]).then_some(k)
            }
            Kind::Voucher => {
                if params.len() != 52 || evidence.len() != 69 {
                    return None;
                }
                let units = number(&evidence[..4]).filter(|units| *units > 0)?;
                let digest = self.domain.digest(&abi::Voucher { key: key.0, units });
                let signature = Signature::from_slice(&evidence[4..]).ok()?;
                self.signed(digest, &signature, Address::from_slice(&params[..20])).ok().map(|()| units)
            }
            Kind::External(_) => (self.external > 0).then_some(self.external),
        }
    }

    fn file_all(
        &mut self,
        from: Address,
        id: ChannelId,
        def: &ChannelDef,
        proofs: &[(LaneId, SignedProof, Option<Signature>)],
    ) -> Outcome {
        let before = self.records.clone();
        for (lane, proof, acknowledgement) in proofs {
            if let Err(why) = self.file(from, id, def, *lane, proof, acknowledgement.as_ref()) {
                self.records = before;
                return Err(why);
            }
        }
        Ok(())
    }

    fn file(
        &mut self,
        from: Address,
        id: ChannelId,
        def: &ChannelDef,
        lane: LaneId,
        signed: &SignedProof,
        acknowledgement: Option<&Signature>,
    ) -> Outcome {
        let proof = signed.proof;
        let mut record = self.record(id, lane.asset);
        if !self.is_open(&record) {
            // One asset's end is nothing to the others.
            return if self.without == Without::Skipping { Err("not open") } else { Ok(()) };
        }
        let best = record.lanes.of(lane.payer);
        let acknowledged = acknowledgement.is_some();
        let last_wins = self.without == Without::EqualNonces;
        let repeats = proof.nonce == best.nonce && (best.acknowledged || !acknowledged) && !last_wins;
        if proof.nonce < best.nonce || proof.nonce == 0 || repeats {
            return Ok(());
        }
        if (proof.locked.units() != 0) == (proof.locks_root == empty_root()) {
            return Err("inconsistent locks");
        }
        let payer = def.participant(lane.payer);
        let payee = def.participant(lane.payer.other());
        self.signed(proof.digest(&self.domain, id, lane), &signed.signature, payer.signer)?;
        match acknowledgement {
            Some(signature) => {
                self.signed(proof.acknowledgement_digest(&self.domain, id, lane), signature, payee.signer)?;
            }
            None if from != payee.owner && from != payee.signer && self.without != Without::Admission => {
                return Err("not acknowledged");
            }
            None => {}
        }
        let claims = best.claims.clone();
        *record.lanes.of_mut(lane.payer) = ChainLane {
            nonce: proof.nonce,
            acknowledged,
            transferred: proof.transferred.units(),
            locked: proof.locked.units(),
            root: proof.locks_root,
            claims,
        };
        self.records.insert((id, lane.asset), record);
        Ok(())
    }

    /// Of several assets, those are skipped that are over.
    fn settle(&mut self, now: u64, def: &ChannelDef, assets: &[Asset]) -> Outcome {
        let id = self.id(def);
        if now <= *self.exits.get(&id).ok_or("no exit")? {
            return Err("challenge period running");
        }
        for asset in assets {
            let record = self.record(id, *asset);
            if self.is_open(&record) {
                self.settle_asset(id, def, *asset, record)?;
            } else if assets.len() == 1 {
                return Err("not open");
            }
        }
        Ok(())
    }

    fn settle_asset(&mut self, id: ChannelId, def: &ChannelDef, asset: Asset, mut record: Record) -> Outcome {
        record.left = record.held()?;
        for side in Side::BOTH {
            let (own, other) = (record.lanes.of(side), record.lanes.of(side.other()));
            let net =
                signed(*record.deposits.of(side))? - signed(*record.withdrawn.of(side))? - signed(own.transferred)?
                    + signed(other.transferred)?
                    - signed(own.locked)?;
            // [17] A debt is kept.
            *record.net.of_mut(side) = if self.without == Without::SignedNet { net.max(0) } else { net };
        }
        record.status = AssetStatus::Settled;
        for side in Side::BOTH {
            self.take(&mut record, asset, def, side);
        }
        self.records.insert((id, asset), record);
        Ok(())
    }

    /// Of several claims, those are skipped that change nothing; one that is not of this lane is refused with all.
    fn claim(&mut self, now: u64, def: &ChannelDef, lane: LaneId, claims: &[LockClaim]) -> Outcome {
        let id = self.id(def);
        let mut record = self.record(id, lane.asset);
        if record.status != AssetStatus::Settled {
            return Err("not settled");
        }
        let payee = lane.payer.other();
        let mut moved = false;
        for claim in claims {
            let (fresh, rest) = self.claim_one(now, record.lanes.of_mut(lane.payer), claim)?;
            moved |= fresh > 0 || rest > 0;
            let price = claim.lock.lock.unit_price.units();
            let worth = |units: u32| price.checked_mul(u128::from(units)).ok_or("arithmetic").and_then(signed);
            *record.net.of_mut(payee) += worth(fresh)?;
            *record.net.of_mut(lane.payer) += worth(rest)?;
        }
        if !moved {
            return if claims.len() == 1 { Err("nothing to claim") } else { Ok(()) };
        }
        // The payee first: if a proof locked less than its tree holds, its payer signed that.
        self.take(&mut record, lane.asset, def, payee);
        self.take(&mut record, lane.asset, def, lane.payer);
        self.records.insert((id, lane.asset), record);
        Ok(())
    }

    /// Units that the payee and the payer get more than before.
    fn claim_one(&self, now: u64, shown: &mut ChainLane, claim: &LockClaim) -> Result<(u32, u32), &'static str> {
        let LockClaim { slot, lock: pending, siblings } = claim;
        let lock = pending.lock;
        if pending.condition.key(pending.expiry) != lock.key {
            return Err("wrong condition");
        }
        if shown.locked == 0 || root_of_branch(*slot, lock.leaf(), siblings) != shown.root {
            return Err("lock not found");
        }
        let proven = self.units.get(&lock.key).copied().unwrap_or(0).min(lock.n);
        let redeemable = proven.saturating_sub(lock.redeemed);
        let (paid, returned) = shown.claims.get(slot).copied().unwrap_or_default();
        let fresh = redeemable.checked_sub(paid).ok_or("arithmetic")?;
        let expired = now > pending.expiry;
        let rest =
            if expired && !returned { lock.n.saturating_sub(lock.redeemed).saturating_sub(redeemable) } else { 0 };
        if fresh > 0 || rest > 0 {
            shown.claims.insert(*slot, (redeemable, returned || rest != 0));
        }
        Ok((fresh, rest))
    }

    /// Pays a positive net as far as there is money left for it.
    fn take(&mut self, record: &mut Record, asset: Asset, def: &ChannelDef, side: Side) {
        let net = *record.net.of(side);
        if net <= 0 {
            return;
        }
        let paid = (net as u128).min(record.left);
        record.left -= paid;
        *record.net.of_mut(side) -= paid as i128;
        self.pay(record, asset, def.participant(side).owner, paid);
    }

    fn pay(&mut self, record: &mut Record, asset: Asset, to: Address, amount: u128) {
        record.paid += amount;
        *self.accounts.entry((to, asset)).or_default() += amount as i128;
    }
}

fn signed(units: u128) -> Result<i128, &'static str> {
    i128::try_from(units).map_err(|_| "arithmetic")
}
