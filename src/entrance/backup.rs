//! The newest backup of a channel that can be had: from the hub and, if the application gives one, a second place.

use super::Settings;
use super::greeting::answer_to;
use crate::failure::{Failure, Result};
use crate::js::{invoke, settle};
use crate::task::{Work, within};
use farthing_protocol::Code;
use farthing_protocol::api::hub::{BackupGet, Challenge};
use farthing_protocol::backup::Backup;
use farthing_protocol::eip712::Domain;
use farthing_protocol::sign::SecretKey;
use farthing_protocol::types::ChannelId;
use js_sys::{Array, Uint8Array};
use wasm_bindgen::prelude::*;

/// How long a place for backups may take, in milliseconds.
const PLACE: u32 = 60_000;

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
pub(crate) async fn find(
    settings: &Settings,
    key: &SecretKey,
    domain: &Domain,
    channel_id: ChannelId,
) -> Result<Option<(Backup, Restored)>> {
    let mut best: Option<(Backup, Restored)> = None;
    let mut failed = None;
    for (from, bytes) in
        [("hub", ask_hub(settings, key, domain, channel_id).await), ("backup", ask_own(settings).await)]
    {
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

/// The hub gives it to whoever holds the channel's key, which is shown before there is a connection.
async fn ask_hub(
    settings: &Settings,
    key: &SecretKey,
    domain: &Domain,
    channel_id: ChannelId,
) -> Result<Option<Vec<u8>>> {
    let challenge = settings.hub.call(&Challenge { channel_id }).await?;
    let signature = match answer_to(&challenge, channel_id, key, domain) {
        // A channel that it does not know it has nothing of.
        Err(failure) if failure.code() == Code::UnknownChannel => return Ok(None),
        signed => signed?,
    };
    let answer = settings.hub.call(&BackupGet { channel_id, signature: Some(signature) }).await?;
    Ok(answer.read::<BackupGet>()?.backup.map(|backup| backup.to_vec()))
}

async fn ask_own(settings: &Settings) -> Result<Option<Vec<u8>>> {
    let Some(place) = &settings.backup else { return Ok(None) };
    let asked = settle(invoke(place, "get", &Array::new()));
    let got = answered("get", Box::pin(async { asked.await.map_err(|thrown| failed("given back", thrown)) })).await?;
    match got.dyn_ref::<Uint8Array>() {
        Some(bytes) => Ok(Some(bytes.to_vec())),
        None if got.is_undefined() || got.is_null() => Ok(None),
        None => Err(Failure::new(Code::StorageFailed, "backup.get() must give a Uint8Array, null or undefined.")),
    }
}

/// A place of the application's is not waited for without end.
pub(crate) async fn answered<T>(what: &str, work: Work<'_, T>) -> Result<T> {
    within(PLACE, work, || Failure::new(Code::StorageFailed, format!("backup.{what}() has not settled for a minute.")))
        .await
}

/// A place of the application's refused or failed.
pub(crate) fn failed(what: &str, thrown: JsValue) -> Failure {
    Failure::caused(Code::StorageFailed, format!("The backup could not be {what}."), thrown)
}
