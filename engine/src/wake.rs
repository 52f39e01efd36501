//! Wake-ups: "there is work on this queue". Losing every one of them costs time, never work.

use std::collections::BTreeSet;

use workflows::effect::Queue;

/// Something that can be due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Work {
    /// Messages and timers of runs.
    Inbox,
    /// Calls to Stripe.
    Stripe,
    /// Mails that somebody waits for.
    Mail,
    /// Markers to the outside.
    Marker,
    /// Work on our own database.
    Local,
    /// Mails by the thousand.
    News,
}

impl Work {
    /// All of it.
    pub const ALL: [Work; 6] =
        [Work::Inbox, Work::Stripe, Work::Mail, Work::Marker, Work::Local, Work::News];

    /// The work of an outbox queue.
    pub fn of(queue: Queue) -> Self {
        match queue {
            Queue::Stripe => Self::Stripe,
            Queue::Mail => Self::Mail,
            Queue::Marker => Self::Marker,
            Queue::News => Self::News,
            Queue::Local => Self::Local,
        }
    }

    /// The outbox queue of the work, if it is that.
    pub fn queue(self) -> Option<Queue> {
        match self {
            Self::Inbox => None,
            Self::Stripe => Some(Queue::Stripe),
            Self::Mail => Some(Queue::Mail),
            Self::Marker => Some(Queue::Marker),
            Self::News => Some(Queue::News),
            Self::Local => Some(Queue::Local),
        }
    }

    /// Its name in wake-ups, metrics and the database.
    pub fn name(self) -> &'static str {
        match self.queue() {
            None => "inbox",
            Some(queue) => queue.into(),
        }
    }

    /// The work of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|work| work.name() == name)
    }
}

/// Whoever can tell workers that something is due. Never fails and never blocks: what is lost here, the
/// sweeper finds.
pub trait Wakeups: Send + Sync {
    /// Says that there is work.
    fn wake(&self, work: Work);
}

/// Nobody listens: for processes that drain by themselves, and for tests.
pub struct NoWakeups;

impl Wakeups for NoWakeups {
    fn wake(&self, _: Work) {}
}

/// What is to be woken once the transaction has committed.
#[must_use = "give it to Engine::wake after the transaction has committed"]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WakeUp(BTreeSet<Work>);

impl WakeUp {
    /// Wakes for one kind of work.
    pub fn of(work: Work) -> Self {
        Self(BTreeSet::from([work]))
    }

    /// Wakes for another kind, too.
    pub fn add(&mut self, work: Work) {
        self.0.insert(work);
    }

    pub(crate) fn into_works(self) -> impl Iterator<Item = Work> {
        self.0.into_iter()
    }
}
