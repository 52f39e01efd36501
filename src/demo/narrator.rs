//! Saying what happens: for people, or one JSON object a line for scripts.

use std::time::Instant;

use serde_json::{Value, json};

/// For whom the story is told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Sentences.
    Narration,
    /// One JSON object a line.
    Json,
}

impl From<bool> for Output {
    fn from(json: bool) -> Self {
        if json { Self::Json } else { Self::Narration }
    }
}

/// Says what happens, and how long it took since the last time.
pub struct Narrator {
    output: Output,
    last: Instant,
    steps: u32,
}

impl Narrator {
    pub fn new(output: Output) -> Self {
        Self { output, last: Instant::now(), steps: 0 }
    }

    /// A step of the story, with what it showed.
    pub fn step(&mut self, name: &str, sentence: &str, facts: &Value) {
        self.steps += 1;
        let millis = self.last.elapsed().as_millis();
        match self.output {
            Output::Narration => println!("{:>2}. {sentence}  ({millis} ms)", self.steps),
            Output::Json => {
                println!(
                    "{}",
                    json!({ "step": name, "ok": true, "millis": millis, "facts": facts })
                );
            }
        }
        self.last = Instant::now();
    }
}
