//! Whether what was sent last was read, as TCP tells it.
//!
//! A peer that closes with something unread resets the connection. One that had closed before ends
//! it in order, and resets it once what was sent arrives there: a round trip later.
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Whether a connection that has ended in order is reset within `wait`.
pub(crate) async fn within(stream: &TcpStream, wait: Duration) -> bool {
    // Without an error in time there was none.
    let _waited = timeout(wait, stream.ready(Interest::ERROR)).await;
    matches!(stream.take_error(), Ok(Some(_)) | Err(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::ErrorKind;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    const PATIENCE: Duration = Duration::from_secs(30);

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let (client, server) = tokio::join!(TcpStream::connect(address), listener.accept());
        (client.expect("it listens"), server.expect("it connects").0)
    }

    #[tokio::test]
    async fn a_peer_that_read_its_reply_ends_in_order() {
        let (mut client, mut server) = pair().await;
        server.write_all(b"reply").await.expect("it is connected");
        client.read_exact(&mut [0; 5]).await.expect("the reply");
        drop(client);
        assert_eq!(server.read(&mut [0; 1]).await.expect("an orderly end"), 0);
        assert!(!within(&server, Duration::from_millis(1)).await);
    }

    #[tokio::test]
    async fn a_peer_that_closed_before_its_reply_was_written_is_told_by_a_reset() {
        let (client, mut server) = pair().await;
        drop(client);
        server.write_all(b"reply").await.expect("its end is not seen by writing");
        // The end came first and is read first; what follows is the answer to the reply.
        let is_reset = server.read(&mut [0; 1]).await.is_err();
        assert!(is_reset || within(&server, PATIENCE).await);
    }

    #[tokio::test]
    async fn a_peer_that_closed_with_its_reply_unread_resets() {
        let (client, mut server) = pair().await;
        server.write_all(b"reply").await.expect("it is connected");
        client.readable().await.expect("the reply");
        drop(client);
        let error = server.read(&mut [0; 1]).await.expect_err("no orderly end");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
}
