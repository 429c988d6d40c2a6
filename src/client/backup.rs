//! A sealed backup of the wallet at the hub and, if the application gives one, at a second place; and how a wallet
//! comes back from it on an empty device.

use super::connection::OfChannel;
use super::{Client, Notice, Settings};
use crate::failure::{Failure, Result};
use crate::js::{array, invoke, now, random, settle};
use crate::task::{Either, race, sleep};
use alloy_primitives::Bytes;
use farthing_protocol::backup::{Backup, MAX_BACKUP};
use farthing_protocol::sign::SecretKey;
use farthing_protocol::types::ChannelId;
use farthing_protocol::{Code, json, wire};
use js_sys::{Array, Uint8Array};
use std::rc::Rc;
use wasm_bindgen::prelude::*;

/// Pause after a change, so that several go into one backup, and least time between two, in milliseconds.
const GATHER: u32 = 500;
const REST: u32 = 2_500;

/// How long a client that ends waits for its last backup, in milliseconds.
const LAST: u32 = 2_000;

struct BackupPut {
    channel_id: ChannelId,
    backup: Bytes,
}

struct Found {
    backup: Option<Bytes>,
}

wire!(write struct BackupPut { channel_id = "channelId", backup });
wire!(read open struct Found { backup });

/// Where a restored wallet comes from.
#[derive(Clone, Copy, Debug)]
pub struct Restored {
    /// `hub` or `backup`.
    pub from: &'static str,
    /// When the backup was made, Unix seconds.
    pub time: u64,
    /// Who gave an older one.
    pub older: Option<&'static str>,
}

/// The newest backup of a channel that can be had; `None` if nobody has one.
pub(super) async fn find(
    settings: &Settings,
    key: &SecretKey,
    channel_id: ChannelId,
) -> Result<Option<(Backup, Restored)>> {
    let mut best: Option<(Backup, Restored)> = None;
    let mut failed = None;
    for (from, bytes) in [("hub", ask_hub(settings, channel_id).await), ("backup", ask_own(settings).await)] {
        let opened =
            bytes.and_then(|bytes| Ok(bytes.map(|bytes| Backup::open(&bytes, key, channel_id)).transpose()?));
        let found = match opened {
            Ok(Some(found)) => found,
            Ok(None) => continue,
            Err(failure) => {
                failed = Some(failure);
                continue;
            }
        };
        let time = found.time;
        best = Some(match best {
            Some((other, known)) if (other.progress, other.time) >= (found.progress, found.time) => {
                let older = (other.progress > found.progress).then_some(from);
                (other, Restored { older, ..known })
            }
            Some((_, known)) => (found, Restored { from, time, older: Some(known.from) }),
            None => (found, Restored { from, time, older: None }),
        });
    }
    match (best, failed) {
        (None, Some(failure)) => Err(failure),
        (best, _) => Ok(best),
    }
}

async fn ask_hub(settings: &Settings, channel_id: ChannelId) -> Result<Option<Vec<u8>>> {
    let answer = settings.hub.call("farthing_backupGet", &json::encode(&OfChannel { channel_id })).await?;
    Ok(answer.read::<Found>()?.backup.map(|backup| backup.to_vec()))
}

async fn ask_own(settings: &Settings) -> Result<Option<Vec<u8>>> {
    let Some(place) = &settings.backup else { return Ok(None) };
    let got = settle(invoke(place, "get", &Array::new())).await.map_err(|thrown| failed("given back", thrown))?;
    match got.dyn_ref::<Uint8Array>() {
        Some(bytes) => Ok(Some(bytes.to_vec())),
        None if got.is_undefined() || got.is_null() => Ok(None),
        None => Err(Failure::new(Code::StorageFailed, "backup.get() must give a Uint8Array, null or undefined.")),
    }
}

fn failed(what: &str, thrown: JsValue) -> Failure {
    Failure::caused(Code::StorageFailed, format!("The backup could not be {what}."), thrown)
}

impl Client {
    /// Runs until the client ends.
    pub(super) async fn keep_backup(self: Rc<Self>) {
        let mut told = false;
        while let Either::Second(()) = race(self.closed.wait(), self.unsaved.rings()).await {
            if let Either::First(()) = race(self.closed.wait(), sleep(GATHER)).await {
                return;
            }
            let outcome = self.save_backup().await;
            if let Err(failure) = outcome {
                // Once, until it works again.
                if !std::mem::replace(&mut told, true) {
                    self.tell(Notice::Error(failure));
                }
            } else {
                told = false;
            }
            if let Either::First(()) = race(self.closed.wait(), sleep(REST)).await {
                return;
            }
        }
    }

    /// Before the client ends: what was not saved yet.
    pub(super) async fn save_last_backup(&self) {
        if self.stale_backup.get() && self.failed.borrow().is_none() {
            let _ = race(Box::pin(self.save_backup()), sleep(LAST)).await;
        }
    }

    async fn save_backup(&self) -> Result<()> {
        self.stale_backup.set(false);
        let (snapshot, progress) = self.wallet.borrow().backup();
        let backup = Backup { channel: self.def, binding: self.binding.clone(), progress, time: now(), snapshot };
        let sealed = backup.seal(&self.key, self.id, random()?)?;
        let at_hub = self.save_at_hub(&sealed).await;
        if let Some(place) = &self.backup {
            let bytes = Uint8Array::from(sealed.as_slice());
            settle(invoke(place, "put", &array([bytes]))).await.map_err(|thrown| {
                self.stale_backup.set(true);
                failed("put away", thrown)
            })?;
        }
        at_hub
    }

    async fn save_at_hub(&self, sealed: &[u8]) -> Result<()> {
        let Some(socket) = self.hub.socket() else {
            // Saved as soon as the hub is back.
            self.stale_backup.set(true);
            return Ok(());
        };
        if sealed.len() > MAX_BACKUP {
            return Err(Failure::new(
                Code::LimitExceeded,
                "The backup is too large for the hub until payments settle.",
            ));
        }
        let put = BackupPut { channel_id: self.id, backup: Bytes::copy_from_slice(sealed) };
        let kept = self.hub.call_on(&socket, "farthing_backupPut", &json::encode(&put)).await;
        kept.and_then(|answer| answer.check()).inspect_err(|_| self.stale_backup.set(true))
    }

    /// Something changed that a backup has to hold.
    pub(super) fn needs_backup(&self) {
        self.stale_backup.set(true);
        self.unsaved.ring();
        self.unwatched.ring();
    }
}
