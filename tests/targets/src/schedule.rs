//! Whole schedules of the model test (`tests/model/`), with every decision taken from the bytes: payments,
//! hostile answers, lost and repeated messages, crashes, withdrawals, exits, reorganisations. The real wallet or hub is
//! the honest side; it loses nothing beyond what it may, and money is conserved.

use farthing_model::{Run, play};

/// What is longer makes a slow schedule, not another one.
const LONGEST: usize = 4_096;

pub fn schedule(data: &[u8]) {
    let data = data.get(..LONGEST).unwrap_or(data);
    if play(data, Run::plain()).broken.is_some() {
        let report = play(data, Run { trace: true, ..Run::plain() });
        panic!("{}\n{}", report.trace.join("\n"), report.broken.unwrap_or_default());
    }
}
