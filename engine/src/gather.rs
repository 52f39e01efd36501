//! Gathering: what many write at once is written in groups. Whatever queued while the previous group was written
//! goes into one transaction, without waiting for more.

use std::future::Future;

use tokio::sync::{mpsc, oneshot};

use crate::{EngineError, is_passing};

/// How many one transaction takes at most.
const GROUP: usize = 256;
/// How many may queue before senders have to wait.
const QUEUE: usize = 4_096;
/// How often a group that failed in passing (two processes that write the same) is written again.
const RETRIES: usize = 3;

/// Whoever writes groups.
pub trait WriteGroup: Send + Sync + 'static {
    /// What is written.
    type Item: Clone + Send + Sync + 'static;
    /// What is said of each.
    type Answer: Send + 'static;
    /// The name of the histogram of group sizes.
    const GROUP_SIZE: &'static str;

    /// Writes a group in one transaction, in the order given, and says of each what became of it.
    fn write(
        &self,
        group: Vec<Self::Item>,
    ) -> impl Future<Output = Result<Vec<Self::Answer>, EngineError>> + Send;
}

struct Waiting<W: WriteGroup> {
    item: W::Item,
    answer: oneshot::Sender<Result<W::Answer, EngineError>>,
}

/// The way in. Clones share the queue; the group writer ends with the last of them.
pub struct Gatherer<W: WriteGroup> {
    queue: mpsc::Sender<Waiting<W>>,
}

impl<W: WriteGroup> Clone for Gatherer<W> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone() }
    }
}

impl<W: WriteGroup> Gatherer<W> {
    /// Starts the group writer.
    pub fn start(writer: W) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        tokio::spawn(write_groups(writer, waiting));
        Self { queue }
    }

    /// Has something written. When this returns, it is committed.
    pub async fn write(&self, item: W::Item) -> Result<W::Answer, EngineError> {
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting { item, answer };
        self.queue.send(waiting).await.map_err(|_| EngineError::ShuttingDown)?;
        answered.await.map_err(|_| EngineError::ShuttingDown)?
    }
}

async fn write_groups<W: WriteGroup>(writer: W, mut waiting: mpsc::Receiver<Waiting<W>>) {
    let mut group = Vec::with_capacity(GROUP);
    while waiting.recv_many(&mut group, GROUP).await > 0 {
        metrics::histogram!(W::GROUP_SIZE).record(group.len() as f64);
        let (senders, items): (Vec<_>, Vec<_>) =
            group.drain(..).map(|waiting| (waiting.answer, waiting.item)).unzip();
        match write_again(&writer, &items).await {
            Ok(answers) => {
                for (sender, answer) in senders.into_iter().zip(answers) {
                    // The sender may have gone: it is written down all the same.
                    let _gone = sender.send(Ok(answer));
                }
            }
            // One bad row must not hurt the others.
            Err(error) if !is_passing(&error) && items.len() > 1 => {
                tracing::warn!(%error, "a group failed: it is written singly");
                for (sender, item) in senders.into_iter().zip(items) {
                    let answers = write_again(&writer, &[item]).await;
                    let answer = answers.and_then(|answers| {
                        answers.into_iter().next().ok_or(EngineError::ShuttingDown)
                    });
                    let _gone = sender.send(answer);
                }
            }
            Err(error) => refuse(senders, error),
        }
    }
}

fn refuse<A>(senders: Vec<oneshot::Sender<Result<A, EngineError>>>, error: EngineError) {
    let text = error.to_string();
    let mut first = Some(error);
    for sender in senders {
        let error = first.take().unwrap_or_else(|| {
            EngineError::Database(sea_orm::DbErr::Conn(sea_orm::RuntimeErr::Internal(text.clone())))
        });
        let _gone = sender.send(Err(error));
    }
}

/// Writes a group, and again if that failed in passing; not, if it may have been committed and a repetition could count
/// otherwise.
pub async fn write_again<W: WriteGroup>(
    writer: &W,
    items: &[W::Item],
) -> Result<Vec<W::Answer>, EngineError> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        match writer.write(items.to_vec()).await {
            Err(EngineError::Uncertain(error)) => return Err(EngineError::Uncertain(error)),
            Err(error) if is_passing(&error) && attempt < RETRIES => {
                tracing::debug!(%error, "a group failed in passing");
            }
            result => return result,
        }
    }
}
