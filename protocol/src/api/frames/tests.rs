use super::*;
use crate::amount::Amount;
use crate::api::errors;
use crate::api::limits::MAX_BACKUP;
use crate::json::{self, decode};
use crate::types::ETH;
use alloc::string::ToString;
use alloc::vec;
use alloy_primitives::{B256, Bytes};

fn channel() -> ChannelId {
    ChannelId(B256::repeat_byte(1))
}

fn cancel(placed: u64) -> Message {
    Message::Cancel { asset: ETH, slot: 0, placed }
}

/// What the other side reads of frames: the messages, by frame.
fn received(frames: &[String]) -> Vec<Vec<Message>> {
    let read = |text: &String| {
        let frame = Value::parse(text).unwrap();
        assert!(matches!(Frame::of(&frame), Frame::Messages { .. }), "{text}");
        let read: Messages = json::from_value(frame.get("params")).unwrap();
        let Frame::Messages { channel: of, messages } = Frame::of(&frame) else { panic!("{text}") };
        assert_eq!(
            (json::from_value(of).unwrap(), json::from_value(messages).unwrap()),
            (read.channel_id, read.messages.clone())
        );
        assert_eq!(read.channel_id, channel());
        read.messages
    };
    frames.iter().map(read).collect()
}

#[test]
fn frames_hold_all_messages_in_order_and_none_is_too_large_or_too_full() {
    let mut messages: Vec<Message> = (0..900).map(cancel).collect();
    messages.extend((0..9).map(|number| Message::Reveal {
        asset: ETH,
        slot: number,
        placed: 1,
        evidence: Bytes::from(vec![7; 20_000]),
    }));
    // The shortest message there is, more often than anybody has a use for it.
    messages.extend((0..2 * MAX_MESSAGES).map(|_| Message::Sync { lanes: Vec::new() }));
    let frames = notifications(channel(), &messages).unwrap();
    assert!(frames.iter().all(|frame| frame.len() <= MAX_MESSAGE));
    let read = received(&frames);
    assert!(read.iter().all(|messages| messages.len() <= MAX_MESSAGES));
    assert!(read.iter().any(|messages| messages.len() == MAX_MESSAGES), "no frame is closed for nothing");
    assert_eq!(read.concat(), messages);
    assert_eq!(notifications(channel(), &[]).unwrap(), Vec::<String>::new());
}

#[test]
fn the_limit_of_messages_holds_no_wallet_up() {
    let place = Bytes::new();
    let in_numbers = [
        Message::Accepted { asset: ETH, nonce: 1, acknowledgement: None },
        Message::Reveal { asset: ETH, slot: 0, placed: 1, evidence: place },
        Message::Fail { asset: ETH, slot: 0, placed: 1, code: Code::PayeeDeclined.into() },
        cancel(1),
        Message::Held { asset: ETH, slot: 0, placed: 1 },
        Message::Forwarded { asset: ETH, slot: 0, placed: 1 },
    ];
    for message in in_numbers {
        let length = message.encode().unwrap().len();
        assert!(length > MAX_MESSAGE / MAX_MESSAGES, "{message:?} has {length} bytes");
    }
}

#[test]
fn a_backup_fits_into_a_message() {
    let put = crate::api::hub::BackupPut { channel_id: channel(), backup: Bytes::from(vec![7; MAX_BACKUP]) };
    let request = request(u64::MAX, crate::api::hub::BackupPut::NAME, &encode(&put));
    assert!(request.len() <= MAX_MESSAGE, "{}", request.len());
}

#[test]
fn what_is_answered_is_what_the_other_side_reads() {
    let text = response("7", Ok(&encode(&Amount::new(5))));
    assert_eq!(text, r#"{"jsonrpc":"2.0","id":7,"result":"5"}"#);
    let frame = Value::parse(&text).unwrap();
    let Frame::Answer(id) = Frame::of(&frame) else { panic!("{text}") };
    assert_eq!(json::from_value::<u64>(id).unwrap(), 7);
    assert_eq!(json::from_value::<Amount>(outcome(&frame).unwrap().unwrap()).unwrap(), Amount::new(5));

    let refusal = Refusal { number: errors::FAILED, message: "say \"please\"\n", code: Code::RateLimited };
    let text = response("null", Err(refusal));
    let expected = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"say \"please\"\n","data":{"code":"rate-limited"}}}"#;
    assert_eq!(text, expected);
    let frame = Value::parse(&text).unwrap();
    assert!(matches!(Frame::of(&frame), Frame::Fault));
    assert_eq!(outcome(&frame).unwrap().unwrap_err(), (refusal.message, Some(Code::RateLimited)));

    let text = response("1", Ok("null"));
    assert!(outcome(&Value::parse(&text).unwrap()).is_none(), "nobody waits for null");
    assert!(matches!(Frame::of(&Value::parse(r#"{"jsonrpc":"2.0","method":"news"}"#).unwrap()), Frame::Other));
}

#[test]
fn limits_that_people_are_told_are_the_ones_that_hold() {
    let grouped = |number: usize| alloc::format!("{},{:03}", number / 1_000, number % 1_000);
    assert!(Code::MessageTooLarge.advice().contains(&grouped(MAX_MESSAGE)));
    assert_eq!(request(1, "a", "{}"), r#"{"jsonrpc":"2.0","id":1,"method":"a","params":{}}"#);
    assert!(decode::<Messages>(&encode(&Messages { channel_id: channel(), messages: vec![cancel(1)] })).is_ok());
    assert_eq!(channel().to_string().len(), 66);
}
