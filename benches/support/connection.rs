//! Connections that load comes in by.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A kept-alive HTTP/1.1 connection that reads just enough of an answer.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub async fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: vec![0; 8_192] }
    }

    /// Sends a request, and goes on when it is answered well.
    pub async fn post(&mut self, request: &[u8]) {
        self.stream.write_all(request).await.unwrap();
        let mut filled = 0;
        loop {
            let read = self.stream.read(&mut self.buffer[filled..]).await.unwrap();
            assert!(read > 0, "the connection was closed");
            filled += read;
            if let Some(whole) = whole_answer(&self.buffer[..filled]) {
                assert!(whole.starts_with(b"HTTP/1.1 20"), "{}", String::from_utf8_lossy(whole));
                return;
            }
        }
    }
}

/// The answer, once its body is complete.
fn whole_answer(bytes: &[u8]) -> Option<&[u8]> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    })?;
    (body.len() >= length).then_some(bytes)
}
