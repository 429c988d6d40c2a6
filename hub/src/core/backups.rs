//! Clients' backups on their way to the store. They go with the commits that payments need, the newest of a channel
//! only and not too much at once, so that they cost payments neither a write to the disk nor the wait for one.

use super::handle::{Asked, Reply};
use crate::store::backup_key;
use farthing_protocol::journal::Write;
use farthing_protocol::{ChannelId, Code, Error};
use std::collections::{BTreeMap, VecDeque};

/// Most bytes of backups in one commit, unless a single one is larger.
const PER_COMMIT: usize = 131_072;
/// Most bytes that wait; a put beyond is refused.
const WAITING: usize = 8_388_608;

/// Backups that are not in a commit yet.
#[derive(Debug, Default)]
pub(super) struct Backups {
    waiting: BTreeMap<ChannelId, Waiting>,
    /// First come, first served.
    order: VecDeque<ChannelId>,
    bytes: usize,
}

#[derive(Debug)]
struct Waiting {
    backup: Vec<u8>,
    replies: Vec<Reply<()>>,
}

impl Backups {
    /// Takes a backup in, in place of one that waits; both are answered when this one is durable.
    pub(super) fn put(&mut self, channel: ChannelId, backup: Vec<u8>, reply: Reply<()>) {
        if self.bytes.saturating_add(backup.len()) > WAITING {
            reply.with(Err(Error::from(Code::RateLimited))).answer();
            return;
        }
        self.bytes = self.bytes.saturating_add(backup.len());
        if let Some(waiting) = self.waiting.get_mut(&channel) {
            self.bytes = self.bytes.saturating_sub(waiting.backup.len());
            waiting.backup = backup;
            waiting.replies.push(reply);
        } else {
            self.order.push_back(channel);
            self.waiting.insert(channel, Waiting { backup, replies: vec![reply] });
        }
    }

    /// Of a channel that was forgotten nothing is kept.
    pub(super) fn forget(&mut self, channel: ChannelId) {
        if let Some(waiting) = self.waiting.remove(&channel) {
            self.bytes = self.bytes.saturating_sub(waiting.backup.len());
            for reply in waiting.replies {
                reply.with(Err(Error::from(Code::UnknownChannel))).answer();
            }
        }
    }

    /// What goes into the next commit; who asked is answered when that is durable.
    pub(super) fn take(&mut self, writes: &mut Vec<Write>, asked: &mut Vec<Asked>) {
        let mut taken = 0_usize;
        while let Some(channel) = self.order.front().copied() {
            let size = self.waiting.get(&channel).map_or(0, |waiting| waiting.backup.len());
            if taken > 0 && taken.saturating_add(size) > PER_COMMIT {
                return;
            }
            self.order.pop_front();
            let Some(Waiting { backup, replies }) = self.waiting.remove(&channel) else { continue };
            taken = taken.saturating_add(size);
            self.bytes = self.bytes.saturating_sub(size);
            writes.push(Write::Put { key: backup_key(channel), value: backup });
            asked.extend(replies.into_iter().map(|reply| reply.with(Ok(()))));
        }
    }

    /// The store failed.
    pub(super) fn refuse(&mut self) {
        for (_, waiting) in std::mem::take(&mut self.waiting) {
            waiting.replies.into_iter().for_each(Reply::refuse);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::B256;
    use tokio::sync::oneshot;

    fn put(backups: &mut Backups, channel: u8, size: usize) -> oneshot::Receiver<Result<(), Error>> {
        let (sender, answer) = oneshot::channel();
        backups.put(ChannelId(B256::repeat_byte(channel)), vec![channel; size], Reply::new(sender));
        answer
    }

    fn take(backups: &mut Backups) -> (Vec<usize>, Vec<Asked>) {
        let (mut writes, mut asked) = (Vec::new(), Vec::new());
        backups.take(&mut writes, &mut asked);
        let sizes = writes.iter().map(|write| match write {
            Write::Put { value, .. } => value.len(),
            Write::Delete { .. } => panic!("nothing is deleted"),
        });
        (sizes.collect(), asked)
    }

    #[test]
    fn the_newest_of_a_channel_is_written_and_all_who_asked_are_answered() {
        let mut backups = Backups::default();
        let mut answers = [put(&mut backups, 1, 10), put(&mut backups, 2, 20), put(&mut backups, 1, 30)];
        let (sizes, asked) = take(&mut backups);
        assert_eq!(sizes, [30, 20]);
        assert!(answers.iter_mut().all(|answer| answer.try_recv().is_err()), "nothing is durable yet");
        asked.into_iter().for_each(Asked::answer);
        assert!(answers.iter_mut().all(|answer| answer.try_recv().unwrap().is_ok()));
        assert_eq!(backups.bytes, 0);
    }

    #[test]
    fn a_commit_takes_a_bounded_part_and_what_waits_is_bounded() {
        let mut backups = Backups::default();
        let _answers: Vec<_> = (0..10).map(|channel| put(&mut backups, channel, 30_000)).collect();
        assert_eq!(take(&mut backups).0.len(), 4);
        backups.forget(ChannelId(B256::repeat_byte(4)));
        assert_eq!(take(&mut backups).0.len(), 4);
        assert_eq!(take(&mut backups).0.len(), 1);
        let _large = put(&mut backups, 1, WAITING);
        assert_eq!(put(&mut backups, 2, 1).try_recv().unwrap().unwrap_err().code(), Code::RateLimited);
        assert_eq!(take(&mut backups).0.len(), 1);
        assert_eq!(backups.bytes, 0);
    }
}
