//! What the processes do with each other: commits and their effects, messages, and what goes to the tower.

use super::machine::Act;
use super::world::{ALICE, BOB, HUB, STORE, TOWER, World};
use farthing_protocol::message::Message;
use farthing_protocol::proof::LaneId;
use farthing_protocol::types::ChannelId;
use farthing_protocol::wallet::Event;

impl World {
    /// Until nothing moves.
    pub fn settle(&mut self) {
        for _ in 0..2_000 {
            let mut moved = false;
            for who in [ALICE, BOB, HUB] {
                moved |= self.poll(who);
            }
            for wallet in [ALICE, BOB] {
                moved |= self.deliver(wallet, HUB);
                moved |= self.deliver(wallet, wallet);
            }
            if !moved || self.broken.is_some() {
                return;
            }
        }
        self.fail("the world does not come to rest");
    }

    /// Commits, and carries out what the commit allows.
    fn poll(&mut self, who: usize) -> bool {
        let now = self.now();
        if !self.processes[who].running || self.processes[who].failed {
            return false;
        }
        let commit = match self.processes[who].machine.poll(now) {
            Ok(Some(commit)) => commit,
            Ok(None) => return false,
            Err(error) => {
                self.fail(format!("poll: {error}"));
                return false;
            }
        };
        if !commit.writes.is_empty() {
            if self.begin(who, || STORE.into()) {
                return true;
            }
            if self.store_refuses(who) {
                self.see("storage-failed");
                if let Err(why) = self.processes[who].poison(now) {
                    self.fail(why);
                }
                for wallet in [ALICE, BOB] {
                    if who == HUB || who == wallet {
                        self.cut(wallet);
                    }
                }
                return true;
            }
            self.processes[who].write(&commit.writes);
            if self.end(who) {
                return true;
            }
        }
        let acts = match self.processes[who].machine.committed(commit) {
            Ok(acts) => acts,
            Err(error) => {
                self.fail(format!("committed: {error}"));
                return false;
            }
        };
        let mut told = Vec::new();
        for act in acts {
            if let Act::Tell(event) = act {
                told.push(event);
                continue;
            }
            if self.begin(who, || label(&act)) {
                return true;
            }
            match act {
                Act::Send(channel, message) => self.send(who, channel, &message),
                Act::Submit(id, channel, call) => {
                    let Self { processes, chain, .. } = self;
                    processes[who].submit(chain, id, channel, call);
                }
                Act::Tell(_) => {}
            }
            if self.end(who) {
                return true;
            }
        }
        if !told.is_empty() {
            if self.begin(who, || "tell the application".into()) {
                return true;
            }
            for event in told {
                self.told(&event);
            }
            let _ = self.end(who);
        }
        true
    }

    fn told(&mut self, event: &Event) {
        if self.trace {
            println!("    {}", format!("{event:?}").chars().take(200).collect::<String>());
        }
        match event {
            Event::Declined { what, code, .. } => self.see(format!("{what} declined: {code}")),
            Event::Outdated => self.see("state-outdated"),
            Event::Overdue { .. } => self.see("overdue"),
            // The ledger, not the scenario, looks at these.
            Event::Payment(_)
            | Event::Balance { .. }
            | Event::Withdrawal(_)
            | Event::Closing(_)
            | Event::EndAsked { .. }
            | Event::ExitStarted { .. }
            | Event::Exit { .. } => {}
        }
    }

    fn send(&mut self, who: usize, channel: ChannelId, message: &Message) {
        let wallet = if channel == self.id(ALICE) { ALICE } else { BOB };
        if let Message::Update { asset, .. } = message {
            *self.updates.entry((who, channel, *asset)).or_default() += 1;
        }
        let lost = who != HUB && self.links[wallet].mute && matches!(message, Message::Reveal { .. });
        if !self.links[wallet].up || lost {
            return;
        }
        let text = message.encode().unwrap();
        let message = Message::decode(&text).unwrap();
        if self.trace {
            println!("    {}", text.chars().take(400).collect::<String>());
        }
        let link = &mut self.links[wallet];
        if who == HUB { link.to_wallet.push_back(message) } else { link.to_hub.push_back(message) }
    }

    /// Everything that has arrived for one end of a link.
    fn deliver(&mut self, wallet: usize, to: usize) -> bool {
        let mut moved = false;
        while !self.processes[to].failed {
            let link = &mut self.links[wallet];
            let queue = if to == HUB { &mut link.to_hub } else { &mut link.to_wallet };
            let Some(message) = queue.pop_front() else { break };
            moved = true;
            if self.begin(to, || format!("receive {}", name(&message))) {
                break;
            }
            let (id, now) = (self.id(wallet), self.now());
            if let Err(error) = self.processes[to].machine.handle(id, message, now) {
                self.fail(format!("handle: {error}"));
            }
            if self.end(to) {
                break;
            }
        }
        moved
    }

    /// A wallet hands its newest proofs to the tower.
    pub fn watch(&mut self, wallet: usize) {
        let (order, lanes) = super::scenario::watch_order(self, wallet);
        if lanes.is_empty() || self.begin(wallet, || "send watch_put".into()) || self.end(wallet) {
            return;
        }
        if self.begin(TOWER, || "receive watch_put".into()) || self.end(TOWER) {
            return;
        }
        let rows = match self.tower.admit(&order, &lanes, self.chain.now) {
            Ok(rows) => rows,
            Err(error) => return self.fail(format!("the tower refuses: {error}")),
        };
        if self.begin(TOWER, || STORE.into()) {
            return;
        }
        if self.store_refuses(TOWER) {
            return self.see("the tower gave no receipt");
        }
        self.tower.rows.extend(rows);
        if self.end(TOWER) {
            return;
        }
        let receipts = self.tower.receipts(self.id(wallet), &lanes);
        if self.begin(TOWER, || "send receipts".into()) {
            return;
        }
        let (id, tower) = (self.id(wallet), self.tower.key.address());
        for (lane, receipt) in lanes.iter().zip(receipts) {
            let name = LaneId { asset: lane.asset, payer: lane.payer };
            if let Err(error) = receipt.verify(&self.domain, tower, id, name, &lane.signed) {
                return self.fail(format!("a receipt does not hold: {error}"));
            }
            self.receipts[wallet].insert(name, lane.signed.proof.nonce);
        }
        let _ = self.end(TOWER);
    }
}

fn label(act: &Act) -> String {
    match act {
        Act::Send(_, message) => format!("send {}", name(message)),
        Act::Submit(_, _, call) => format!("submit {}", call.label()),
        Act::Tell(_) => "tell the application".into(),
    }
}

/// A message's name.
fn name(message: &Message) -> String {
    let text = format!("{message:?}");
    text.split([' ', '(', '{']).next().unwrap_or_default().into()
}
