"""One client too many is told so by its own protocol, at once, and served as soon as there is room.

`full.py ADDRESS LIMIT`: at most LIMIT clients may be connected.
"""

import contextlib
import sys

import zmq
from sqlite_rx.client import SQLiteClient

from support import ROUTER_ERROR, Wire, expect, expect_error, run, wait_until

# More than are told at a time.
CROWD = 100


def main(address, limit):
    limit = int(limit)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Wire(address)) for _ in range(limit)]
        for client in clients:
            expect(client.rows("SELECT 1"), [[1]], "within the limit")
        public_client(address, limit)
        with Wire(address, zmq.DEALER) as dealer:
            for _ in range(3):
                dealer.send("SELECT 1")
            told(dealer.receive(5), limit, "a client that sends ahead")
        with Wire(address) as monitor:
            health = monitor.ask("HEALTH_CHECK")
            metrics = [health["client_connections"], health["client_connection_limit"]]
            expect(metrics, [limit, limit], "how the server is may be asked all the same")
        # Who says nothing meanwhile keeps nobody from being told for longer than a handshake may take.
        with contextlib.ExitStack() as many:
            crowd = [many.enter_context(Wire(address)) for _ in range(CROWD)]
            for client in crowd:
                client.send("SELECT 1")
            for client in crowd:
                told(client.receive(5) or again(many, address), limit, "one of many")
        for client in clients:
            expect(client.rows("SELECT 1"), [[1]], "nobody within the limit is disturbed")
        # Connected while there was no room, and asks when there is.
        early = stack.enter_context(Wire(address))
        told(early.ask("SELECT 1"), limit, "before")
        clients.pop().close()
        wait_until(lambda: early.ask("SELECT 1")["error"] is None, "a place that came free is taken")
        expect(early.ask("HEALTH_CHECK")["client_connections"], limit, "places taken")


def public_client(address, limit):
    with SQLiteClient(connect_address=address) as client:
        told(client.execute("SELECT 1", request_timeout=5000, retries=1), limit, "the public client")
        told(client.execute("SELECT 1", request_timeout=5000, retries=1), limit, "when it asks again")


def again(stack, address):
    """Asks anew, as clients do: on a busy machine a request may come after its connection's time was over."""
    return stack.enter_context(Wire(address)).ask("SELECT 1")


def told(reply, limit, what):
    message = f"the client limit of {limit} connections is reached"
    expect_error(reply, ROUTER_ERROR, message, what)
    expect(reply["error"]["code"], "client_limit_reached", what)
    expect("rowhouse manager" in reply["error"]["hint"], True, f"{what}: the hint")


if __name__ == "__main__":
    run(main, *sys.argv[1:])
