//! Breadth first over `start` and `step`, from representative events.

use std::collections::{HashSet, VecDeque};

use workflows::workflow::Workflow;

use crate::examples::Example;

/// One accepted event. A run begins from nowhere.
pub struct Transition<W: Workflow> {
    pub from: Option<W::State>,
    pub label: String,
    pub to: W::State,
}

/// Every transition that the examples lead to, the nearest to the start first.
pub fn transitions<W: Workflow>(examples: &[Example<W::Event>]) -> Vec<Transition<W>> {
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    let mut ahead = VecDeque::new();
    for example in examples {
        if let Ok(step) = W::start(&example.event, example.at) {
            found.push(Transition { from: None, label: label(example), to: step.state.clone() });
            ahead.push_back(step.state);
        }
    }
    while let Some(from) = ahead.pop_front() {
        if !seen.insert(from.clone()) {
            continue;
        }
        for example in examples {
            if let Ok(step) = W::step(&from, &example.event, example.at) {
                let (from, to) = (Some(from.clone()), step.state.clone());
                found.push(Transition { from, label: label(example), to });
                ahead.push_back(step.state);
            }
        }
    }
    found
}

/// `SessionReported(Paid)`
pub fn label<E: Clone + Into<&'static str>>(example: &Example<E>) -> String {
    let name: &'static str = example.event.clone().into();
    match example.qualifier {
        "" => name.to_owned(),
        qualifier => format!("{name}({qualifier})"),
    }
}
