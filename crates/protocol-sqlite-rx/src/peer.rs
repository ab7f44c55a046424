//! One peer, from its first request to goodbye: request, answer, request, answer.
//!
//! A request that can be sent again outlives its peer: it goes on alone, with the peer's session but
//! without its connection and its place among the clients, until a resend asks for its outcome.
use crate::curve::ClientKey;
use crate::packing::Unpacked;
use crate::resend::{Claim, Flight, Joined, Outcome};
use crate::session::{Session, target};
use crate::shared::Shared;
use crate::transport::{Packed, Transport, TransportError};
use crate::{error, health};
use bytes::Bytes;
use futures::FutureExt;
use rowhouse_gateway::{Place, Principal};
use rowhouse_types::{Request, Target};
use rowhouse_wire::sqlite_rx::{Call, Fault, Incoming, ReplyWriter};
use std::mem;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep_until;

/// How long a reset may follow the end of a connection: a round trip to a client far away.
const RESET_WAIT: Duration = Duration::from_millis(100);

pub(crate) struct Peer {
    /// `None` once the peer has left.
    connection: Option<Connection>,
    who: Who,
    session: Session,
    shared: Arc<Shared>,
    /// Whether no request has come yet: only the first can be a resend.
    is_new: bool,
    /// The request whose reply was written last, if it is to be seen whether the peer reads it.
    written: Option<Flight<Session>>,
}

/// Who a peer is.
pub(crate) struct Who {
    /// The key that it has proved, if it encrypts.
    pub(crate) key: Option<ClientKey>,
    /// With whom it shares.
    pub(crate) principal: Option<Principal>,
}

/// What a peer has while it is connected.
struct Connection {
    transport: Transport,
    place: Place,
}

/// What ended the wait for a request.
enum Next {
    Request(Packed),
    IdleTransaction,
    Drain,
}

/// SQL to run, and where.
struct Work {
    database: String,
    target: Result<Target, Fault>,
    request: Result<Request, Fault>,
}

/// A request that can be sent again, if it can.
type Again = Option<Flight<Session>>;

// === impl Peer ===

impl Peer {
    /// A peer that was let in.
    pub(crate) fn new(transport: Transport, place: Place, who: Who, shared: Arc<Shared>) -> Self {
        let connection = Some(Connection { transport, place });
        let session = Session::new(shared.clone(), who.principal.clone());
        Self { connection, who, session, shared, is_new: true, written: None }
    }

    /// Serves it, with a first request that has come already if there is one, until it leaves, is ended
    /// or the server drains, and then what it left in flight.
    pub(crate) async fn serve(mut self, mut first: Option<Packed>) -> Result<(), TransportError> {
        loop {
            let next = match first.take() {
                Some(request) => Ok(Next::Request(request)),
                None => self.next().await,
            };
            match next {
                Ok(Next::Request(request)) => self.answer(request).await?,
                Ok(Next::IdleTransaction) => self.session.expire(),
                Ok(Next::Drain) => break,
                Err(error) => {
                    self.ended(&error).await;
                    return Err(error);
                }
            }
        }
        if let Some(connection) = self.connection {
            connection.transport.close().await;
        }
        Ok(())
    }

    async fn next(&mut self) -> Result<Next, TransportError> {
        // Before the deadline is asked for, so that no change of it is missed.
        let disturbed = self.session.disturbed();
        let deadline = self.session.next_expiry();
        let idle = async {
            match deadline {
                Some(deadline) => sleep_until(deadline.into()).await,
                None => std::future::pending().await,
            }
        };
        let Connection { transport, place } = connection(&mut self.connection);
        Ok(tokio::select! {
            biased;
            () = self.shared.context.drain.draining() => Next::Drain,
            () = place.ended() => return Err(TransportError::Ended),
            request = transport.receive() => Next::Request(request?),
            () = idle => Next::IdleTransaction,
            () = disturbed => Next::IdleTransaction,
        })
    }

    /// Answers one request.
    async fn answer(&mut self, request: Packed) -> Result<(), TransportError> {
        // It asks again, so it has read what it was told before.
        self.written = None;
        let is_first = mem::replace(&mut self.is_new, false);
        let unpacking = self.shared.packing.unpack(self.who.key, request.payload);
        let Unpacked { key, incoming } = unpacking.await;
        let envelope = request.envelope;
        let place = &connection(&mut self.connection).place;
        let Incoming { database, identified, call } = match incoming {
            Ok(incoming) => incoming,
            Err(fault) => {
                place.asked();
                return self.refuse(envelope, &fault).await;
            }
        };
        let work = match call {
            Call::Run(request) => {
                let target = target(&database);
                target.as_ref().map_or_else(|_| place.asked(), |target| place.busy(target));
                Work { database, target, request }
            }
            Call::HealthCheck => {
                place.asked();
                let report = health::report(&self.shared, &database).await;
                let reply = self.shared.packing.pack(report).await;
                return self.deliver(envelope, reply, None).await;
            }
        };
        let (reply, again) = if !identified || work.request.is_err() {
            self.run(work, None).await?
        } else if is_first {
            let claim = self.shared.resends.claim(key).await;
            if matches!(claim, Claim::Join(_) | Claim::Answer(..)) {
                self.shared.counters.resend();
            }
            match claim {
                Claim::Run(flight) => self.run(work, Some(flight)).await?,
                Claim::Join(joined) => self.join(joined).await?,
                Claim::Answer(flight, outcome) => self.adopt(flight, outcome),
                Claim::Lost => {
                    connection(&mut self.connection).place.idle();
                    return self.refuse(envelope, &error::transaction_lost()).await;
                }
            }
        } else {
            let flight = self.shared.resends.begin(key, self.session.in_transaction());
            self.run(work, Some(flight)).await?
        };
        // Before it knows: who has read its reply is not listed as busy with it.
        connection(&mut self.connection).place.idle();
        self.deliver(envelope, reply, again).await
    }

    /// Runs a request. When the peer leaves meanwhile it goes on alone, as long as it may.
    async fn run(&mut self, work: Work, again: Again) -> Result<(Bytes, Again), TransportError> {
        self.shared.counters.query();
        let Self { connection: connected, session, shared, .. } = self;
        let in_transaction = session.in_transaction();
        let (reply, flight, error) = {
            let mut running = pin!(run(shared, session, work));
            let Connection { transport, place } = connection(connected);
            let error = tokio::select! {
                biased;
                reply = &mut running => return Ok((reply, again)),
                () = place.ended() => TransportError::Ended,
                error = transport.left() => error,
            };
            *connected = None;
            let Some(flight) = again else { return Err(error) };
            if in_transaction && matches!(error, TransportError::Ended) {
                flight.lose();
                return Err(error);
            }
            let Some(interrupted) = flight.detach() else { return Err(error) };
            tokio::select! {
                biased;
                reply = &mut running => (reply, flight, error),
                () = interrupted.wait() => return Err(error),
            }
        };
        flight.finish(self.leave(reply));
        Err(error)
    }

    /// Waits for the outcome of the request of which this peer's is the resend.
    async fn join(&mut self, mut joined: Joined<Session>) -> Result<(Bytes, Again), TransportError> {
        let Connection { transport, place } = connection(&mut self.connection);
        let outcome = tokio::select! {
            biased;
            outcome = joined.outcome() => outcome,
            () = place.ended() => return Err(TransportError::Ended),
            error = transport.left() => return Err(error),
        };
        // Without an outcome the server is being ended, and this peer with it.
        let (flight, outcome) = outcome.ok_or(TransportError::Closed)?;
        Ok(self.adopt(flight, outcome))
    }

    /// Goes on where a peer left that sent the same request.
    fn adopt(&mut self, flight: Flight<Session>, outcome: Outcome<Session>) -> (Bytes, Again) {
        self.session = outcome.session;
        (outcome.reply, Some(flight))
    }

    /// What this peer leaves behind for a resend of its last request.
    fn leave(&mut self, reply: Bytes) -> Outcome<Session> {
        let session =
            mem::replace(&mut self.session, Session::new(self.shared.clone(), self.who.principal.clone()));
        Outcome { reply, in_transaction: session.in_transaction(), session }
    }

    async fn refuse(&mut self, envelope: Vec<Bytes>, fault: &Fault) -> Result<(), TransportError> {
        self.shared.counters.error();
        let reply = self.shared.packing.pack(ReplyWriter::fault(fault)).await;
        self.deliver(envelope, reply, None).await
    }

    /// Sends a reply. What the peer cannot get for having left is kept for its resend.
    async fn deliver(
        &mut self,
        envelope: Vec<Bytes>,
        reply: Bytes,
        again: Again,
    ) -> Result<(), TransportError> {
        let Connection { transport, place } = connection(&mut self.connection);
        let sent = match transport.left().now_or_never() {
            None => tokio::select! {
                biased;
                sent = transport.send(envelope, reply.clone()) => sent,
                () = place.ended() => Err(TransportError::Ended),
            },
            Some(error) => Err(error),
        };
        match (&sent, again) {
            (Ok(()), again) => self.written = again.and_then(|flight| flight.written(reply)),
            // Rolled back with the connection, so its resend does not run outside of it.
            (Err(TransportError::Ended), Some(flight)) if self.session.in_transaction() => flight.lose(),
            (Err(_), Some(flight)) => flight.finish(self.leave(reply)),
            (Err(_), None) => {}
        }
        sent
    }

    /// The connection ended between two requests. If it did so before the last reply was read, that
    /// is kept.
    async fn ended(&mut self, error: &TransportError) {
        let connection = self.connection.take().expect("it ends once");
        let Some(flight) = self.written.take() else { return };
        if matches!(error, TransportError::Ended) {
            // It ends in order, after the reply was written.
            return;
        }
        if error.is_reset() || connection.transport.is_reset_within(RESET_WAIT).await {
            let left = self.leave(Bytes::new());
            flight.unread(left.session, left.in_transaction);
        }
    }
}

fn connection(connection: &mut Option<Connection>) -> &mut Connection {
    connection.as_mut().expect("nothing is done for a peer that has left")
}

/// Runs SQL and packs its reply.
async fn run(shared: &Arc<Shared>, session: &mut Session, work: Work) -> Bytes {
    let Work { database, target, request } = work;
    let ran = match target {
        Ok(target) => session.run(&database, target, request).await,
        Err(fault) => Err(fault),
    };
    let reply = ran.unwrap_or_else(|fault| {
        shared.counters.error();
        ReplyWriter::fault(&fault)
    });
    shared.packing.pack(reply).await
}
