//! An HTTP client for measuring: one connection, one request at a time.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

/// How long an answer may take before the bench gives up.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
/// The longest answer, in bytes.
const MAX_ANSWER: usize = 64 << 20;

/// One connection, kept open.
pub(super) struct Http {
    stream: BufReader<TcpStream>,
    host: String,
}

// === impl Http ===

impl Http {
    pub(super) fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        Ok(Self { stream: BufReader::new(stream), host: address.to_string() })
    }

    /// Asks for a resource and returns its text.
    pub(super) fn get(&mut self, path: &str) -> Result<String> {
        self.exchange(&format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.host))
    }

    /// Writes JSON to a resource and returns the answer.
    pub(super) fn put(&mut self, path: &str, body: &str) -> Result<String> {
        self.send("PUT", path, body)
    }

    /// Posts JSON to a resource and returns the answer.
    pub(super) fn post(&mut self, path: &str, body: &str) -> Result<String> {
        self.send("POST", path, body)
    }

    fn send(&mut self, method: &str, path: &str, body: &str) -> Result<String> {
        let (host, length) = (&self.host, body.len());
        self.exchange(&format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        ))
    }

    fn exchange(&mut self, request: &str) -> Result<String> {
        self.stream.get_mut().write_all(request.as_bytes())?;
        let status = self.line()?;
        let mut length = 0;
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            if let Some(("content-length", value)) =
                line.to_ascii_lowercase().split_once(':').map(|(name, value)| (name, value.trim()))
            {
                length = value.parse().context("a length that is no number")?;
            }
        }
        ensure!(length <= MAX_ANSWER, "an answer of {length} bytes");
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        let body = String::from_utf8(body).context("an answer that is no text")?;
        ensure!(status.contains(" 200 "), "{status}: {body}");
        Ok(body)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        ensure!(self.stream.read_line(&mut line)? > 0, "the server closed the connection");
        Ok(line.trim_end().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// Answers one request on one connection, with these bytes, and returns the request.
    fn served(
        answer: &'static str,
        ask: impl FnOnce(&mut Http) -> Result<String>,
    ) -> (String, Result<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = vec![0; 4096];
            let read = stream.read(&mut request).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&request[..read]).into_owned()
        });
        let answered = ask(&mut Http::connect(address).unwrap());
        (server.join().unwrap(), answered)
    }

    #[test]
    fn an_answer_is_its_body() {
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}\n";
        let (request, body) = served(answer, |http| http.put("/limit", "{\"limit\":1}"));

        assert_eq!(body.unwrap(), "{}\n");
        assert!(request.starts_with("PUT /limit HTTP/1.1\r\n") && request.ends_with("\r\n\r\n{\"limit\":1}"));
    }

    #[test]
    fn a_refusal_is_an_error_that_tells_it() {
        let answer = "HTTP/1.1 404 Not Found\r\ncontent-length: 4\r\n\r\nnone";
        let (_, body) = served(answer, |http| http.get("/x"));

        assert!(body.unwrap_err().to_string().contains("404 Not Found: none"));
    }
}
