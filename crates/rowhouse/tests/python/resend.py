"""Clients that give up, and send the same bytes again on a new connection.

`resend.py ADDRESS`: a fresh server whose default database is a file. What is slow here waits for
another client's transaction to end, so it takes exactly as long as it is made to.

`resend.py ADDRESS --timeout`: the server has a `statement_timeout` longer than the client's patience.

`resend.py ADDRESS --leave`: leaves a request in flight that would never end.
"""

import os
import socket
import struct
import sys
import threading
import time

import zmq
from sqlite_rx.client import SQLiteClient

from support import Unexpected, Wire, encode, expect, items, request, run, wait_until

INSERT = "INSERT INTO resent VALUES (?)"
COUNT = "SELECT count(*) FROM resent WHERE x = ?"
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"

# What a resend of the server's memory is worth at most, and longer.
WINDOW = 5


def main(address, *options):
    with Wire(address) as wire:
        wire.rows("CREATE TABLE resent (x)")
    if options == ("--timeout",):
        return times_out(address)
    if options == ("--leave",):
        return detached(address, encode(request(f"INSERT INTO resent {ENDLESS}")))
    the_stock_client(address)
    five_resends(address)
    transaction(address)
    asked_twice(address)
    forked_workers(address)
    killed_in_flight(address)
    killed_after_it_finished(address)
    unread_and_read(address)
    nobody(address)
    abandoned(address)


class Held:
    """While this is entered, what writes waits."""

    def __init__(self, address):
        self._wire = Wire(address)

    def __enter__(self):
        self._wire.rows("BEGIN IMMEDIATE")
        return self

    def __exit__(self, *exc):
        self._wire.rows("COMMIT")
        self._wire.close()


class Resends:
    """Ends when so many more resends than before have joined."""

    def __init__(self, address, count):
        self._address = address
        self._count = count

    def __enter__(self):
        self._before = metric(self._address, "resends_joined")

    def __exit__(self, *exc):
        joined = lambda: metric(self._address, "resends_joined") - self._before
        wait_until(lambda: self._count <= joined(), f"{self._count} resends join")


def applied(address, value):
    """How often `value` was inserted, once all that waits to be written is written."""
    with Wire(address) as wire:
        wire.rows("INSERT INTO resent VALUES ('after')")
        return wire.rows(COUNT, [value])[0][0]


def expect_applied(address, value, times):
    expect(applied(address, value), times, f"how often {value!r} was applied")


def in_background(work):
    """Runs `work` on a thread; returns what waits for its result."""
    done = []

    def keep():
        try:
            done.append(work())
        except Exception as error:
            done.append(error)

    thread = threading.Thread(target=keep)
    thread.start()

    def result():
        thread.join()
        if isinstance(done[0], Exception):
            raise Unexpected(f"{done[0]!r}")
        return done[0]

    return result


def metric(address, name):
    with Wire(address) as wire:
        return wire.ask("HEALTH_CHECK")["metrics"][name]


def in_flight(address, payload, raw=None):
    """A connection whose request the server has begun: a reset loses what was not read yet."""
    before = metric(address, "query_count")
    raw = (raw or Raw(address)).send(payload)
    wait_until(lambda: metric(address, "query_count") != before, "the request begins")
    return raw


def detached(address, payload, raw=None):
    """Leaves a request in flight by a reset, and waits until the server has noticed."""
    in_flight(address, payload, raw).reset()
    wait_until(lambda: metric(address, "requests_detached") == 1, "its peer's leaving is noticed")


def the_stock_client(address):
    """Its patience is 2.5 s."""
    with Held(address), Resends(address, 1):
        reply = in_background(lambda: SQLiteClient(address).execute(INSERT, "stock"))
    reply = reply()
    expect((reply["error"], reply["rowcount"]), (None, 1), "a slow INSERT of the stock client")
    expect_applied(address, "stock", 1)


def five_resends(address):
    def insert():
        return SQLiteClient(address).execute(INSERT, "five", request_timeout=500, retries=20)

    with Held(address), Resends(address, 5):
        reply = in_background(insert)
    expect(reply()["rowcount"], 1, "an INSERT sent six times")
    expect_applied(address, "five", 1)


def transaction(address):
    """It goes on where its first connection ended, and nobody sees it before its COMMIT."""

    def work():
        client = SQLiteClient(address)
        items(client.execute("BEGIN"), "BEGIN")
        items(client.execute("SELECT 'not the first request'"), "SELECT")
        replies = [client.execute(INSERT, "tx", request_timeout=1000)]
        replies.append(client.execute(INSERT, "tx"))
        with Wire(address) as other:
            expect(other.rows(COUNT, ["tx"]), [[0]], "outside, before COMMIT")
        expect(items(client.execute(COUNT, "tx"), "inside"), [[2]], "inside, before COMMIT")
        items(client.execute("COMMIT"), "COMMIT")
        return replies

    with Held(address), Resends(address, 1):
        replies = in_background(work)
    expect([reply["rowcount"] for reply in replies()], [1, 1], "INSERTs of a transaction")
    expect_applied(address, "tx", 2)


def asked_twice(address):
    """The same bytes from the same thread, each on a connection of its own, each answered in order."""
    for _ in range(3):
        with SQLiteClient(address) as client:
            expect(client.execute(INSERT, "fast")["rowcount"], 1, "a fast INSERT")
    expect_applied(address, "fast", 3)
    payload = encode(request(INSERT, ["slow"]))
    for _ in range(3):
        with Held(address):
            reply = in_background(lambda: once(address, payload))
            time.sleep(0.6)
        expect(reply()["rowcount"], 1, "a slow INSERT")
    expect_applied(address, "slow", 3)


def forked_workers(address):
    """Two processes of one `client_id` send the same slow INSERT, at once or a while apart."""
    for value, apart in (("at once", 0), ("apart", 0.8)):
        with Held(address), Resends(address, 2):
            workers = [fork(lambda: worker(address, value, number * apart)) for number in range(2)]
        codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in workers]
        expect(codes, [0, 0], f"workers that send {value}")
        expect_applied(address, value, 2)


def worker(address, value, delay):
    time.sleep(delay)
    client = SQLiteClient(address, context=zmq.Context())
    client.client_id = "python@host_main"
    return client.execute(INSERT, value)["rowcount"] == 1


def fork(work):
    """A process that ends with 0 if `work` returns what is true."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        code = 0 if work() else 1
    finally:
        os._exit(code)


def killed_in_flight(address):
    """The connection is reset while the INSERT waits; its resend comes before it is done."""
    payload = encode(request(INSERT, ["in flight"]))
    with Held(address):
        detached(address, payload)
        reply = in_background(lambda: once(address, payload))
        wait_until(lambda: metric(address, "requests_detached") == 0, "the resend joins")
    expect(reply()["rowcount"], 1, "the resend of a killed client")
    expect_applied(address, "in flight", 1)


def killed_after_it_finished(address):
    """The connection is reset while the INSERT waits; its resend comes after it is done."""
    payload = encode(request(INSERT, ["done"]))
    with Held(address):
        detached(address, payload)
    wait_until(lambda: metric(address, "replies_kept") == 1, "it finishes")
    expect_applied(address, "done", 1)
    expect(once(address, payload)["rowcount"], 1, "the resend of a killed client")
    expect_applied(address, "done", 1)
    expect(once(address, payload)["rowcount"], 1, "the same again")
    expect_applied(address, "done", 2)


def unread_and_read(address):
    """A slow reply that arrives: closed without being read it is given again, otherwise never."""
    for value, reads, times in (("unread", False, 1), ("read", True, 2)):
        payload = encode(request(INSERT, [value]))
        with Held(address):
            raw = Raw(address).send(payload)
            time.sleep(0.6)
        raw.close_with_reply(reads)
        expect(once(address, payload)["rowcount"], 1, f"after a reply that was {value}")
        expect_applied(address, value, times)


def nobody(address):
    """A client that does not say which it is may be anybody: nobody can ask for its request again."""
    message = request(ENDLESS)
    del message["client_id"]
    raw = in_flight(address, encode(message))
    begun = time.monotonic()
    raw.reset()
    with Wire(address) as wire:
        sessions = lambda: wire.ask("HEALTH_CHECK")["processes"]["default"]["active_sessions"]
        wait_until(lambda: sessions() == 0, "it is interrupted")
    took = time.monotonic() - begun
    expect(took < WINDOW, True, f"it waits for no resend ({took:.1f} s)")


def abandoned(address):
    """Nobody asks again: what is in flight is interrupted, its transaction gone, and told so."""
    payload = encode(request(ENDLESS, client_id="abandoned"))
    raw = Raw(address)
    for query, params in (("BEGIN IMMEDIATE", []), (INSERT, ["abandoned"])):
        raw.send(encode(request(query, params)))
        raw.receive()
    detached(address, payload, raw)
    expect_applied(address, "abandoned", 0)
    error = once(address, payload)["error"]
    expect(error["code"], "transaction_lost", "a resend that comes too late")


def times_out(address):
    """The stock client reads the timeout of what it has sent twice, and nothing is applied."""
    queries = metric(address, "query_count")
    with Resends(address, 1):
        reply = SQLiteClient(address).execute(f"INSERT INTO resent {ENDLESS}")
    expect(reply["error"]["code"], "statement_timeout", "an INSERT without end")
    expect(metric(address, "query_count"), queries + 1, "how often it ran")
    with Wire(address) as wire:
        expect(wire.rows("SELECT count(*) FROM resent"), [[0]], "rows of what timed out")
        time.sleep(WINDOW)
        wire.rows("INSERT INTO resent VALUES (1)")
        expect(wire.rows("SELECT count(*) FROM resent"), [[1]], "rows a while later")


def once(address, payload):
    """The reply to `payload`, sent once on a connection of its own."""
    with Wire(address) as wire:
        wire.send_bytes(payload)
        reply = wire.receive()
    if reply is None:
        raise Unexpected("no reply")
    return reply


class Raw:
    """A connection without ZeroMQ's own thread: what arrives is not read before it is asked for."""

    GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
    READY = b"\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03REQ"

    def __init__(self, address):
        host, port = address.removeprefix("tcp://").rsplit(":", 1)
        self._socket = socket.create_connection((host, int(port)))
        self._socket.settimeout(30)
        self._socket.sendall(self.GREETING)
        self._exactly(64)
        self._socket.sendall(self.READY)
        self._frame()

    def send(self, payload):
        self._socket.sendall(b"\x01\x00\x02" + struct.pack(">Q", len(payload)) + payload)
        return self

    def receive(self):
        """A reply's frames: an empty one, and the payload."""
        return self._frame(), self._frame()

    def reset(self):
        """Ends as a connection of a host that forgot it."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def close_with_reply(self, reads):
        """Closes once a reply is there, which is read before or not."""
        self._socket.recv(1, socket.MSG_PEEK)
        if reads:
            self.receive()
        self._socket.close()

    def _frame(self):
        flags = self._exactly(1)[0]
        length = self._exactly(8 if flags & 2 else 1)
        return self._exactly(int.from_bytes(length, "big"))

    def _exactly(self, count):
        read = b""
        while len(read) < count:
            some = self._socket.recv(count - len(read))
            if not some:
                raise Unexpected("the server closed the connection")
            read += some
        return read


if __name__ == "__main__":
    run(main, *sys.argv[1:])
