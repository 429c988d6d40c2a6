//! The payments of the scenario.

use super::process::Process;
use super::world::{ALICE, BOB, HUB, TOKEN};
use farthing_protocol::types::{Asset, ETH};
use farthing_protocol::wallet::{Direction, Payment, PaymentId};

/// A payment that somebody wants.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    pub number: u16,
    pub from: usize,
    /// To the other wallet, or to the hub.
    pub to: usize,
    pub asset: Asset,
    pub amount: u128,
}

const fn wish(number: u16, from: usize, to: usize, asset: Asset, amount: u128) -> Wish {
    Wish { number, from, to, asset, amount }
}

/// Payments of each step, by the hundreds of their numbers.
pub const WISHES: [Wish; 18] = [
    wish(100, ALICE, BOB, ETH, 300),
    wish(200, BOB, ALICE, ETH, 40),
    wish(201, BOB, ALICE, ETH, 50),
    wish(300, ALICE, BOB, ETH, 7),
    wish(301, ALICE, HUB, ETH, 11),
    wish(302, BOB, ALICE, ETH, 13),
    wish(303, BOB, HUB, ETH, 17),
    wish(304, ALICE, BOB, TOKEN, 200),
    wish(305, BOB, ALICE, TOKEN, 100),
    // A stream, of which so much is paid.
    wish(400, ALICE, BOB, ETH, 60),
    wish(500, ALICE, BOB, ETH, 60),
    wish(600, ALICE, BOB, ETH, 70),
    wish(700, ALICE, BOB, ETH, 2_500),
    wish(900, BOB, ALICE, ETH, 80),
    wish(1_200, ALICE, BOB, ETH, 90),
    wish(1_201, ALICE, BOB, ETH, 95),
    wish(1_300, BOB, ALICE, ETH, 110),
    wish(1_600, ALICE, HUB, TOKEN, 5),
];

/// Direct payments that are made in one go, so that snapshots are written.
pub const SMALL: u16 = 90;

/// All payments of the scenario.
pub fn wishes() -> Vec<Wish> {
    let small = (0..3 * SMALL).map(|number| wish(10_000 + number, ALICE, HUB, ETH, 1));
    WISHES.into_iter().chain(small).collect()
}

pub fn of_step(step: u16) -> impl Iterator<Item = Wish> {
    WISHES.into_iter().filter(move |wish| wish.number / 100 == step)
}

pub fn memo(wish: &Wish) -> String {
    format!("wish {}", wish.number)
}

pub fn id(wish: &Wish) -> PaymentId {
    let mut id = [7; 16];
    id[..2].copy_from_slice(&wish.number.to_be_bytes());
    PaymentId(id)
}

pub fn sent(process: &Process, wish: &Wish) -> Option<Payment> {
    let known = process.wallet().payment(&id(wish)).cloned();
    known.or_else(|| process.payments().into_iter().find(|payment| payment.id == id(wish)))
}

pub fn received(process: &Process, wish: &Wish) -> Option<Payment> {
    let memo = memo(wish);
    let is_it = |payment: &Payment| payment.direction == Direction::Received && payment.memo == memo;
    process.payments().into_iter().find(is_it)
}
