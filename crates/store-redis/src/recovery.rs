use posthaste_model::{Attempt, AttemptId, Timestamp};
use posthaste_store::{Epoch, Partition, Recovered, Result, StoreError};

use crate::{
    layout::millis,
    record::{error_code, pack_outcome},
    reply::Reply,
    script::RECOVER,
    shared::Shared,
};

/// How many leases one call gives back, so that nobody waits long behind it.
const AT_ONCE: u32 = 500;

/// Gives back what older epochs, and leases that ran out, left behind.
pub(crate) async fn recover(
    shared: &Shared,
    partition: Partition,
    epoch: Epoch,
    now: Timestamp,
) -> Result<Recovered> {
    // The script makes the id: one for each lease.
    let interrupted = |manual| Attempt::interrupted(AttemptId::mint(now, [0; 10]), manual, now);
    let (automatic, manual) = (interrupted(false), interrupted(true));
    let error = error_code(automatic.outcome.error());
    let (automatic, manual) = (pack_outcome(&automatic), pack_outcome(&manual));
    let channel = shared.layout.channel();
    let mut recovered = Recovered::default();
    loop {
        let answer = shared
            .work
            .run(&RECOVER, shared.layout.base(partition), |call| {
                call.arg(channel).arg(epoch.0).arg(millis(now)).arg(AT_ONCE);
                call.arg(error).arg(&automatic[..]).arg(&manual[..]);
            })
            .await?;
        let mut reply = Reply::of(answer)?.ok_or(StoreError::NotOwner)?;
        recovered.interrupted += reply.number()? as u64;
        shared.wake(partition);
        if reply.number()? == 0 {
            return Ok(recovered);
        }
    }
}
