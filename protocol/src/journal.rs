//! What is stored, and how it comes back: one snapshot and a log of facts, both with a format version.

use crate::codec::{Decode, Encode, Reader};
use crate::error::{Code, Error};
use crate::map::Map;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::RangeInclusive;

/// The version that every stored value starts with. Every change of what is stored raises it, and whoever adds a field
/// says so there (`since`, in `codec.rs`); what older builds wrote is read as they wrote it.
pub const FORMAT: u8 = 4;

/// The first with a checksum.
const CHECKED: u8 = 3;

/// Without one. Its first builds had a layout of their own, and did not say so: that is read as 1, a version that no
/// store has.
const UNCHECKED: u8 = 2;
const UNNAMED: u8 = 1;

/// Facts in the log before the next commit writes a snapshot in their place.
const FACTS_PER_SNAPSHOT: u64 = 512;

/// One change of the store. Keys are ASCII and ordered bytewise.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Write {
    /// Puts a value.
    Put {
        /// Where.
        key: String,
        /// What.
        value: Vec<u8>,
    },
    /// Removes a value, if there is one.
    Delete {
        /// Where.
        key: String,
    },
}

/// Encodes a stored value: its format version, the value, and a checksum of both. Most damage would decode well: a
/// flipped bit of an amount is another amount.
pub fn encode<T: Encode + ?Sized>(value: &T) -> Vec<u8> {
    let mut bytes = alloc::vec![FORMAT];
    value.put(&mut bytes);
    let sum = checksum(&bytes);
    bytes.extend(sum);
    bytes
}

/// Decodes a stored value. A newer version is [`Code::StorageVersion`], anything else unreadable [`Code::StorageCorrupt`].
pub fn decode<T: Decode>(bytes: &[u8]) -> Result<T, Error> {
    decode_up_to(FORMAT, bytes)
}

/// As a build reads it that knows the formats up to `newest`.
fn decode_up_to<T: Decode>(newest: u8, bytes: &[u8]) -> Result<T, Error> {
    body(newest, bytes)?
        .and_then(|(body, formats)| Reader::read(body, formats))
        .ok_or_else(|| Error::new(Code::StorageCorrupt, "a stored record is damaged"))
}

/// What a record holds, if it is whole, and the formats that it can be in.
type Body<'a> = Option<(&'a [u8], RangeInclusive<u8>)>;

fn body(newest: u8, bytes: &[u8]) -> Result<Body<'_>, Error> {
    match bytes.split_first() {
        Some((0, _)) | None => Ok(None),
        Some((&UNCHECKED, body)) => Ok(Some((body, UNNAMED..=UNCHECKED))),
        Some((&format, _)) if (CHECKED..=newest).contains(&format) => {
            let whole = bytes.split_last_chunk::<4>().filter(|(rest, sum)| checksum(rest) == **sum);
            Ok(whole.and_then(|(rest, _)| Some((rest.get(1..)?, format..=format))))
        }
        Some((format, _)) => {
            Err(Error::new(Code::StorageVersion, format!("the store has format {format}, this build knows {newest}")))
        }
    }
}

/// CRC-32 (IEEE 802.3), little endian: it finds every burst of damage of up to 32 bits.
fn checksum(bytes: &[u8]) -> [u8; 4] {
    let shift = |sum: u32, _| if sum & 1 == 0 { sum >> 1 } else { (sum >> 1) ^ 0xedb8_8320 };
    let sum = bytes.iter().fold(u32::MAX, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), shift));
    (!sum).to_le_bytes()
}

/// One snapshot and the log of facts after it, under a prefix.
#[derive(Debug)]
pub struct Journal {
    prefix: String,
    /// Sequence number of the next log record.
    next: u64,
    /// First log record that is not covered by the snapshot.
    first: u64,
    facts: u64,
}

/// A journal, its snapshot if there is one, and the batches of facts after it.
pub type Loaded<S, F> = (Journal, Option<S>, Vec<Vec<F>>);

impl Journal {
    /// An empty journal.
    #[must_use]
    pub const fn new(prefix: String) -> Self {
        Self { prefix, next: 1, first: 1, facts: 0 }
    }

    /// Reads a journal back: the snapshot, if there is one, and the batches of facts after it, in order.
    pub fn load<S: Decode, F: Decode>(prefix: String, entries: &[(String, Vec<u8>)]) -> Result<Loaded<S, F>, Error> {
        let snapshot_key = format!("{prefix}/snapshot");
        let log_prefix = format!("{prefix}/log/");
        let mut journal = Self::new(prefix);
        let mut snapshot = None;
        if let Some((_, value)) = entries.iter().find(|(key, _)| *key == snapshot_key) {
            let (through, state): (u64, S) = decode(value)?;
            journal.first = through.saturating_add(1);
            journal.next = journal.first;
            snapshot = Some(state);
        }
        let mut batches = Vec::new();
        let mut log = Map::new();
        for (key, value) in entries {
            if let Some(digits) = key.strip_prefix(&log_prefix) {
                let number: Option<u64> = digits.parse().ok();
                if number.is_none_or(|number| log.insert(number, value).is_some()) {
                    return Err(Error::new(Code::StorageCorrupt, "a log key is malformed"));
                }
            }
        }
        for (number, value) in log {
            if number < journal.first {
                continue;
            }
            if number != journal.next {
                return Err(Error::new(Code::StorageCorrupt, "a log record is missing"));
            }
            let facts: Vec<F> = decode(value)?;
            journal.facts = journal.facts.saturating_add(facts.len() as u64);
            journal.next = journal.next.saturating_add(1);
            batches.push(facts);
        }
        Ok((journal, snapshot, batches))
    }

    /// Whether appending so many facts takes a snapshot of a state with `size` entries. A larger state is
    /// written less often, so that snapshots cost a bounded share of all writing.
    #[must_use]
    pub fn is_snapshot_due(&self, facts: usize, size: usize) -> bool {
        let limit = FACTS_PER_SNAPSHOT.max((size as u64).saturating_mul(4));
        self.facts.saturating_add(facts as u64) >= limit
    }

    /// The writes that make a batch of facts durable. `snapshot` gives the state after them, when one is due. It can't
    /// fail: the machine has acted on the facts already, and what depends on them would leave without them.
    pub fn append<S: Encode, F: Encode>(
        &mut self,
        facts: &[F],
        size: usize,
        snapshot: impl FnOnce() -> S,
    ) -> Vec<Write> {
        let facts_now = self.facts.saturating_add(facts.len() as u64);
        if !self.is_snapshot_due(facts.len(), size) {
            let record = Write::Put { key: self.log_key(self.next), value: encode(facts) };
            self.next = self.next.saturating_add(1);
            self.facts = facts_now;
            return alloc::vec![record];
        }
        self.snapshot(&snapshot())
    }

    /// The writes that put a snapshot in place of every record so far.
    pub fn snapshot<S: Encode>(&mut self, state: &S) -> Vec<Write> {
        // It stands for a record of its own, too: the one that its batch would have been.
        let value = encode(&(self.next, state));
        let mut writes = alloc::vec![Write::Put { key: format!("{}/snapshot", self.prefix), value }];
        writes.extend((self.first..self.next).map(|number| Write::Delete { key: self.log_key(number) }));
        self.next = self.next.saturating_add(1);
        self.first = self.next;
        self.facts = 0;
        writes
    }

    /// The writes that remove it.
    #[must_use]
    pub fn remove(&self) -> Vec<Write> {
        let log = (self.first..self.next).map(|number| Write::Delete { key: self.log_key(number) });
        core::iter::once(Write::Delete { key: format!("{}/snapshot", self.prefix) }).chain(log).collect()
    }

    /// Where it is kept.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The number of the next record; it is never used again.
    #[must_use]
    pub const fn next_number(&self) -> u64 {
        self.next
    }

    fn log_key(&self, number: u64) -> String {
        format!("{}/log/{number:016}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_comes_back_whole_over_many_snapshots() {
        let mut store = alloc::collections::BTreeMap::new();
        let mut journal = Journal::new("j".into());
        let mut sum = 0_u64;
        for fact in 0..3000_u64 {
            sum += fact;
            for write in journal.append(&[fact], 1, || sum) {
                match write {
                    Write::Put { key, value } => store.insert(key, value),
                    Write::Delete { key } => store.remove(&key),
                };
            }
            let entries: Vec<_> = store.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
            if fact % 97 == 0 {
                let (_, snapshot, batches) = Journal::load::<u64, u64>("j".into(), &entries).unwrap();
                let back = snapshot.unwrap_or(0) + batches.into_iter().flatten().sum::<u64>();
                assert_eq!(back, sum);
            }
        }
        assert!(store.len() as u64 <= FACTS_PER_SNAPSHOT + 1);
    }

    #[test]
    fn a_newer_format_and_damage_are_told_apart() {
        assert_eq!(decode::<u64>(&[FORMAT + 1, 0]).unwrap_err().code(), Code::StorageVersion);
        assert_eq!(decode::<u64>(&[FORMAT]).unwrap_err().code(), Code::StorageCorrupt);
        assert_eq!(decode::<u64>(&[FORMAT, 1, 9]).unwrap_err().code(), Code::StorageCorrupt);
        assert_eq!(decode::<u64>(&[]).unwrap_err().code(), Code::StorageCorrupt);
        assert_eq!(decode::<u64>(&[UNCHECKED, 5]).unwrap(), 5);
    }

    /// Which format it is told that it was written in.
    #[derive(PartialEq, Eq, Debug)]
    struct Told {
        newest: bool,
        next: bool,
    }

    impl Decode for Told {
        fn get(input: &mut Reader<'_>) -> Self {
            Self { newest: input.has(FORMAT), next: input.has(FORMAT + 1) }
        }
    }

    /// A record of another format.
    fn of_format(format: u8, body: &[u8]) -> Vec<u8> {
        let bytes = [&[format], body].concat();
        [&bytes[..], &checksum(&bytes)].concat()
    }

    #[test]
    fn the_next_build_reads_each_record_in_the_format_it_has_and_this_one_refuses_its() {
        let (now, next) = (of_format(FORMAT, &[]), of_format(FORMAT + 1, &[]));
        assert_eq!(decode_up_to(FORMAT + 1, &now), Ok(Told { newest: true, next: false }));
        assert_eq!(decode_up_to(FORMAT + 1, &next), Ok(Told { newest: true, next: true }));
        assert_eq!(decode(&now), Ok(Told { newest: true, next: false }));
        assert_eq!(decode::<Told>(&next).unwrap_err().code(), Code::StorageVersion);
        // Two formats have the name 2; what came after both makes no difference between them.
        assert_eq!(decode(&[UNCHECKED]), Ok(Told { newest: false, next: false }));
        // The checksum of an older format counts as much as that of the newest.
        let stored = encode(&(7_u64, 300_u64));
        assert_eq!(decode_up_to(FORMAT + 1, &stored), Ok((7_u64, 300_u64)));
        for at in 1..stored.len() {
            let mut damaged = stored.clone();
            damaged[at] ^= 1;
            assert_eq!(decode_up_to::<(u64, u64)>(FORMAT + 1, &damaged).unwrap_err().code(), Code::StorageCorrupt);
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        assert_eq!(checksum(b"123456789"), 0xcbf4_3926_u32.to_le_bytes());
        let stored = encode(&(7_u64, 300_u64));
        assert_eq!(decode::<(u64, u64)>(&stored).unwrap(), (7, 300));
        for bit in 0..stored.len() * 8 {
            let mut damaged = stored.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let code = decode::<(u64, u64)>(&damaged).unwrap_err().code();
            assert!(matches!(code, Code::StorageCorrupt | Code::StorageVersion), "bit {bit}: {code:?}");
        }
    }
}
