"""What the scenario scripts share: expectations, and a client that speaks the wire itself."""

import logging
import sys
import time
import zlib

import msgpack
import zmq

# The public client logs what it also raises.
logging.disable(logging.CRITICAL)

ROUTER_ERROR = "sqlite_rx.exception.SQLiteRxError"


class Unexpected(AssertionError):
    """Something was not as promised."""


def expect(actual, expected, what):
    """`actual` equals `expected`, in value and in type."""
    if actual != expected or type(actual) is not type(expected):
        raise Unexpected(f"{what}:\n  expected {expected!r}\n  but got  {actual!r}")


def expect_error(reply, kind, message, what):
    """`reply` is the error `message` of type `kind`, and carries nothing of a success."""
    error = reply.get("error") or {}
    expect((error.get("type"), error.get("message")), (kind, message), what)
    expect(reply.get("items"), [], f"{what}: items")
    expect([key for key in ("rowcount", "lastrowid") if key in reply], [], f"{what}: success keys")


def items(reply, what):
    """The rows of `reply`, which must be a success."""
    expect(reply.get("error"), None, what)
    return reply["items"]


def wait_until(condition, what):
    """Waits until `condition()` holds."""
    deadline = time.monotonic() + 30
    while not condition():
        expect(time.monotonic() < deadline, True, what)
        time.sleep(0.01)


def run(main, *args):
    """Ends the process as `main(*args)` does: 0, or 1 and what was not as promised."""
    try:
        main(*args)
    except Unexpected as unexpected:
        sys.exit(f"FAILED: {unexpected}")
    print("ok")


class Wire:
    """One socket that sends requests as they are written here: no retries, a long wait.

    It is one peer to the server, and so one session.
    """

    def __init__(self, address, kind=zmq.REQ):
        self._socket = zmq.Context.instance().socket(kind)
        self._socket.linger = 0
        self._socket.connect(address)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self._socket.close()

    def send_frames(self, frames):
        self._socket.send_multipart(frames)

    def send_bytes(self, payload):
        self._socket.send(payload)

    def send(self, query, params=(), **keys):
        self.send_bytes(encode(request(query, params, **keys)))

    def receive(self, seconds=30):
        """The reply, or `None` when there is none in time."""
        if not self._socket.poll(seconds * 1000):
            return None
        return msgpack.loads(zlib.decompress(self._socket.recv_multipart()[-1]))

    def ask(self, query, params=(), **keys):
        """Sends a request and waits for its reply."""
        self.send(query, params, **keys)
        reply = self.receive()
        if reply is None:
            raise Unexpected(f"no reply to {query!r}, {keys}")
        return reply

    def rows(self, query, params=(), **keys):
        """The rows of a request that must succeed."""
        return items(self.ask(query, params, **keys), f"{query!r}, {keys}")


def request(query, params=(), **keys):
    """A request as the public client writes it; `keys` add to it or replace its values."""
    return {
        "client_id": "scenario",
        "query": query,
        "params": params,
        "execute_many": False,
        "execute_script": False,
        **keys,
    }


def encode(message):
    return zlib.compress(msgpack.dumps(message))
