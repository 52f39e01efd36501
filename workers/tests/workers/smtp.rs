//! A mail server of a few lines that answers as it is told and remembers what it was given.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// What the server says once it has the whole mail.
#[derive(Clone, Copy, Debug)]
pub enum Mood {
    /// The mail is taken.
    Takes,
    /// The mail is taken, and the connection ends before that is said.
    TakesAndHangsUp,
    /// `550`: there is no such mailbox.
    Refuses,
    /// `421`: try again later.
    IsBusy,
    /// The connection ends at once.
    HangsUp,
}

pub struct Smtp {
    pub address: String,
    mood: Arc<Mutex<Mood>>,
    /// The mails as they came, headers and all.
    mails: Arc<Mutex<Vec<String>>>,
}

impl Smtp {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("smtp://{}", listener.local_addr().unwrap());
        let (mood, mails) =
            (Arc::new(Mutex::new(Mood::Takes)), Arc::<Mutex<Vec<String>>>::default());
        let (feels, log) = (mood.clone(), mails.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A client that hangs up is no concern of the server's.
                tokio::spawn(converse(stream, feels.clone(), log.clone()));
            }
        });
        Self { address, mood, mails }
    }

    pub fn is(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    pub fn mails(&self) -> Vec<String> {
        self.mails.lock().unwrap().clone()
    }
}

async fn converse(
    stream: TcpStream,
    mood: Arc<Mutex<Mood>>,
    mails: Arc<Mutex<Vec<String>>>,
) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let feels = || *mood.lock().unwrap();
    if matches!(feels(), Mood::HangsUp) {
        return None;
    }
    say(&mut stream, "220 test ESMTP").await?;
    loop {
        let line = hear(&mut stream).await?;
        let answer = match line.split([' ', ':']).next().unwrap_or_default() {
            "EHLO" | "HELO" => "250 test",
            "RCPT" if matches!(feels(), Mood::Refuses) => "550 5.1.1 no such mailbox",
            "MAIL" if matches!(feels(), Mood::IsBusy) => "421 4.3.2 busy, try again later",
            "MAIL" | "RCPT" | "RSET" | "NOOP" => "250 ok",
            "QUIT" => {
                say(&mut stream, "221 bye").await?;
                return None;
            }
            "DATA" => {
                say(&mut stream, "354 go on").await?;
                let mail = take(&mut stream).await?;
                mails.lock().unwrap().push(mail);
                if matches!(feels(), Mood::TakesAndHangsUp) {
                    return None;
                }
                "250 taken"
            }
            _ => "502 not here",
        };
        say(&mut stream, answer).await?;
    }
}

async fn take(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut mail = String::new();
    loop {
        let line = hear(stream).await?;
        if line == "." {
            return Some(mail);
        }
        mail.push_str(&line);
        mail.push('\n');
    }
}

async fn hear(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    match stream.read_line(&mut line).await {
        Ok(length) if length > 0 => Some(line.trim_end().to_owned()),
        _ => None,
    }
}

async fn say(stream: &mut BufReader<TcpStream>, line: &str) -> Option<()> {
    stream.write_all(format!("{line}\r\n").as_bytes()).await.ok()
}
