//! The socket of a listener: bound before anything is served, accepting what open files leave room for.
use super::room::Room;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd as _;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::sleep;

/// How long accepting pauses when the process is out of file descriptors.
const PAUSE: Duration = Duration::from_millis(50);

/// The socket that the clients of one protocol connect to.
#[derive(Debug)]
pub struct Socket {
    listener: TcpListener,
    address: SocketAddr,
}

// === impl Socket ===

impl Socket {
    /// Binds to `address`; port 0 means any free one. The system holds so many connections to be accepted.
    ///
    /// Needs a Tokio runtime with I/O.
    ///
    /// # Errors
    ///
    /// When the address cannot be had.
    pub fn bind(address: SocketAddr, backlog: u32) -> io::Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let listener = socket.listen(backlog)?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next connection; those that open files leave no room for are closed.
    ///
    /// # Errors
    ///
    /// When accepting fails; it may be tried again at once.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no connection.
    pub async fn accept(&self, room: &mut Room) -> io::Result<(TcpStream, SocketAddr)> {
        loop {
            match self.listener.accept().await {
                Ok((stream, from)) if room.has(stream.as_raw_fd()) => return Ok((stream, from)),
                Ok(no_room) => {
                    drop(no_room);
                    sleep(PAUSE).await;
                }
                Err(error) => {
                    // Out of descriptors, most likely: trying again at once would only burn the processor.
                    sleep(PAUSE).await;
                    return Err(error);
                }
            }
        }
    }
}
