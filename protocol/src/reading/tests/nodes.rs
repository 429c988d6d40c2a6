//! One node as it is, and what several say together.

use super::error;
use super::sim::{Chain, Event, Node, channel, key};
use crate::error::Error;
use crate::reading::answers::{ask_exits, ask_units};
use crate::reading::{Answer, At, Disagreement, Question, Request, Tag, Wanted, agree};
use alloc::vec;
use alloc::vec::Vec;
use alloy_primitives::U256;
use alloy_sol_types::SolValue;

fn units(chain: &Chain, number: u64) -> Question {
    Question::Calls { calls: ask_units(&[key(7), key(8)]), at: At::Final(chain.block(number).unwrap()) }
}

fn proved(units: u32) -> Answer {
    Answer::Calls(vec![U256::from(units).abi_encode().into(), U256::ZERO.abi_encode().into()])
}

#[test]
fn ranges_are_halved_until_the_node_takes_them() {
    let mut chain = Chain::of(5);
    for n in 0..40 {
        chain.mine([Event::Evidence(n, 1)]);
    }
    for most in [1, 2, 3, 7, 10, 44, 45] {
        let mut node = Node { most, ..Node::default() };
        let question = Question::Logs { wanted: Wanted::All, from: 0, to: 44, final_number: 44 };
        assert_eq!(node.answer(&chain, &question).unwrap(), Answer::Logs(chain.logs(0, 44)), "{most}");
        let asked = node.requests.len();
        assert!(asked <= 8 + 2 * 45_usize.div_ceil(most as usize), "{most}: {asked}");
        // It is remembered what the node takes.
        node.requests.clear();
        node.answer(&chain, &question).unwrap();
        let is_long = |request: &&Request| matches!(request, Request::Logs { from, to, .. } if to - from >= most);
        assert!(node.requests.iter().filter(is_long).count() <= 1, "now and then more is tried");
    }
}

#[test]
fn a_single_block_that_is_refused_is_a_failure() {
    let (chain, mut node) = (Chain::of(9), Node { most: 0, ..Node::default() });
    assert!(node.answer(&chain, &Question::Logs { wanted: Wanted::All, from: 0, to: 8, final_number: 8 }).is_err());
    assert!(node.requests.len() < 10);
}

#[test]
fn a_node_that_was_not_reached_has_refused_no_range() {
    let (chain, mut node) = (Chain::of(9), Node { fails_after: Some(0), ..Node::default() });
    assert!(node.answer(&chain, &Question::Logs { wanted: Wanted::All, from: 0, to: 8, final_number: 8 }).is_err());
    assert_eq!(node.requests.len(), 1);
}

#[test]
fn what_was_refused_once_is_tried_again_later() {
    let (chain, mut node) = (Chain::of(200), Node { most: 1, ..Node::default() });
    let question = Question::Logs { wanted: Wanted::All, from: 0, to: 199, final_number: 199 };
    node.answer(&chain, &question).unwrap();
    node.most = u64::MAX;
    node.requests.clear();
    for _ in 0..3 {
        node.answer(&chain, &question).unwrap();
    }
    assert!(node.requests.len() < 300, "{}", node.requests.len());
}

#[test]
fn state_is_asked_by_the_hash_of_the_block() {
    let mut chain = Chain::of(5);
    chain.mine([Event::Evidence(7, 3)]);
    let mut node = Node::default();
    assert_eq!(node.answer(&chain, &units(&chain, 5)).unwrap(), proved(3));
    assert!(matches!(&node.requests[..], [Request::Calls { tag: Tag::Hash(_), .. }]));
    // A block that is not part of the chain any more has no state.
    let gone = units(&chain, 5);
    chain.reorganise(1);
    assert!(node.answer(&chain, &gone).is_err());
    assert!(!node.manner.lacks_hashes, "it said nothing of hashes");
}

#[test]
fn where_a_node_takes_no_hashes_the_block_is_looked_at_before_and_after() {
    let mut chain = Chain::of(5);
    chain.mine([Event::Evidence(7, 3)]);
    let mut node = Node { by_number: true, ..Node::default() };
    assert_eq!(node.answer(&chain, &units(&chain, 5)).unwrap(), proved(3));
    assert!(node.manner.lacks_hashes);
    node.requests.clear();
    assert_eq!(node.answer(&chain, &units(&chain, 5)).unwrap(), proved(3));
    let [Request::Block(5), Request::Calls { tag: Tag::Number(5), .. }, Request::Block(5)] = &node.requests[..] else {
        panic!("{:?}", node.requests);
    };
    // The chain changes before, and between the look before and the one after.
    let wanted = units(&chain, 5);
    let mut other = chain.clone();
    other.reorganise(1);
    assert!(node.answer(&other, &wanted).unwrap_err().detail().contains("changed"));
    let mut manner = node.manner;
    let mut asking = crate::reading::Asking::new(wanted, &manner);
    let now = |chain: &Chain| Answer::Block(chain.block(5));
    assert_eq!(asking.answered(&mut manner, now(&chain)).unwrap(), None);
    assert_eq!(asking.answered(&mut manner, proved(0)).unwrap(), None);
    assert!(asking.answered(&mut manner, now(&other)).unwrap_err().detail().contains("changed"));
}

#[test]
fn a_node_that_was_not_reached_is_not_asked_in_another_way() {
    let (chain, mut node) = (Chain::of(9), Node { fails_after: Some(0), ..Node::default() });
    assert!(node.answer(&chain, &units(&chain, 5)).is_err());
    assert_eq!(node.requests.len(), 1);
}

#[test]
fn a_node_without_the_block_says_why_and_learns_nothing() {
    let chain = Chain::of(9);
    let mut node = Node { lag: 4, ..Node::default() };
    assert_eq!(node.answer(&chain, &units(&chain, 8)).unwrap_err().detail(), error().detail());
    assert!(!node.manner.lacks_hashes);
}

#[test]
fn nothing_is_an_answer_only_where_there_was_no_contract() {
    let chain = Chain::of(9);
    for by_number in [false, true] {
        let mut node = Node { is_mute: true, has_code: false, by_number, ..Node::default() };
        let question = Question::Calls { calls: ask_exits(&[channel(1)]), at: At::Final(chain.block(5).unwrap()) };
        assert_eq!(node.answer(&chain, &question).unwrap(), Answer::Calls(vec![Default::default()]));
        node.has_code = true;
        assert!(node.answer(&chain, &question).is_err(), "it is there, and was not asked");
    }
}

type Answers = Vec<Result<Answer, Error>>;

#[test]
fn two_nodes_have_to_agree_and_one_alone_is_believed() {
    let chain = Chain::of(9);
    let question = units(&chain, 5);
    let said = |answers: Answers| agree(&question, answers);
    assert_eq!(said(vec![Ok(proved(3))]), Ok(proved(3)));
    assert_eq!(said(vec![Ok(proved(3)), Ok(proved(0))]), Err(Disagreement::Differ));
    assert_eq!(said(vec![Ok(proved(3)), Ok(proved(0)), Ok(proved(3))]), Ok(proved(3)));
    assert_eq!(said(vec![Ok(proved(3)), Err(error())]).unwrap_err(), Disagreement::Differ);
    assert_eq!(said(vec![Err(error()), Err(error())]).unwrap_err(), Disagreement::Failed(error()));
    assert_eq!(said(vec![]).unwrap_err(), Disagreement::Nobody);
}

#[test]
fn a_node_without_a_block_says_nothing_of_it() {
    let (chain, mut other) = (Chain::of(9), Chain::of(8));
    other.reorganise(0);
    let mut fork = chain.fork();
    fork.reorganise(3);
    let block = |chain: &Chain| Ok(Answer::Block(chain.block(8)));
    let said = |answers: Answers| agree(&Question::Block(8), answers);
    assert_eq!(said(vec![block(&chain), block(&other)]), Ok(Answer::Block(chain.block(8))));
    assert_eq!(said(vec![block(&other), block(&other)]), Ok(Answer::Block(None)));
    assert_eq!(said(vec![block(&other), Err(error())]).unwrap_err(), Disagreement::Failed(error()));
    assert_eq!(said(vec![block(&chain), block(&fork)]).unwrap_err(), Disagreement::Differ);
    let newest = agree::<Error>(&Question::Newest, vec![Ok(Answer::Block(other.block(7))), block(&chain)]);
    assert_eq!(newest, Ok(Answer::Block(chain.block(8))));
}

#[test]
fn nodes_agree_on_final_logs_and_each_of_them_may_show_a_younger_one() {
    let mut chain = Chain::of(3);
    chain.mine([Event::Evidence(7, 3)]);
    let behind = chain.clone();
    chain.mine([Event::Exit(1, 9_000)]);
    let question = Question::Logs { wanted: Wanted::All, from: 0, to: 4, final_number: 3 };
    let logs = |chain: &Chain| Ok(Answer::Logs(chain.logs(0, 4)));
    let said = |answers: Answers| agree(&question, answers);
    assert_eq!(said(vec![logs(&behind), logs(&chain)]), Ok(Answer::Logs(chain.logs(0, 4))));
    assert_eq!(said(vec![logs(&chain), logs(&chain)]), Ok(Answer::Logs(chain.logs(0, 4))), "each log once");
    // One that keeps a final log back does not get through.
    let kept_back = Ok(Answer::Logs(chain.logs(4, 4)));
    assert_eq!(said(vec![kept_back, logs(&chain)]).unwrap_err(), Disagreement::Differ);
}
