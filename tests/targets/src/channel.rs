//! Arbitrary messages, some of them well signed, to one participant's machine.

use super::input::Input;
use super::lane::op;
use super::{def, domain, key};
use farthing_protocol::amount::Amount;
use farthing_protocol::chain::{AssetStatus, ChainFact, Head};
use farthing_protocol::channel::{Channel, Policy};
use farthing_protocol::lane::{Lane, Update};
use farthing_protocol::message::{Closing, ClosingAsset, LaneSync, Message, Withdrawal};
use farthing_protocol::proof::SignedProof;
use farthing_protocol::types::{ETH, Side, Sides};

const START: u64 = 1_700_000_000;

/// The machine, and the lane of its hostile peer.
struct World {
    channel: Channel,
    us: Side,
    now: u64,
    /// What the peer pays with, as far as it was accepted.
    theirs: Lane,
    nonce: u64,
    deposits: Sides<Amount>,
    ticket: u64,
}

/// Nothing panics, nothing is spent or accepted that is not there, and copies of lanes agree.
pub fn channel(data: &[u8]) {
    let mut input = Input::new(data);
    let us = if input.byte().is_multiple_of(2) { Side::A } else { Side::B };
    let channel = Channel::new(domain(), def(), us, Policy::default()).unwrap();
    let mut world =
        World { channel, us, now: START, theirs: Lane::default(), nonce: 0, deposits: Sides::default(), ticket: 0 };
    world.head(0);
    world.deposit(100, 100);
    for _ in 0..40 {
        if input.is_empty() {
            break;
        }
        world.step(&mut input);
        world.check();
    }
}

impl World {
    fn our_key(&self) -> farthing_protocol::sign::SecretKey {
        key(if self.us == Side::A { 0x1a } else { 0x1b })
    }

    fn peer_key(&self) -> farthing_protocol::sign::SecretKey {
        key(if self.us == Side::A { 0x1b } else { 0x1a })
    }

    fn handle(&mut self, message: Message) {
        let key = self.our_key();
        self.channel.handle(message, &key, self.now);
    }

    fn step(&mut self, input: &mut Input<'_>) {
        match input.byte() % 16 {
            0 => self.raw(input),
            1..=4 => self.update(input),
            5 => self.accepted(input),
            6 => {
                let last = self.channel.state().assets.get(&ETH).and_then(|book| book.out.accepted);
                let nonce = self.our_nonce(input);
                self.handle(Message::Refused { asset: ETH, nonce, code: "x".into(), message: String::new(), last });
            }
            7 => {
                let (slot, placed) = self.our_lock(input);
                let evidence = vec![input.byte() % 8; 32].into();
                self.handle(Message::Reveal { asset: ETH, slot, placed, evidence });
            }
            8 => {
                let (slot, placed) = self.our_lock(input);
                self.handle(match input.byte() % 4 {
                    0 => Message::Fail { asset: ETH, slot, placed, code: "x".into() },
                    1 => Message::Cancel { asset: ETH, slot, placed },
                    2 => Message::Held { asset: ETH, slot, placed },
                    _ => Message::Forwarded { asset: ETH, slot, placed },
                });
            }
            9 | 10 => self.pay(input),
            11 => self.head(u64::from(input.byte()) * 400),
            12 => self.deposit(input.byte().into(), input.byte().into()),
            13 => self.withdrawal(input),
            14 => self.closing(input),
            _ => self.reconnect(input),
        }
    }

    /// Whatever can be decoded.
    fn raw(&mut self, input: &mut Input<'_>) {
        let length = usize::from(u16::from_be_bytes(input.array()));
        if let Ok(text) = core::str::from_utf8(input.slice(length))
            && let Ok(message) = Message::decode(text)
        {
            self.handle(message);
        }
    }

    /// The peer's next update, signed, often right.
    fn update(&mut self, input: &mut Input<'_>) {
        let ops: Vec<_> = (0..input.byte() % 4).map(|_| op(input, self.now + 86_400)).collect();
        let base = self.channel.state().assets.get(&ETH).map_or(0, |book| book.inc.accepted_nonce());
        let twist = input.byte();
        let nonce = match twist {
            0 => self.nonce,
            1 => input.number(),
            _ => self.nonce.max(base).saturating_add(1),
        };
        let mut lane = self.theirs.clone();
        let _ = lane.apply(nonce, &ops);
        let mut proof = lane.statement(nonce, 0);
        match twist {
            2 => proof.transferred = Amount::new(input.amount()),
            3 => proof.locked = Amount::new(input.amount()),
            4 => proof.seen = input.number(),
            _ => {}
        }
        let lane_id = self.channel.their_lane(ETH);
        let signer = if twist == 5 { self.our_key() } else { self.peer_key() };
        let signature = SignedProof::sign(proof, &domain(), self.channel.id(), lane_id, &signer).signature;
        let base = if twist == 6 { input.number() } else { base };
        self.handle(Message::Update { asset: ETH, update: Update { base, ops, proof, signature } });
        let accepted = self.channel.state().assets.get(&ETH).and_then(|book| book.inc.accepted);
        if accepted.is_some_and(|signed| signed.proof == proof && signed.signature == signature) {
            // What was accepted is what was signed, by the peer's key.
            accepted.unwrap().verify(&domain(), self.channel.id(), lane_id, self.peer_key().address()).unwrap();
            assert!(nonce > self.nonce || self.nonce == nonce);
            assert_eq!(lane.statement(nonce, proof.seen), proof);
            self.theirs = lane;
        }
        let seen = self.channel.state().assets.get(&ETH).map_or(0, |book| book.inc.seen);
        self.nonce = self.nonce.max(seen);
    }

    fn accepted(&mut self, input: &mut Input<'_>) {
        let nonce = self.our_nonce(input);
        let lane = self.channel.our_lane(ETH);
        let proof = self.channel.state().assets.get(&ETH).and_then(|book| {
            let flights = book.out.in_flight.iter().map(|flight| flight.update.proof);
            flights.chain(book.out.accepted.map(|signed| signed.proof)).find(|proof| proof.nonce == nonce)
        });
        let signer = if input.byte() == 0 { self.our_key() } else { self.peer_key() };
        let acknowledgement = proof
            .filter(|_| input.byte().is_multiple_of(2))
            .map(|proof| signer.sign(proof.acknowledgement_digest(&domain(), self.channel.id(), lane)));
        self.handle(Message::Accepted { asset: ETH, nonce, acknowledgement });
    }

    fn our_nonce(&self, input: &mut Input<'_>) -> u64 {
        let highest = self.channel.state().assets.get(&ETH).map_or(0, |book| book.out.highest);
        match input.byte() {
            255 => input.number(),
            back => highest.saturating_sub(u64::from(back % 4)),
        }
    }

    fn our_lock(&self, input: &mut Input<'_>) -> (u16, u64) {
        let at = usize::from(input.byte());
        let lock = self.channel.state().assets.get(&ETH).and_then(|book| {
            let locks = &book.out.lane.locks;
            locks.iter().nth(at % locks.len().max(1)).map(|(slot, pending)| (*slot, pending.placed))
        });
        lock.unwrap_or((u16::from(input.byte()), input.number()))
    }

    /// We pay.
    fn pay(&mut self, input: &mut Input<'_>) {
        for _ in 0..input.byte() % 4 {
            self.ticket += 1;
            let op = op(input, self.now + 86_400);
            let _ = self.channel.queue(ETH, op, self.ticket, self.now);
        }
        let key = self.our_key();
        self.channel.flush(&key, self.now);
    }

    fn head(&mut self, seconds: u64) {
        self.now += seconds;
        let head = Head { number: self.now, timestamp: self.now, final_number: self.now, final_timestamp: self.now };
        self.channel.handle_head(head);
        self.channel.tick(self.now);
    }

    /// Deposits only rise; a reorg that takes one back is the model test's.
    fn deposit(&mut self, a: u128, b: u128) {
        for (side, amount) in [(Side::A, a), (Side::B, b)] {
            let total = self.deposits.of_mut(side);
            *total = total.plus(Amount::new(amount)).unwrap();
        }
        let withdrawn = self.channel.state().assets.get(&ETH).map(|book| book.withdrawn).unwrap_or_default();
        let fact = ChainFact::Asset { asset: ETH, deposits: self.deposits, withdrawn, status: AssetStatus::Open };
        self.channel.handle_chain(&fact, self.now);
        self.handle(Message::Funds { asset: ETH, deposits: self.deposits });
    }

    fn withdrawal(&mut self, input: &mut Input<'_>) {
        let total = Amount::new(input.amount());
        let deadline = self.now + u64::from(input.byte()) * 20;
        if input.byte().is_multiple_of(2) {
            let key = self.our_key();
            let owner = def().participant(self.us).owner;
            let _ = self.channel.propose_withdrawal(ETH, total, owner, Default::default(), deadline, true, &key);
            return;
        }
        let side = self.us.other();
        let withdrawal = Withdrawal { asset: ETH, side, total, recipient: def().participant(side).owner, deadline };
        let signature = self.peer_key().sign(domain().digest(&withdrawal.to_abi(self.channel.id())));
        self.handle(Message::WithdrawProposal {
            withdrawal,
            signature,
            owner_signature: Default::default(),
            submit: input.byte().is_multiple_of(2),
        });
        self.handle(Message::WithdrawSigned { withdrawal, signature });
    }

    fn closing(&mut self, input: &mut Input<'_>) {
        let deadline = self.now + u64::from(input.byte()) * 20;
        if input.byte().is_multiple_of(2) {
            let key = self.our_key();
            let _ = self.channel.propose_closing(&[ETH], deadline, true, &key);
            return;
        }
        let Some(book) = self.channel.state().assets.get(&ETH) else { return };
        let (ours, theirs) = (book.out.lane.transferred, book.inc.lane.transferred);
        let mut totals = self.deposits;
        for (side, plus, minus) in [(self.us, theirs, ours), (self.us.other(), ours, theirs)] {
            let total = totals.of_mut(side);
            *total = total.plus(plus).and_then(|sum| sum.minus(minus)).unwrap_or_default();
        }
        let mut assets = vec![ClosingAsset { asset: ETH, totals, deposits: self.deposits }];
        if input.byte().is_multiple_of(4) {
            assets.push(assets[0]);
        }
        let closing = Closing { assets, deadline };
        let signature = self.peer_key().sign(domain().digest(&closing.to_abi(self.channel.id())));
        self.handle(Message::CloseProposal { closing: closing.clone(), signature, submit: false });
        self.handle(Message::CloseSigned { closing, signature });
    }

    fn reconnect(&mut self, input: &mut Input<'_>) {
        self.channel.disconnected();
        self.channel.connected();
        let book = self.channel.state().assets.get(&ETH);
        let accepted =
            book.and_then(|book| if input.byte().is_multiple_of(2) { book.out.accepted } else { book.out.tip() });
        self.handle(Message::Sync {
            lanes: vec![LaneSync { asset: ETH, signed: None, accepted, acknowledgement: None }],
        });
    }

    /// What must hold after every step.
    fn check(&mut self) {
        let Some(book) = self.channel.state().assets.get(&ETH) else { return };
        let funds = |side: Side, received: Amount| {
            book.deposits.of(side).plus(received).unwrap().minus(book.withdrawn_counted(side))
        };
        // We never owe more than we have, whichever of our proofs is shown.
        let ours = funds(self.us, book.inc.lane.transferred).expect("we never withdraw more than we have");
        assert!(book.out.worst() <= ours, "we could owe {} of {ours}", book.out.worst());
        // We never accept more than the peer has, counting only what it holds proofs for.
        let received = book.out.accepted.map_or(Amount::ZERO, |signed| signed.proof.transferred);
        let theirs = funds(self.us.other(), received).expect("the peer never withdraws more than it has");
        assert!(book.inc.lane.spent().unwrap() <= theirs, "the peer owes more than it has");
        // Both copies of the peer's lane agree, and what is stored is what was signed.
        let mut lane = book.inc.lane.clone();
        assert_eq!((lane.transferred, lane.locked, lane.root()), {
            let theirs = &mut self.theirs;
            (theirs.transferred, theirs.locked, theirs.root())
        });
        if let Some(signed) = book.inc.accepted {
            assert_eq!(lane.statement(signed.proof.nonce, signed.proof.seen), signed.proof);
        }
        if let Some(signed) = book.out.tip()
            && book.out.in_flight.back().is_some()
        {
            let mut lane = book.out.lane.clone();
            assert_eq!(lane.statement(signed.proof.nonce, signed.proof.seen), signed.proof);
        }
        let exposed = book.out.exposures.iter().map(|exposure| exposure.nonce);
        assert!(exposed.clone().all(|nonce| nonce <= book.out.highest));
    }
}
