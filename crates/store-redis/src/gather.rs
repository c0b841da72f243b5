//! Many small jobs in one call: while one is on its way to the server, the next ones gather.

use tokio::sync::{mpsc, oneshot};

use crate::fault::Fault;

/// How many bytes of jobs go into one call, beside the first job.
const BYTES: usize = 1 << 20;

/// Something that goes into a call with others.
pub(crate) trait Job: Send + 'static {
    type Answer: Send + 'static;

    /// About how many bytes it adds to the call.
    fn size(&self) -> usize;
}

/// Runs jobs of one kind, as many in a call as there are.
pub(crate) struct Gatherer<J: Job> {
    waiting: mpsc::UnboundedSender<Waiting<J>>,
}

type Waiting<J> = (J, oneshot::Sender<Result<<J as Job>::Answer, Fault>>);

impl<J: Job> Gatherer<J> {
    /// Starts on the current tokio runtime; ends when it is dropped. `run` answers each job, or fails for all.
    pub(crate) fn start<F>(most: usize, mut run: impl FnMut(Vec<J>) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<Vec<J::Answer>, Fault>> + Send,
    {
        let (waiting, mut arriving) = mpsc::unbounded_channel::<Waiting<J>>();
        tokio::spawn(async move {
            while let Some((first, answer)) = arriving.recv().await {
                let mut bytes = 0;
                let (mut jobs, mut answers) = (vec![first], vec![answer]);
                while bytes < BYTES
                    && jobs.len() < most
                    && let Ok((job, answer)) = arriving.try_recv()
                {
                    bytes += job.size();
                    jobs.push(job);
                    answers.push(answer);
                }
                // Whoever has given up waiting is spared the work, and does not find it done when it comes again.
                let waiting = jobs.into_iter().zip(answers).filter(|(_, answer)| !answer.is_closed());
                let (jobs, answers): (Vec<_>, Vec<_>) = waiting.unzip();
                let count = jobs.len();
                let done = run(jobs).await.and_then(|done| {
                    let complete = done.len() == count;
                    complete.then_some(done).ok_or_else(|| Fault::Damaged("an answer is missing".into()))
                });
                // Whoever does not wait any more is not told.
                match done {
                    Ok(done) => {
                        answers.into_iter().zip(done).for_each(|(answer, done)| drop(answer.send(Ok(done))))
                    }
                    Err(fault) => {
                        answers.into_iter().for_each(|answer| drop(answer.send(Err(fault.clone()))))
                    }
                }
            }
        });
        Self { waiting }
    }

    pub(crate) async fn run(&self, job: J) -> Result<J::Answer, Fault> {
        let (answer, done) = oneshot::channel();
        let gone = || Fault::Damaged("the task that speaks to Redis has ended".into());
        self.waiting.send((job, answer)).map_err(|_| gone())?;
        done.await.unwrap_or_else(|_| Err(gone()))
    }
}
