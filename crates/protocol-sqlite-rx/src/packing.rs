//! Packing replies and unpacking requests, off the network's threads where it takes long.
use crate::curve::ClientKey;
use crate::resend::{Key, Keys};
use bytes::Bytes;
use rowhouse_types::ErrorCode;
use rowhouse_wire::sqlite_rx::{BadEnvelope, Envelope, Fault, Incoming, decode};
use std::sync::{Arc, Mutex};

/// Larger messages, packed or not, are packed and unpacked on a thread of their own, for that takes
/// long enough to be felt by other peers.
const OFFLOAD: usize = 32 * 1024;

/// The most envelopes kept for reuse: more than can be at work at once on any machine.
const ENVELOPES_MAX: usize = 64;

/// What packs and unpacks the messages of one listener.
#[derive(Debug)]
pub(crate) struct Packing {
    /// The most bytes of a request, inflated.
    max_request_bytes: usize,
    keys: Keys,
    envelopes: Mutex<Vec<Envelope>>,
}

/// A request, unpacked.
#[derive(Debug)]
pub(crate) struct Unpacked {
    /// By which one like it is found.
    pub(crate) key: Key,
    pub(crate) incoming: Result<Incoming, Fault>,
}

// === impl Packing ===

impl Packing {
    pub(crate) fn new(max_request_bytes: usize) -> Self {
        Self { max_request_bytes, keys: Keys::new(), envelopes: Mutex::default() }
    }

    /// Packs a reply.
    pub(crate) async fn pack(self: &Arc<Self>, reply: Vec<u8>) -> Bytes {
        if reply.len() < OFFLOAD {
            return self.pack_here(&reply);
        }
        self.elsewhere(move |this| this.pack_here(&reply)).await
    }

    /// Unpacks a request from a peer that has proved `client`.
    pub(crate) async fn unpack(self: &Arc<Self>, client: Option<ClientKey>, payload: Bytes) -> Unpacked {
        if payload.len() < OFFLOAD {
            // What is short may yet inflate to very much: that is begun here, but not ended.
            let some = self.max_request_bytes.min(OFFLOAD);
            match self.inflate(&payload, some) {
                Err(BadEnvelope::TooLarge { .. }) if some < self.max_request_bytes => {}
                inflated => return self.understand(client, &payload, inflated),
            }
        }
        let unpacking = self.elsewhere(move |this| {
            let inflated = this.inflate(&payload, this.max_request_bytes);
            this.understand(client, &payload, inflated)
        });
        unpacking.await
    }

    fn pack_here(&self, reply: &[u8]) -> Bytes {
        let mut packed = self.with_envelope(|envelope| envelope.pack(reply));
        if packed.len() < packed.capacity() / 2 {
            // It may be kept for a while.
            packed.shrink_to_fit();
        }
        packed.into()
    }

    fn inflate(&self, payload: &[u8], limit: usize) -> Result<Vec<u8>, BadEnvelope> {
        self.with_envelope(|envelope| envelope.unpack(payload, limit))
    }

    fn understand(
        &self,
        client: Option<ClientKey>,
        payload: &[u8],
        inflated: Result<Vec<u8>, BadEnvelope>,
    ) -> Unpacked {
        let incoming = inflated.map_err(bad_envelope).and_then(|body| decode(&body));
        Unpacked { key: self.keys.key(client, payload), incoming }
    }

    async fn elsewhere<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> T {
        let this = self.clone();
        let worked = tokio::task::spawn_blocking(move || work(&this)).await;
        worked.expect("neither packing nor decoding panics, whatever the bytes")
    }

    /// Lends an envelope for as long as `work` takes.
    fn with_envelope<T>(&self, work: impl FnOnce(&mut Envelope) -> T) -> T {
        let kept = self.envelopes.lock().expect("never panics while locked").pop();
        let mut envelope = kept.unwrap_or_default();
        let result = work(&mut envelope);
        let mut envelopes = self.envelopes.lock().expect("never panics while locked");
        if envelopes.len() < ENVELOPES_MAX {
            envelopes.push(envelope);
        }
        result
    }
}

fn bad_envelope(error: BadEnvelope) -> Fault {
    let code = match error {
        BadEnvelope::TooLarge { .. } => ErrorCode::RequestTooLarge,
        _ => ErrorCode::MalformedRequest,
    };
    let hint = match error {
        BadEnvelope::TooLarge { .. } => "send less at once, or ask the operator to raise max_request_bytes",
        _ => "a request is zlib(msgpack(map)), as sqlite_rx clients send it",
    };
    Fault::router(code, format!("Error processing request: {error}")).with_hint(Some(hint.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    const LIMIT: usize = 1 << 20;

    /// A request of so many zeros, packed, and what becomes of it.
    fn zeros(packing: &Arc<Packing>, count: usize) -> (usize, impl Future<Output = Unpacked>) {
        let packed = packing.pack_here(&vec![0; count]);
        let packing = packing.clone();
        (packed.len(), async move { packing.unpack(None, packed).await })
    }

    fn text_of(unpacked: Unpacked) -> String {
        unpacked.incoming.expect_err("zeros are no request").text()
    }

    #[tokio::test]
    async fn what_is_short_is_unpacked_in_place() {
        let packing = Arc::new(Packing::new(LIMIT));
        let (_, unpacking) = zeros(&packing, OFFLOAD);
        let unpacked = unpacking.now_or_never().expect("in place");
        assert_eq!(text_of(unpacked), "Error processing request: unpack(b) received extra data.");
    }

    #[test]
    fn what_is_short_and_inflates_to_much_is_unpacked_elsewhere() {
        let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build();
        let runtime = runtime.expect("a runtime of one thread, and one more");
        let packing = Arc::new(Packing::new(LIMIT));
        for (count, expected) in [
            (LIMIT, "Error processing request: unpack(b) received extra data."),
            (LIMIT + 1, "Error processing request: request inflates to more than 1048576 bytes"),
        ] {
            let (release, released) = std::sync::mpsc::sync_channel::<()>(0);
            let _enter = runtime.enter();
            // The other thread is busy, so what is done there is not done yet.
            let _busy = tokio::task::spawn_blocking(move || released.recv());
            let (packed, unpacking) = zeros(&packing, count);
            assert!(packed < OFFLOAD);
            let mut unpacking = std::pin::pin!(unpacking);
            assert!(unpacking.as_mut().now_or_never().is_none(), "elsewhere");
            drop(release);
            assert_eq!(text_of(runtime.block_on(unpacking)), expected);
        }
    }

    #[tokio::test]
    async fn a_limit_below_what_is_unpacked_in_place_is_kept() {
        let packing = Arc::new(Packing::new(1024));
        let (_, unpacking) = zeros(&packing, 1025);
        let unpacked = unpacking.now_or_never().expect("in place");
        assert_eq!(text_of(unpacked), "Error processing request: request inflates to more than 1024 bytes");
    }
}
