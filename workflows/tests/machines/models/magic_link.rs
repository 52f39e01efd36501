//! Magic link: one link, two browsers that use it, and a clock that the timer is late to follow.

use stateright::{Model, Property};
use workflows::{
    Timestamp,
    effect::{Answer, Effect},
    id::SessionId,
    magic_link::{Event, LIFETIME, MagicLink, State},
    record::{Record, VisitorSession},
    workflow::{Standing, Workflow},
};

use super::{Call, check};
use crate::examples::{START, failure, link, visitor_session};

struct LinkModel;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    run: State,
    now: Timestamp,
    wake_at: Option<Timestamp>,
    calls: Vec<Call>,
    /// Sessions that were signed in, and when.
    signed_in: Vec<(SessionId, Timestamp)>,
}

#[derive(Clone, Debug, PartialEq)]
enum Action {
    Tick(Timestamp),
    Consume(VisitorSession),
    Cancel,
    Timer,
    Answer(usize, Answer),
}

#[test]
fn link_model() {
    check("magic_link", LinkModel);
}

impl World {
    fn hear(&mut self, event: &Event) {
        if *event == Event::TimerFired {
            self.wake_at = None;
        }
        let Ok(step) = MagicLink::step(&self.run, event, self.now) else {
            return;
        };
        self.run = step.state;
        self.wake_at = step.wake_at;
        self.calls.extend(step.effects.into_iter().map(Call::new));
        for record in step.records {
            if let Record::VisitorSession(session) = record {
                self.signed_in.push((session.session, self.now));
            }
        }
    }
}

fn other_browser() -> VisitorSession {
    VisitorSession { session: SessionId(uuid::Uuid::from_u128(99)), ..visitor_session() }
}

impl Model for LinkModel {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let step = MagicLink::start(&Event::Request { link: link() }, START).unwrap();
        vec![World {
            run: step.state,
            now: START,
            wake_at: step.wake_at,
            calls: step.effects.into_iter().map(Call::new).collect(),
            signed_in: Vec::new(),
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        for minutes in [LIFETIME - 1, LIFETIME, LIFETIME + 1] {
            if START.plus(minutes) > world.now {
                actions.push(Action::Tick(START.plus(minutes)));
            }
        }
        actions.extend([visitor_session(), other_browser()].map(Action::Consume));
        actions.push(Action::Cancel);
        if world.wake_at.is_some_and(|at| at <= world.now) {
            actions.push(Action::Timer);
        }
        for (index, call) in world.calls.iter().enumerate() {
            assert!(matches!(call.effect, Effect::SendMail(_)));
            let answers = [Answer::MailSent, Answer::Failed(failure("550"))];
            actions.extend(answers.map(|answer| Action::Answer(index, answer)));
        }
    }

    fn next_state(&self, last: &World, action: Action) -> Option<World> {
        let mut world = last.clone();
        match action {
            Action::Tick(now) => world.now = now,
            Action::Consume(session) => world.hear(&Event::Consume(Box::new(session))),
            Action::Cancel => world.hear(&Event::Cancel),
            Action::Timer => world.hear(&Event::TimerFired),
            Action::Answer(call, answer) => {
                let call = world.calls.remove(call);
                if let Some(event) = MagicLink::on_answer(&call.effect, &answer) {
                    world.hear(&event);
                }
            }
        }
        (world != *last).then_some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("signs in once", |_, world: &World| world.signed_in.len() <= 1),
            Property::always("never after it expired", |_, world: &World| {
                world.signed_in.iter().all(|(_, at)| *at < START.plus(LIFETIME))
            }),
            Property::always("consumed is signed in", |_, world: &World| {
                matches!(world.run, State::Consumed { .. }) == (world.signed_in.len() == 1)
            }),
            Property::always("what is waited for is on its way", |_, world: &World| {
                world.wake_at.is_some() != (MagicLink::standing(&world.run) == Standing::Done)
            }),
            Property::sometimes(
                "signs in before the mail is known to be sent",
                |_, world: &World| {
                    matches!(world.run, State::Consumed { .. }) && !world.calls.is_empty()
                },
            ),
            Property::sometimes("expires", |_, world: &World| world.run == State::Expired),
        ]
    }
}
