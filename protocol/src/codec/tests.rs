use super::*;
use crate::journal::FORMAT;
use proptest::prelude::*;

/// What the newest format is read as.
fn read<T: Decode>(bytes: &[u8]) -> Option<T> {
    Reader::read(bytes, FORMAT..=FORMAT)
}

type Odd = (Vec<(u16, Option<bool>)>, Map<u64, String>, Set<[u8; 3]>);

proptest! {
    #[test]
    fn what_is_written_is_read_and_nothing_shorter_or_longer(
        list: Vec<(u16, Option<bool>)>,
        map: Vec<(u64, String)>,
        set: Vec<[u8; 3]>,
    ) {
        let value: Odd = (list, map.into_iter().collect(), set.into_iter().collect());
        let mut bytes = Vec::new();
        value.put(&mut bytes);
        prop_assert_eq!(read::<Odd>(&bytes), Some(value.clone()));
        for cut in 0..bytes.len() {
            prop_assert_eq!(read::<Odd>(&bytes[..cut]), None);
        }
        bytes.push(0);
        prop_assert_eq!(read::<Odd>(&bytes), None);
    }

    #[test]
    fn any_bytes_are_read_whole_or_refused(bytes: Vec<u8>) {
        if let Some(value) = read::<Odd>(&bytes) {
            let mut again = Vec::new();
            value.put(&mut again);
            prop_assert_eq!(read::<Odd>(&again), Some(value));
        }
    }
}

#[test]
fn a_number_has_one_form() {
    for number in [0, 1, 127, 128, 16_384, u64::from(u32::MAX), u64::MAX] {
        let mut bytes = Vec::new();
        put_number(number, &mut bytes);
        assert_eq!(read::<u64>(&bytes), Some(number));
    }
    let bad: [&[u8]; 5] = [&[], &[0x80], &[0x80, 0], &[0xff, 0], &[0xff; 11]];
    for bytes in bad {
        assert_eq!(read::<u64>(bytes), None, "{bytes:?}");
    }
    // 2^64.
    assert_eq!(read::<u64>(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 2]), None);
    assert_eq!(read::<u8>(&[0x80, 2]), None);
}

#[test]
fn a_long_list_is_not_believed() {
    let mut bytes = Vec::new();
    put_number(u64::MAX, &mut bytes);
    assert_eq!(read::<Vec<u64>>(&bytes), None);
    assert_eq!(read::<Bytes>(&bytes), None);
}

/// How records change, by types that changed with format 3. Here they are as they were before.
mod before {
    use super::*;

    pub(super) struct Entry {
        pub(super) id: u64,
        pub(super) fee: u32,
        pub(super) done: bool,
    }

    stored!(struct Entry { id, fee, done });

    pub(super) enum Step {
        Nothing,
        Entered { entry: Entry, at: u64 },
    }

    stored!(enum Step { 0 => Nothing, 1 => Entered { entry, at } });

    /// As a build wrote it that knew no other format.
    pub(super) fn written<T: Encode>(value: &T) -> Vec<u8> {
        let mut bytes = Vec::new();
        value.put(&mut bytes);
        bytes
    }
}

/// A field that was added in the middle and has a default, one that has not, and one that changed its type.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Entry {
    id: u64,
    memo: Option<String>,
    fee: Fee,
    parts: u16,
    done: bool,
}

stored!(struct Entry { id, memo since 2, fee, parts since 3 else 1, done });

/// It was a number, with 0 for none.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Fee(Option<u64>);

impl Encode for Fee {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }
}

impl Decode for Fee {
    fn get(input: &mut Reader<'_>) -> Self {
        if input.has(3) {
            return Self(Decode::get(input));
        }
        let number = u32::get(input);
        Self((number != 0).then(|| number.into()))
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Step {
    Nothing,
    Entered { entry: Entry, at: u64, by: u8 },
    Left(u64),
}

stored!(enum Step { 0 => Nothing, 1 => Entered { entry, at, by since 3 else 9 }, 2 => Left(at) });

fn entry(id: u64, fee: Option<u64>) -> Entry {
    Entry { id, memo: None, fee: Fee(fee), parts: 1, done: true }
}

#[test]
fn what_was_written_before_a_field_came_is_read_without_it() {
    let old = before::Entry { id: 300, fee: 5, done: true };
    assert_eq!(Reader::read(&before::written(&old), 1..=1), Some(entry(300, Some(5))));
    let list = vec![old, before::Entry { id: 0, fee: 0, done: true }];
    let steps = vec![before::Step::Nothing, before::Step::Entered { entry: list.into_iter().next().unwrap(), at: 70 }];
    let now = vec![Step::Nothing, Step::Entered { entry: entry(300, Some(5)), at: 70, by: 9 }];
    assert_eq!(Reader::read(&before::written(&steps), 1..=1), Some(now.clone()));
    // Two formats later, one of the fields was there.
    let between = [&before::written(&300_u64)[..], &before::written(&Some(String::from("hi"))), &[0, 1]].concat();
    let expected = Entry { memo: Some("hi".into()), ..entry(300, None) };
    assert_eq!(Reader::read(&between, 2..=2), Some(expected));
    // And what is written now has them all, in the newest format alone.
    let full = vec![Step::Left(1), Step::Entered { entry: Entry { parts: 8, ..entry(1, None) }, at: 2, by: 3 }];
    let bytes = before::written(&full);
    assert_eq!(read(&bytes), Some(full));
    assert_eq!(Reader::read::<Vec<Step>>(&bytes, 1..=1), None);
    assert_eq!(read::<Vec<Step>>(&before::written(&steps)), None);
}

#[test]
fn of_two_formats_that_have_one_name_nothing_is_guessed() {
    /// Its bytes can make sense both with the tag and without.
    #[derive(PartialEq, Eq, Debug)]
    struct Tagged {
        tag: u8,
        rest: Bytes,
    }

    stored!(struct Tagged { tag since 2, rest });

    let tagged = |tag, rest: &'static [u8]| Some(Tagged { tag, rest: Bytes::from_static(rest) });
    assert_eq!(Reader::read(&[5, 1, 7], 1..=2), tagged(5, &[7]));
    assert_eq!(Reader::read(&[1, 7], 1..=2), tagged(0, &[7]));
    assert_eq!(Reader::read::<Tagged>(&[2, 1, 7], 1..=2), None);
    assert_eq!(Reader::read(&[2, 1, 7], 1..=1), tagged(0, &[1, 7]));
    assert_eq!(Reader::read(&[2, 1, 7], 2..=2), tagged(2, &[7]));
    // What is the same in both is no guess.
    assert_eq!(Reader::read::<u8>(&[2], 1..=2), Some(2));
}
