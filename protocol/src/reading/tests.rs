//! Rule by rule, on a chain that is simulated.

mod nodes;
mod one;
mod random;
mod sim;

use super::{Answer, Log, Note, Question, Step, Wanted};
use crate::amount::Amount;
use crate::chain::ChainFact;
use crate::error::{Code, Error};
use alloc::vec;
use alloc::vec::Vec;
use alloy_primitives::Address;
use sim::{CONFIRMATIONS, Chain, Driver, Event, Node, channel, config, key};

fn error() -> Error {
    Error::new(Code::ChainUnavailable, "failed")
}

#[test]
fn facts_come_before_the_head_and_the_cursor_before_the_facts() {
    let (mut chain, mut node, mut driver) = (Chain::of(10), Node::default(), Driver::new(&[1]));
    let head = driver.look(&chain, &mut node).unwrap();
    assert_eq!((head.number, head.final_number), (9, 9 - CONFIRMATIONS));
    assert_eq!(driver.deposit_of(1), Some(Amount::ZERO), "read as a whole");
    chain.mine([Event::Deposit(1, 5), Event::Evidence(7, 3), Event::Deposit(2, 9)]);
    for _ in 0..CONFIRMATIONS {
        driver.look(&chain, &mut node).unwrap();
        assert_eq!(driver.deposit_of(1), Some(Amount::ZERO), "not final");
        chain.mine([]);
    }
    driver.steps.clear();
    driver.look(&chain, &mut node).unwrap();
    assert_eq!(driver.deposit_of(1), Some(Amount::new(5)));
    assert!(driver.evidence.contains(&key(7)));
    assert_eq!(driver.deposit_of(2), None, "nobody watches it");
    let told: Vec<_> = driver.steps.iter().copied().filter(|step| *step != "ask").collect();
    assert_eq!(told, ["store", "head", "store"]);
    assert_eq!(driver.stored.as_ref().unwrap().next, 11);
}

#[test]
fn nothing_is_asked_about_a_chain_that_stands_still() {
    let (chain, mut node, mut driver) = (Chain::of(10), Node::default(), Driver::new(&[1]));
    driver.look(&chain, &mut node).unwrap();
    node.requests.clear();
    driver.look(&chain, &mut node).unwrap();
    assert_eq!((node.requests.len(), driver.heads.len()), (1, 1));
    driver.reading.add(channel(2));
    driver.look(&chain, &mut node).unwrap();
    assert_eq!(driver.deposit_of(2), Some(Amount::ZERO), "unless a channel is new");
}

#[test]
fn a_failed_question_is_no_answer_wherever_it_fails() {
    // Each request of the look fails once; afterwards all is as if it had not.
    for fails_after in 0.. {
        let (mut chain, mut node, mut driver) = (Chain::of(10), Node::default(), Driver::new(&[1, 2]));
        driver.look(&chain, &mut node).unwrap();
        chain.mine([Event::Deposit(1, 5), Event::Evidence(7, 3), Event::Exit(2, 9_000), Event::Shown(2, 4)]);
        for _ in 0..CONFIRMATIONS {
            chain.mine([]);
        }
        driver.keys.insert(key(7));
        let heads = driver.heads.len();
        node.fails_after = Some(fails_after);
        let Err(_) = driver.look(&chain, &mut node) else {
            assert!(fails_after > 5, "all of the look was tried");
            break;
        };
        assert_eq!(driver.reading.step(), Step::Rest, "the look is over");
        let is_told = driver.heads.len() > heads;
        assert_eq!(driver.evidence.contains(&key(7)), is_told, "all or nothing");
        assert_eq!(driver.deposit_of(1) == Some(Amount::new(5)), is_told);
        driver.keys.insert(key(7));
        driver.look(&chain, &mut node).unwrap();
        assert_eq!(driver.deposit_of(1), Some(Amount::new(5)));
        assert_eq!(driver.exits.get(&channel(2)), Some(&9_000));
        assert_eq!(driver.shown.get(&channel(2)), Some(&4));
        assert_eq!(driver.units.get(&key(7)), Some(&3));
    }
}

#[test]
fn a_step_that_was_not_answered_ends_the_look_and_nothing_counts_out_of_turn() {
    let (chain, mut node, mut driver) = (Chain::of(10), Node::default(), Driver::new(&[1]));
    driver.reading.look(0);
    let Step::Ask(questions) = driver.reading.step() else { panic!("it asks") };
    let answer = node.answer(&chain, &questions[0]).unwrap();
    assert_eq!(driver.reading.step(), Step::Rest);
    assert_eq!(driver.reading.answered(vec![answer]).unwrap_err().code(), Code::Internal);
    driver.reading.look(0);
    assert!(driver.reading.stored().is_err() && driver.reading.told(Vec::new()).is_err());
}

#[test]
fn a_block_of_another_height_ends_the_look_at_once() {
    let (chain, mut node, mut driver) = (Chain::of(10), Node::default(), Driver::new(&[1]));
    driver.reading.look(0);
    let Step::Ask(questions) = driver.reading.step() else { panic!("it asks") };
    let newest = node.answer(&chain, &questions[0]).unwrap();
    driver.reading.answered(vec![newest]).unwrap();
    let Step::Ask(questions) = driver.reading.step() else { panic!("it asks") };
    let [Question::Block(wanted)] = questions[..] else { panic!("for the final block") };
    let other = Answer::Block(chain.block(wanted - 1));
    assert_eq!(driver.reading.answered(vec![other]).unwrap_err().code(), Code::ChainUnavailable);
    assert_eq!(driver.reading.step(), Step::Rest);
}

#[test]
fn an_answer_to_another_question_is_none() {
    let chain = Chain::of(10);
    let block = |number: u64| Answer::Block(chain.block(number));
    let logs = Question::Logs { wanted: Wanted::All, from: 3, to: 5, final_number: 5 };
    let log = |address: Address, block: u64| {
        let data = chain.logs(0, 0).into_iter().map(|log| log.data).next().unwrap_or_default();
        Answer::Logs(vec![Log { address, topics: vec![], data, block, block_hash: None, index: None, removed: false }])
    };
    let fits = |question: &Question, answer: &Answer| question.check(answer, sim::CONTRACT).is_ok();
    assert!(fits(&Question::Newest, &block(3)) && !fits(&Question::Newest, &Answer::Block(None)));
    assert!(fits(&Question::Block(3), &block(3)) && fits(&Question::Block(3), &Answer::Block(None)));
    assert!(!fits(&Question::Block(3), &block(4)));
    assert!(fits(&logs, &log(sim::CONTRACT, 5)) && !fits(&logs, &log(sim::CONTRACT, 6)));
    assert!(!fits(&logs, &log(Address::ZERO, 5)) && !fits(&logs, &block(3)));
    let calls = Question::Calls { calls: vec![Default::default()], at: super::At::Final(chain.block(1).unwrap()) };
    assert!(fits(&calls, &Answer::Calls(vec![Default::default()])) && !fits(&calls, &Answer::Calls(vec![])));
}

#[test]
fn an_answer_to_another_question_ends_the_look() {
    let (chain, mut node, mut driver) = (Chain::of(10), Node::default(), Driver::new(&[1]));
    let answered = driver.look_at(0, |question| match question {
        Question::Block(number) => node.answer(&chain, &Question::Block(number + 1)),
        question => node.answer(&chain, question),
    });
    assert_eq!(answered.unwrap_err().code(), Code::ChainUnavailable);
    assert!(driver.heads.is_empty() && driver.trace.is_empty());
}

#[test]
fn logs_are_asked_for_within_the_range_and_to_the_newest_block() {
    let (mut chain, mut node, mut driver) = (Chain::of(3), Node::default(), Driver::new(&[1]));
    driver.look(&chain, &mut node).unwrap();
    for _ in 0..30 {
        chain.mine([]);
    }
    let mut asked = Vec::new();
    driver
        .look_at(0, |question| {
            if let Question::Logs { from, to, .. } = question {
                asked.push((*from, *to));
            }
            node.answer(&chain, question)
        })
        .unwrap();
    assert_eq!(asked, [(1, 7), (8, 14), (15, 21), (22, 28), (29, 32)]);
}

#[test]
fn for_a_head_that_goes_back_nothing_is_unlearned() {
    let (mut chain, mut node, mut driver) = (Chain::of(20), Node::default(), Driver::new(&[1]));
    driver.look(&chain, &mut node).unwrap();
    chain.mine([Event::Exit(1, 9_000)]);
    driver.look(&chain, &mut node).unwrap();
    for lag in [1, 2, 1] {
        node.lag = lag;
        // Also where all of the channel is read again.
        driver.reading.add(channel(1));
        let head = driver.look(&chain, &mut node).unwrap();
        assert_eq!(driver.exits.get(&channel(1)), Some(&9_000), "it is in a block that the node does not know");
        assert_eq!((head.number, head.final_number), (20 - lag, 17), "what was final stays so");
        assert_eq!(driver.reading.notes(), []);
    }
    // One that does not know what was final is waited for.
    node.lag = 10;
    let told = driver.trace.len();
    assert!(driver.look(&chain, &mut node).unwrap_err().detail().contains("behind what it said"));
    assert_eq!((driver.trace.len(), driver.reading.notes()), (told, vec![]), "nothing is read anew");
    // Once the chain is as high again, what it says of the exit counts.
    node.lag = 0;
    chain.reorganise(1);
    driver.look(&chain, &mut node).unwrap();
    assert_eq!(driver.exits.get(&channel(1)), None);
}

#[test]
fn after_a_restart_a_node_without_the_block_that_was_read_is_waited_for() {
    let (mut chain, mut node, mut driver) = (Chain::of(20), Node::default(), Driver::new(&[1]));
    driver.look(&chain, &mut node).unwrap();
    chain.mine([]);
    driver.look(&chain, &mut node).unwrap();
    driver.restart();
    node.lag = 2 * CONFIRMATIONS;
    assert!(driver.look(&chain, &mut node).unwrap_err().detail().contains("behind what it said"));
    assert!(driver.reading.notes().is_empty());
    // One that has it, and is behind all the same, takes nothing back that was told.
    node.lag = CONFIRMATIONS - 1;
    let head = driver.look(&chain, &mut node).unwrap();
    assert_eq!((head.number, head.final_number), (18, 17));
}

#[test]
fn a_development_chain_that_stays_shorter_was_reset() {
    let (mut chain, mut node) = (Chain::of(20), Node::default());
    let known = [channel(1)].into();
    let mut driver = Driver::with(super::ReadingConfig { resets_after: Some(60), ..config() }, known);
    chain.mine([Event::Deposit(1, 5)]);
    for _ in 0..CONFIRMATIONS {
        chain.mine([]);
    }
    driver.look(&chain, &mut node).unwrap();
    assert_eq!(driver.deposit_of(1), Some(Amount::new(5)));
    chain.cut(9);
    for now in [1_000, 1_059] {
        assert!(driver.look_at(now, |question| node.answer(&chain, question)).is_err());
    }
    driver.look_at(1_060, |question| node.answer(&chain, question)).unwrap();
    assert_eq!(driver.deposit_of(1), Some(Amount::ZERO));
    assert_eq!(driver.reading.notes(), [Note::Reorganised(20)]);
}

#[test]
fn a_reorganisation_below_what_was_final_has_every_channel_read_again() {
    let (mut chain, mut node, mut driver) = (Chain::of(20), Node::default(), Driver::new(&[1, 2]));
    driver.look(&chain, &mut node).unwrap();
    chain.mine([Event::Deposit(1, 5)]);
    for _ in 0..CONFIRMATIONS + 1 {
        chain.mine([]);
    }
    driver.look(&chain, &mut node).unwrap();
    assert_eq!(driver.deposit_of(1), Some(Amount::new(5)));
    chain.reorganise(CONFIRMATIONS + 3);
    chain.mine([]);
    // Also if the process ends right after it has seen it.
    node.fails_after = Some(5);
    assert!(driver.look(&chain, &mut node).is_err());
    driver.restart();
    driver.look(&chain, &mut node).unwrap();
    assert_eq!(driver.deposit_of(1), Some(Amount::ZERO));
    assert!(driver.stored.as_ref().is_some_and(|cursor| !cursor.whole));
}

#[test]
fn logs_of_a_chain_that_changes_meanwhile_do_not_count() {
    let (mut chain, mut node, mut driver) = (Chain::of(20), Node::default(), Driver::new(&[1]));
    driver.look(&chain, &mut node).unwrap();
    let mut replaced = chain.fork();
    replaced.mine([Event::Evidence(7, 3)]);
    for _ in 0..CONFIRMATIONS {
        replaced.mine([]);
    }
    for _ in 0..=CONFIRMATIONS {
        chain.mine([]);
    }
    let mut seen = &chain;
    let answered = driver.look_at(0, |question| {
        if matches!(question, Question::Logs { .. }) {
            seen = &replaced;
        }
        let answer = node.answer(seen, question)?;
        // As by a node that does not tell the blocks' hashes.
        Ok(match answer {
            Answer::Logs(logs) => Answer::Logs(logs.into_iter().map(|log| Log { block_hash: None, ..log }).collect()),
            answer => answer,
        })
    });
    assert!(answered.unwrap_err().detail().contains("changed"));
    assert!(!driver.evidence.contains(&key(7)));
    // And where it tells them, it is seen at once.
    driver.restart();
    let (mut seen, mut asked) = (&chain, 0);
    let answered = driver.look_at(0, |question| {
        asked += usize::from(matches!(question, Question::Block(_)));
        if matches!(question, Question::Logs { .. }) {
            seen = &replaced;
        }
        node.answer(seen, question)
    });
    assert!(answered.unwrap_err().detail().contains("changed"));
    assert_eq!(asked, 2, "before the final block was asked for again");
}

#[test]
fn an_exit_counts_at_once_and_is_gone_only_when_the_newest_block_says_so() {
    let (mut chain, mut node, mut driver) = (Chain::of(20), Node::default(), Driver::new(&[1]));
    driver.look(&chain, &mut node).unwrap();
    chain.mine([Event::Exit(1, 9_000)]);
    driver.look(&chain, &mut node).unwrap();
    assert_eq!(driver.exits.get(&channel(1)), Some(&9_000));
    let told = driver.trace.len();
    chain.mine([]);
    driver.look(&chain, &mut node).unwrap();
    assert_eq!(driver.trace.len(), told, "it is told once");
    chain.reorganise(2);
    chain.mine([]);
    // The logs have it no more; a node that does not know the newest block can't say so.
    let newest = chain.newest();
    let answered = driver.look_at(0, |question| match question {
        Question::Calls { at: super::At::Newest(block), .. } => {
            assert_eq!(block.number, newest);
            Err(error())
        }
        question => node.answer(&chain, question),
    });
    assert!(answered.is_err());
    assert_eq!(driver.exits.get(&channel(1)), Some(&9_000));
    driver.look(&chain, &mut node).unwrap();
    assert_eq!(driver.exits.get(&channel(1)), None);
    // Mined again, it is told again, though it ends at the very same second.
    chain.mine([Event::Exit(1, 9_000)]);
    driver.look(&chain, &mut node).unwrap();
    assert_eq!(driver.exits.get(&channel(1)), Some(&9_000));
}

#[test]
fn an_exit_is_doubted_until_it_is_final_also_when_its_log_is_kept_back() {
    let (mut chain, mut node, mut driver) = (Chain::of(20), Node::default(), Driver::new(&[1]));
    driver.look(&chain, &mut node).unwrap();
    chain.mine([Event::Exit(1, 9_000)]);
    driver.look(&chain, &mut node).unwrap();
    chain.mine([]);
    // The logs come from a node that is behind and does not say so; the state has the exit.
    let without_logs = |question: &Question| match question {
        Question::Logs { .. } => Ok(Answer::Logs(Vec::new())),
        question => Node::default().answer(&chain, question),
    };
    driver.look_at(0, without_logs).unwrap();
    assert_eq!(driver.exits.get(&channel(1)), Some(&9_000));
    chain.reorganise(2);
    chain.mine([]);
    driver.look(&chain, &mut node).unwrap();
    assert_eq!(driver.exits.get(&channel(1)), None);
}

#[test]
fn an_exit_that_was_told_by_a_look_without_an_end_is_doubted() {
    let (mut chain, mut node, mut driver) = (Chain::of(20), Node::default(), Driver::new(&[1]));
    driver.look(&chain, &mut node).unwrap();
    chain.mine([Event::Exit(1, 9_000)]);
    // The exit is told before all of another channel is read, and that fails.
    driver.reading.add(channel(2));
    let answered = driver.look_at(0, |question| match question {
        Question::Calls { .. } => Err(error()),
        question => node.answer(&chain, question),
    });
    assert!(answered.is_err());
    assert_eq!(driver.exits.get(&channel(1)), Some(&9_000));
    chain.reorganise(1);
    chain.mine([]);
    driver.look(&chain, &mut node).unwrap();
    assert_eq!(driver.exits.get(&channel(1)), None);
}

#[test]
fn an_exit_from_before_the_start_is_asked_for_if_it_may_have_been_taken_back() {
    let (mut chain, mut node, mut driver) = (Chain::of(20), Node::default(), Driver::new(&[1]));
    driver.look(&chain, &mut node).unwrap();
    chain.mine([Event::Exit(1, 9_000)]);
    driver.look(&chain, &mut node).unwrap();
    driver.restart();
    chain.reorganise(1);
    chain.mine([]);
    driver.look(&chain, &mut node).unwrap();
    assert_eq!(driver.exits.get(&channel(1)), None);
}

#[test]
fn the_place_moves_on_only_when_all_up_to_it_is_durable() {
    // Wherever the process ends, what was not told before the end is told after it.
    for dies_in in 0.. {
        let (mut chain, mut node, mut driver) = (Chain::of(10), Node::default(), Driver::new(&[1]));
        driver.look(&chain, &mut node).unwrap();
        chain.mine([Event::Evidence(7, 3), Event::Deposit(1, 5)]);
        for _ in 0..CONFIRMATIONS {
            chain.mine([]);
        }
        driver.dies_in = Some(dies_in);
        let Err(_) = driver.look(&chain, &mut node) else {
            assert!(dies_in > 7, "each step was tried");
            break;
        };
        driver.look(&chain, &mut node).unwrap();
        assert!(driver.evidence.contains(&key(7)), "died before step {dies_in}");
        assert_eq!(driver.deposit_of(1), Some(Amount::new(5)));
    }
}

#[test]
fn many_channels_are_read_in_portions_and_what_was_read_is_not_asked_again() {
    let (mut chain, mut node) = (Chain::of(10), Node::default());
    chain.mine([Event::Exit(9, 9_000), Event::Shown(9, 4)]);
    for _ in 0..CONFIRMATIONS {
        chain.mine([]);
    }
    let mut driver = Driver::new(&(0..250).map(|n| n as u8).collect::<Vec<_>>());
    let mut portions = 0;
    let answered = driver.look_at(0, |question| {
        portions += usize::from(matches!(question, Question::Calls { at: super::At::Newest(_), .. }));
        if portions > 2 { Err(error()) } else { node.answer(&chain, question) }
    });
    assert!(answered.is_err());
    assert_eq!((driver.deposits.len(), driver.unread.len()), (200, 50));
    assert_eq!((driver.exits.len(), driver.shown.len()), (1, 1));
    let mut calls = 0;
    driver
        .look_at(0, |question| {
            if let Question::Calls { calls: more, .. } = question {
                calls += more.len();
            }
            node.answer(&chain, question)
        })
        .unwrap();
    // And what the exit was shown in the blocks that were read.
    assert_eq!((driver.deposits.len(), driver.unread.len(), calls), (250, 0, 102));
    assert!(driver.steps.iter().filter(|step| **step == "caught up").count() == 3);
}

#[test]
fn where_much_is_to_be_read_exits_are_told_first() {
    let (mut chain, mut node, mut driver) = (Chain::of(10), Node::default(), Driver::new(&[1]));
    driver.look(&chain, &mut node).unwrap();
    chain.mine([Event::Exit(1, 9_000)]);
    driver.reading.add(channel(2));
    driver.trace.clear();
    driver.look(&chain, &mut node).unwrap();
    assert_eq!(driver.trace[0], (Some(channel(1)), ChainFact::ExitStarted { ends_at: 9_000 }));
}

#[test]
fn much_that_happened_is_told_in_portions() {
    let (mut chain, mut node) = (Chain::of(10), Node::default());
    let mut driver = Driver::new(&(0..250).map(|n| n as u8).collect::<Vec<_>>());
    driver.look(&chain, &mut node).unwrap();
    chain.mine((0..250).map(|n| Event::Deposit(n as u8, 5)));
    for _ in 0..CONFIRMATIONS {
        chain.mine([]);
    }
    driver.steps.clear();
    driver.look(&chain, &mut node).unwrap();
    assert!(driver.deposits.values().all(|deposit| *deposit == 5));
    let told: Vec<_> = driver.steps.iter().copied().filter(|step| *step != "ask").collect();
    assert_eq!(told, ["store", "tell", "tell", "head", "store"]);
}

#[test]
fn a_channel_that_is_announced_is_read_in_the_same_look() {
    let (mut chain, mut node, mut driver) = (Chain::of(10), Node::default(), Driver::new(&[]));
    driver.look(&chain, &mut node).unwrap();
    chain.mine([Event::Open(4), Event::Deposit(4, 6)]);
    for _ in 0..CONFIRMATIONS {
        chain.mine([]);
    }
    driver.look(&chain, &mut node).unwrap();
    assert_eq!(driver.deposit_of(4), Some(Amount::new(6)));
}

#[test]
fn keys_are_read_at_the_final_block_and_in_batches() {
    let (mut chain, mut node, mut driver) = (Chain::of(10), Node::default(), Driver::new(&[]));
    chain.mine([Event::Evidence(7, 3)]);
    driver.keys = (0..150).map(key).collect();
    driver.look(&chain, &mut node).unwrap();
    assert_eq!(driver.units.len(), 150);
    assert_eq!(driver.units.get(&key(7)), Some(&0), "it is not final");
    assert_eq!(driver.steps.iter().filter(|step| **step == "recorded").count(), 2);
    for _ in 0..CONFIRMATIONS {
        chain.mine([]);
    }
    driver.keys = [key(7)].into();
    driver.look(&chain, &mut node).unwrap();
    assert_eq!(driver.units.get(&key(7)), Some(&3));
}

#[test]
fn a_claim_is_told_when_it_is_final() {
    let (mut chain, mut node, mut driver) = (Chain::of(10), Node::default(), Driver::new(&[1]));
    driver.look(&chain, &mut node).unwrap();
    chain.mine([Event::Claimed(1, 4)]);
    let claimed = |driver: &Driver| driver.trace.iter().any(|(_, fact)| matches!(fact, ChainFact::Claimed { .. }));
    for _ in 0..CONFIRMATIONS {
        driver.look(&chain, &mut node).unwrap();
        assert!(!claimed(&driver));
        chain.mine([]);
    }
    driver.look(&chain, &mut node).unwrap();
    assert!(claimed(&driver));
}
