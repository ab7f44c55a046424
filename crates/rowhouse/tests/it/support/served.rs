//! A server in this process, and HTTP as plain as it can be.
use rowhouse::{Running, Server};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;

/// How long an answer may take on a machine with much to do.
const PATIENCE: Duration = Duration::from_secs(120);

/// A server of the test's own.
pub(crate) struct Served {
    pub(crate) running: Running,
    pub(crate) address: SocketAddr,
    home: TempDir,
}

/// An answer, read to the end of the connection.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    /// What came of the body.
    pub(crate) body: String,
    /// Whether it came to its end.
    pub(crate) is_whole: bool,
}

pub(crate) async fn serve(options: &[(&str, &str)]) -> Served {
    let home = TempDir::new().expect("a directory");
    let data = home.path().join("data");
    std::fs::create_dir(&data).expect("a directory");
    let mut server = Server::builder()
        .option("http_address", "127.0.0.1:0")
        .option("http", "true")
        .option("data_directory", data.to_str().expect("plain names"))
        .option("auto_connect", "true")
        .option("auto_create", "true");
    for (key, value) in options {
        server = server.option(key, value);
    }
    let running = server.build().expect("valid").start().await.expect("it starts");
    let address = running.listeners().iter().find(|listener| listener.protocol == "http").expect("it is on");
    Served { address: address.address, running, home }
}

impl Served {
    /// Where its databases lie.
    pub(crate) fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    pub(crate) async fn post(&self, path: &str, headers: &str, body: impl AsRef<[u8]>) -> Answer {
        let body = body.as_ref();
        let mut request = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(body);
        self.send(request).await
    }

    pub(crate) async fn send(&self, request: Vec<u8>) -> Answer {
        self.send_to(self.address, request).await
    }

    /// The same to another port of the server's.
    pub(crate) async fn send_to(&self, address: SocketAddr, request: Vec<u8>) -> Answer {
        tokio::task::spawn_blocking(move || ask(address, &request)).await.expect("it does not panic")
    }
}

fn ask(address: SocketAddr, request: &[u8]) -> Answer {
    let mut socket = TcpStream::connect(address).expect("it listens");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    socket.write_all(request).expect("it reads");
    let mut bytes = Vec::new();
    socket.read_to_end(&mut bytes).expect("an answer in time");
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8(bytes[..end].to_vec()).expect("a head is text").to_ascii_lowercase();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let rest = &bytes[end + 4..];
    let (body, is_whole) = match head.contains("transfer-encoding: chunked") {
        true => unchunked(rest),
        false => (rest.to_vec(), true),
    };
    Answer { status, head, body: String::from_utf8(body).expect("text"), is_whole }
}

/// What chunks hold, and whether the last of them is there.
fn unchunked(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while let Some(end) = rest.windows(2).position(|window| window == b"\r\n") {
        let size = std::str::from_utf8(&rest[..end]).expect("a size is text");
        let size = usize::from_str_radix(size, 16).expect("a size is hexadecimal");
        if size == 0 {
            return (body, true);
        }
        let chunk = &rest[end + 2..];
        body.extend_from_slice(&chunk[..size.min(chunk.len())]);
        if chunk.len() < size + 2 {
            break;
        }
        rest = &chunk[size + 2..];
    }
    (body, false)
}
