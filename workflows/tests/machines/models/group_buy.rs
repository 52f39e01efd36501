//! Group buy: visitors who come, withdraw and come back, a deadline, a creator and an operator who call it off, and a
//! row that all of them decide on under its lock.

use std::collections::{BTreeMap, BTreeSet};

use stateright::{Model, Property};
use uuid::Uuid;
use workflows::{
    effect::{Answer, Effect, Mail},
    group_buy::{Event, GroupBuy, News, Outcome, Refusal, State, Telling},
    id::VisitorId,
    workflow::{Standing, Workflow},
};

use super::{Call, check};
use crate::examples::{START, failure, group_buy};

/// Three visitors, two of whom are enough.
const VISITORS: u8 = 3;
const TARGET: usize = 2;
/// How many visitors are listed at a time: one, so that there are pages.
const PAGE: usize = 1;
/// How often anybody may come or go.
const CHANGES: i64 = 4;

struct GroupBuyModel;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    run: State,
    timer: bool,
    calls: Vec<Call>,
    row: Row,
    /// Our own messages, in the order they were sent: neither lost nor repeated.
    inbox: Vec<Event>,
    /// Who was mailed what, and how often.
    mailed: BTreeMap<(u8, News), u8>,
    /// An operator has discarded something.
    discarded: bool,
}

/// The group buy's row and its interests: what is decided under its lock.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Row {
    published: bool,
    outcome: Option<Outcome>,
    /// The active interests: the position that each began with.
    interests: BTreeMap<u8, i64>,
    position: i64,
    /// Those who were interested when it ended, in their order.
    at_the_end: BTreeMap<i64, u8>,
    /// Those of them who have not withdrawn since.
    stayed: BTreeSet<u8>,
}

#[derive(Clone, Debug, PartialEq)]
enum Action {
    Publish,
    /// A visitor wants it, or no longer.
    Change(u8),
    /// A visitor wants another quantity of it.
    Again(u8),
    CallOff,
    Cancel,
    Timer,
    Deliver,
    Perform(usize),
    Discard(usize),
    Answer(usize),
}

#[test]
fn threshold() {
    check("group_buy", GroupBuyModel);
}

fn visitor(n: u8) -> VisitorId {
    VisitorId(Uuid::from_u128(n.into()))
}

impl Row {
    fn change(&mut self, visitor: u8) -> Option<Event> {
        if self.interests.remove(&visitor).is_some() {
            self.position += 1;
            self.stayed.remove(&visitor);
            return None;
        }
        self.want(visitor)
    }

    fn want(&mut self, visitor: u8) -> Option<Event> {
        self.position += 1;
        self.interests.insert(visitor, self.position);
        let reached = self.outcome.is_none() && self.interests.len() >= TARGET;
        reached.then(|| {
            self.end(Outcome::Activated);
            Event::ThresholdReached { through: self.position }
        })
    }

    fn end(&mut self, outcome: Outcome) -> Answer {
        if self.outcome.is_none() {
            self.outcome = Some(outcome);
            self.at_the_end = self.interests.iter().map(|(who, at)| (*at, *who)).collect();
            self.stayed = self.interests.keys().copied().collect();
        }
        Answer::GroupBuyEnded { outcome: self.outcome.unwrap(), through: self.position }
    }

    /// Whether visitors may come and go.
    fn is_open(&self) -> bool {
        self.published && matches!(self.outcome, None | Some(Outcome::Activated))
    }
}

impl World {
    fn hear(&mut self, event: &Event) {
        let Ok(step) = GroupBuy::step(&self.run, event, START) else { return };
        self.timer = step.wake_at.is_some();
        self.run = step.state;
        assert!(step.records.is_empty(), "the row is written where it is held");
        for effect in step.effects {
            match effect {
                Effect::SendMail(Mail::GroupBuy { visitor, news, .. }) => {
                    let visitor = u8::try_from(visitor.0.as_u128()).unwrap();
                    *self.mailed.entry((visitor, news)).or_default() += 1;
                }
                effect => self.calls.push(Call::new(effect)),
            }
        }
    }

    fn perform(&mut self, call: usize) {
        let answer = match &self.calls[call].effect {
            Effect::EndGroupBuy { refusal, .. } => self.row.end(Outcome::Refused(*refusal)),
            Effect::ListInterested { after, through, .. } => self.list(*after, *through),
            Effect::SealActivation { .. } => Answer::ActivationSealed { hash: String::new() },
            effect => panic!("not an effect of a group buy: {effect:?}"),
        };
        self.calls[call].answer = Some(answer);
    }

    fn list(&self, after: i64, through: i64) -> Answer {
        let stood = self.row.at_the_end.range(after + 1..through + 1);
        let still = stood.filter(|(_, who)| self.row.interests.contains_key(who));
        let page: Vec<_> = still.take(PAGE).collect();
        Answer::InterestedListed {
            visitors: page.iter().map(|(_, who)| visitor(**who)).collect(),
            after: page.last().filter(|_| page.len() == PAGE).map(|(position, _)| **position),
        }
    }

    fn answer(&mut self, call: usize) {
        let Call { effect, answer } = self.calls.remove(call);
        if let Some(event) = answer.and_then(|answer| GroupBuy::on_answer(&effect, &answer)) {
            self.hear(&event);
        }
    }

    fn deliver(&mut self) {
        let event = self.inbox.remove(0);
        self.hear(&event);
    }

    fn left_alone(&self) -> World {
        let mut world = self.clone();
        loop {
            if !world.inbox.is_empty() {
                world.deliver();
            } else if !world.calls.is_empty() {
                if world.calls[0].answer.is_none() {
                    world.perform(0);
                }
                world.answer(0);
            } else if world.timer {
                world.timer = false;
                world.hear(&Event::TimerFired);
            } else {
                return world;
            }
        }
    }

    /// The run and the row say the same.
    fn agrees(&self) -> bool {
        match (&self.run, self.row.outcome) {
            (State::Draft { .. }, None) => !self.row.published,
            // Without a deadline it goes on and on; with one, being left alone ends it.
            (State::Collecting { .. } | State::Ending { .. }, None) => true,
            (State::Activated { .. }, Some(Outcome::Activated))
            | (State::Lapsed { .. }, Some(Outcome::Refused(Refusal::Lapsed)))
            | (State::Cancelled { .. }, Some(Outcome::Refused(Refusal::Cancelled))) => true,
            _ => false,
        }
    }

    /// Everybody who was interested when it ended, and has stayed so, was mailed once.
    fn told_all(&self) -> bool {
        let Some(outcome) = self.row.outcome else { return self.mailed.is_empty() };
        let news = match outcome {
            Outcome::Activated => News::Activated,
            Outcome::Refused(Refusal::Lapsed) => News::Lapsed,
            Outcome::Refused(Refusal::Cancelled) => News::Cancelled,
        };
        self.row.stayed.iter().all(|who| self.mailed.get(&(*who, news)) == Some(&1))
    }
}

impl Model for GroupBuyModel {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let created = Event::Create { group_buy: group_buy() };
        let step = GroupBuy::start(&created, START).unwrap();
        vec![World {
            run: step.state,
            timer: false,
            calls: Vec::new(),
            row: Row {
                published: false,
                outcome: None,
                interests: BTreeMap::new(),
                position: 0,
                at_the_end: BTreeMap::new(),
                stayed: BTreeSet::new(),
            },
            inbox: Vec::new(),
            mailed: BTreeMap::new(),
            discarded: false,
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        if !world.row.published && world.row.outcome.is_none() {
            actions.push(Action::Publish);
        }
        if world.row.is_open() && world.row.position < CHANGES {
            actions.extend((0..VISITORS).map(Action::Change));
            actions.extend(world.row.interests.keys().copied().map(Action::Again));
        }
        if world.row.outcome.is_none() {
            actions.push(Action::CallOff);
        }
        if world.calls.is_empty() {
            actions.push(Action::Cancel);
        }
        if world.timer {
            actions.push(Action::Timer);
        }
        if !world.inbox.is_empty() {
            actions.push(Action::Deliver);
        }
        for (index, call) in world.calls.iter().enumerate() {
            match call.answer {
                Some(_) => actions.push(Action::Answer(index)),
                None => actions.extend([Action::Perform(index), Action::Discard(index)]),
            }
        }
    }

    fn next_state(&self, last: &World, action: Action) -> Option<World> {
        let mut world = last.clone();
        match action {
            Action::Publish => {
                world.row.published = true;
                let deadline = Some(START);
                world.inbox.push(Event::Publish { deadline });
            }
            Action::Change(who) => world.inbox.extend(world.row.change(who)),
            Action::Again(who) => world.inbox.extend(world.row.want(who)),
            Action::CallOff => {
                let Answer::GroupBuyEnded { outcome, through } =
                    world.row.end(Outcome::Refused(Refusal::Cancelled))
                else {
                    unreachable!()
                };
                world.inbox.push(Event::Ended { outcome, through });
            }
            Action::Cancel => world.hear(&Event::Cancel),
            Action::Timer => {
                world.timer = false;
                world.hear(&Event::TimerFired);
            }
            Action::Deliver => world.deliver(),
            Action::Perform(call) => world.perform(call),
            Action::Discard(call) => {
                world.discarded = true;
                world.calls[call].answer = Some(Answer::Failed(failure("discarded")));
            }
            Action::Answer(call) => world.answer(call),
        }
        (world != *last).then_some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("nobody is mailed twice", |_, world: &World| {
                world.mailed.values().all(|times| *times == 1)
            }),
            Property::always("one outcome is told", |_, world: &World| {
                let news: BTreeSet<_> =
                    world.mailed.keys().map(|(_, news)| <&str>::from(*news)).collect();
                news.len() <= 1
            }),
            Property::always(
                "nobody is told who was not interested when it ended",
                |_, world: &World| {
                    let stood: BTreeSet<_> = world.row.at_the_end.values().collect();
                    world.mailed.keys().all(|(who, _)| stood.contains(who))
                },
            ),
            Property::always(
                "left alone, the run comes to the row's outcome",
                |_, world: &World| world.left_alone().agrees(),
            ),
            Property::always("left alone, everybody is told", |_, world: &World| {
                world.discarded || world.left_alone().told_all()
            }),
            Property::always("what is waited for is on its way", |_, world: &World| {
                let people = matches!(world.run, State::Draft { .. } | State::Collecting { .. });
                match GroupBuy::standing(&world.run) {
                    Standing::Waiting(_) => people || world.timer || !world.calls.is_empty(),
                    Standing::Done | Standing::Cancelled => !world.timer,
                }
            }),
            Property::sometimes("activated, and somebody withdrew", |_, world: &World| {
                matches!(world.run, State::Activated { .. }) && world.row.interests.len() < TARGET
            }),
            Property::sometimes("activated while it was being ended", |_, world: &World| {
                matches!(world.run, State::Ending { .. })
                    && world.row.outcome == Some(Outcome::Activated)
            }),
            Property::sometimes("lapsed, and somebody was told", |_, world: &World| {
                matches!(world.run, State::Lapsed { .. }) && !world.mailed.is_empty()
            }),
            Property::sometimes("called off, and somebody was told", |_, world: &World| {
                matches!(world.run, State::Cancelled { .. }) && !world.mailed.is_empty()
            }),
            Property::sometimes("telling was given up", |_, world: &World| {
                matches!(world.run, State::Activated { telling: Telling::GivenUp { .. }, .. })
            }),
        ]
    }
}
