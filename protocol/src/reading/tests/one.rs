//! Who cares about one channel, and asks for its logs only.

use super::error;
use super::sim::{CONFIRMATIONS, Chain, Driver, Event, Node, channel, config, key};
use crate::amount::Amount;
use crate::reading::{Answer, Question, ReadingConfig, Wanted};
use crate::types::{Asset, ETH};
use alloc::vec;
use alloc::vec::Vec;

fn driver() -> Driver {
    Driver::with(ReadingConfig { by_channel: true, ..config() }, [channel(1)].into())
}

fn finalise(chain: &mut Chain) {
    for _ in 0..CONFIRMATIONS {
        chain.mine([]);
    }
}

/// Looks, and says which logs were asked for.
fn asked(driver: &mut Driver, chain: &Chain, node: &mut Node) -> Vec<(Wanted, u64, u64)> {
    let mut asked = Vec::new();
    let looked = driver.look_at(0, |question| {
        if let Question::Logs { wanted, from, to, .. } = question {
            asked.push((wanted.clone(), *from, *to));
        }
        node.answer(chain, question)
    });
    looked.unwrap();
    asked
}

#[test]
fn what_is_read_as_a_whole_at_first_needs_no_logs() {
    let (mut chain, mut node, mut driver) = (Chain::of(3), Node::default(), driver());
    chain.mine([Event::Deposit(1, 5)]);
    finalise(&mut chain);
    chain.mine([Event::Exit(1, 9_000)]);
    assert_eq!(asked(&mut driver, &chain, &mut node), []);
    assert_eq!(driver.deposit_of(1), Some(Amount::new(5)));
    assert_eq!(driver.exits.get(&channel(1)), Some(&9_000), "of the newest block");
    let newest = chain.newest();
    chain.mine([]);
    let after = newest - CONFIRMATIONS + 1;
    assert_eq!(asked(&mut driver, &chain, &mut node), [(Wanted::Channel(channel(1)), after, newest + 1)]);
}

#[test]
fn only_the_logs_of_the_channel_and_of_evidence_that_is_sought_are_asked_for() {
    let (mut chain, mut node, mut driver) = (Chain::of(10), Node::default(), driver());
    driver.look(&chain, &mut node).unwrap();
    chain.mine([Event::Deposit(1, 5), Event::Deposit(2, 9), Event::Evidence(7, 3), Event::Evidence(8, 3)]);
    finalise(&mut chain);
    driver.reading.seek(vec![key(7)]);
    let (from, to) = (10 - CONFIRMATIONS, chain.newest());
    let logs = asked(&mut driver, &chain, &mut node);
    let evidence = (Wanted::Evidence(vec![key(7)]), from, to - CONFIRMATIONS);
    assert_eq!(logs, [(Wanted::Channel(channel(1)), from, to), evidence]);
    assert_eq!(driver.deposit_of(1), Some(Amount::new(5)));
    assert!(driver.evidence.contains(&key(7)) && !driver.evidence.contains(&key(8)));
}

#[test]
fn logs_that_were_not_wanted_are_no_answer() {
    let (mut chain, mut node, mut driver) = (Chain::of(10), Node::default(), driver());
    driver.look(&chain, &mut node).unwrap();
    chain.mine([Event::Deposit(2, 9)]);
    let all = |question: &Question| match question {
        Question::Logs { from, to, .. } => Ok(Answer::Logs(chain.logs(*from, *to))),
        question => node.answer(&chain, question),
    };
    assert!(driver.look_at(0, all).unwrap_err().detail().contains("not asked for"));
    let log = chain.logs(10, 10).remove(0);
    assert!(Wanted::All.takes(&log) && Wanted::Channel(channel(2)).takes(&log));
    assert!(!Wanted::Channel(channel(1)).takes(&log) && !Wanted::Evidence(vec![key(2)]).takes(&log));
}

#[test]
fn evidence_that_the_logs_keep_back_is_asked_of_the_contract_before_the_head() {
    let (mut chain, mut node, mut driver) = (Chain::of(10), Node::default(), driver());
    driver.look(&chain, &mut node).unwrap();
    chain.mine([Event::Evidence(7, 3)]);
    finalise(&mut chain);
    driver.reading.seek(vec![key(7)]);
    let refuses = |question: &Question| matches!(question, Question::Logs { wanted: Wanted::Evidence(_), .. });
    let is_call = |question: &Question| matches!(question, Question::Calls { .. });
    let heads = driver.heads.len();
    // The contract can't be asked either: nothing was told, and the key is not forgotten.
    let lost = driver.look_at(0, |question| {
        if refuses(question) || is_call(question) { Err(error()) } else { node.answer(&chain, question) }
    });
    assert!(lost.is_err() && driver.heads.len() == heads);
    let logs = asked(&mut driver, &chain, &mut node);
    assert!(logs.iter().all(|(wanted, ..)| !matches!(wanted, Wanted::Evidence(_))), "they were given up");
    assert!(driver.evidence.contains(&key(7)), "asked of the contract");
    assert_eq!(driver.heads.len(), heads + 1);
    let told = driver.trace.len();
    chain.mine([]);
    driver.look(&chain, &mut node).unwrap();
    assert_eq!(driver.trace.len(), told, "once");
    // Other logs are not given up.
    chain.mine([]);
    let looked = driver.look_at(0, |question| match question {
        Question::Logs { wanted: Wanted::Channel(_), .. } => Err(error()),
        question => node.answer(&chain, question),
    });
    assert!(looked.is_err());
}

#[test]
fn an_asset_that_is_new_on_the_list_is_read() {
    let (chain, mut node, mut driver) = (Chain::of(10), Node::default(), driver());
    driver.look(&chain, &mut node).unwrap();
    let told = driver.trace.len();
    driver.reading.list(vec![ETH]);
    driver.look(&chain, &mut node).unwrap();
    assert_eq!(driver.trace.len(), told, "none is new");
    driver.reading.list(vec![ETH, Asset::repeat_byte(7)]);
    driver.look(&chain, &mut node).unwrap();
    assert!(driver.trace.len() >= told + 2, "both are read, though the chain stands still");
}

#[test]
fn more_confirmations_take_nothing_back_and_fewer_count_at_once() {
    let (mut chain, mut node, mut driver) = (Chain::of(10), Node::default(), driver());
    driver.look(&chain, &mut node).unwrap();
    chain.mine([Event::Deposit(1, 5)]);
    driver.reading.confirm(0);
    assert_eq!(driver.look(&chain, &mut node).unwrap().final_number, 10);
    assert_eq!(driver.deposit_of(1), Some(Amount::new(5)));
    driver.reading.confirm(CONFIRMATIONS);
    chain.mine([]);
    assert_eq!(driver.look(&chain, &mut node).unwrap().final_number, 10);
}

#[test]
fn where_no_assets_are_listed_the_logs_of_the_first_block_are_read() {
    let (mut chain, mut node) = (Chain::of(3), Node::default());
    chain.mine([Event::Deposit(1, 5)]);
    finalise(&mut chain);
    let config = ReadingConfig { by_channel: true, assets: None, ..config() };
    let mut driver = Driver::with(config, [channel(1)].into());
    let logs = asked(&mut driver, &chain, &mut node);
    assert_eq!(logs, [(Wanted::Channel(channel(1)), 3, 6)]);
    assert_eq!(driver.deposit_of(1), Some(Amount::new(5)));
}
