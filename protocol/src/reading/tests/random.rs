//! Many chains, nodes and ends of the process, drawn by seed: whatever happens, each head that is told is one up to
//! which all was told.

use super::sim::{CONFIRMATIONS, Chain, Driver, Event, Node, channel, key};
use crate::reading::{Answer, Question};
use alloc::vec::Vec;

/// SplitMix64.
struct Rng(u64);

impl Rng {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn event(&mut self) -> Event {
        let (n, more) = (self.below(6) as u8, self.below(1_000));
        match self.below(6) {
            0 | 1 => Event::Deposit(n, more.into()),
            2 => Event::Exit(n, 10_000 + more),
            3 => Event::Shown(n, more),
            4 => Event::Claimed(n, 1),
            _ => Event::Evidence(self.below(30) as u8, more as u32 + 1),
        }
    }

    /// What happens to the chain: it goes on, or is reorganised, seldom below what was final.
    fn change(&mut self, chain: &mut Chain) {
        match self.below(12) {
            0 | 1 => chain.reorganise(self.0 % (CONFIRMATIONS + 1)),
            2 if self.chance(20) => chain.reorganise(self.0 % 12),
            3 => {}
            _ => {
                for _ in 0..=self.below(4) {
                    let events: Vec<Event> = (0..self.below(3)).map(|_| self.event()).collect();
                    chain.mine(events);
                }
            }
        }
    }

    /// A node that fails here and there, refuses ranges, and is behind by no more than the confirmations.
    fn trouble(&mut self, node: &mut Node) {
        node.lag = if self.chance(25) { self.below(CONFIRMATIONS + 1) } else { 0 };
        node.most = if self.chance(30) { 1 + self.below(5) } else { u64::MAX };
        node.fails_after = self.chance(35).then(|| self.below(25));
    }
}

/// Whether the listener knows all that the chain says up to the block at which was read.
fn check(driver: &Driver, chain: &Chain, seed: u64) {
    let at = driver.reading.cursor().unwrap().number;
    let state = chain.state(at);
    for n in 0..6 {
        let deposit = state.deposits.get(&n).copied().unwrap_or(0);
        assert_eq!(driver.deposits.get(&channel(n)).copied().unwrap_or(0), deposit, "seed {seed}: channel {n} at {at}");
        if let Some(ends_at) = state.exits.get(&n) {
            // A later one may have been told.
            assert!(driver.exits.contains_key(&channel(n)), "seed {seed}: the exit of {n} at {ends_at}");
        }
        let nonce = state.shown.get(&n).copied().filter(|_| state.exits.contains_key(&n)).unwrap_or(0);
        let shown = driver.shown.get(&channel(n)).copied().unwrap_or(0);
        assert!(nonce == 0 || shown == nonce, "seed {seed}: what the exit of {n} was shown");
    }
    for n in chain.evidence(1, at) {
        assert!(driver.evidence.contains(&key(n)), "seed {seed}: evidence {n} up to {at}");
    }
}

fn play(seed: u64) {
    let mut rng = Rng(seed);
    let (mut chain, mut node) = (Chain::of(1), Node { by_number: rng.chance(30), ..Node::default() });
    let mut driver = Driver::new(&[0, 1, 2, 3, 4, 5]);
    driver.look(&chain, &mut node).unwrap();
    for round in 0..60 {
        rng.change(&mut chain);
        rng.trouble(&mut node);
        if rng.chance(15) {
            driver.dies_in = Some(rng.below(12));
        }
        // The chain may go on while it is read.
        let turn = rng.chance(30).then(|| rng.below(8));
        let mut asked = 0;
        let mut seen = chain.clone();
        let told = driver.heads.len();
        let outcome = driver.look_at(round, |question: &Question| -> Result<Answer, _> {
            asked += 1;
            if turn.is_some_and(|turn| turn == asked) {
                rng.change(&mut seen);
            }
            node.answer(&seen, question)
        });
        chain = seen;
        driver.dies_in = None;
        let there =
            |cursor: &crate::reading::Cursor| chain.block(cursor.number).is_some_and(|block| block.hash == cursor.hash);
        // What was read is of a chain that may be another one by now; the next look says so.
        if (outcome.is_ok() || driver.heads.len() > told) && driver.reading.cursor().is_some_and(there) {
            check(&driver, &chain, seed);
        }
        if rng.chance(10) {
            driver.restart();
        }
    }
    // The node gets well, and the chain goes on.
    node = Node { by_number: node.by_number, ..Node::default() };
    while chain.newest() < 400 && driver.look(&chain, &mut node).is_err() {
        chain.mine([]);
    }
    chain.mine([]);
    driver.look(&chain, &mut node).unwrap();
    check(&driver, &chain, seed);
    let newest = chain.state(chain.newest());
    for n in 0..6 {
        assert_eq!(
            driver.exits.contains_key(&channel(n)),
            newest.exits.contains_key(&n),
            "seed {seed}: the exit of {n}"
        );
    }
}

#[test]
fn each_head_that_is_told_is_one_up_to_which_all_was_told() {
    for seed in 0..250 {
        play(seed);
    }
}
