"""Strangers crowd the door while authorized clients work: no request of theirs fails.

`crowd.py ADDRESS CURVE_DIR`: the server has --curvezmq and --zap, and lets who connects wait for ever.
"""

import collections
import resource
import socket
import sys
import threading
import time

import zmq

import rowhouse_sqlite_rx
from curve import Keys
from support import Unexpected, encode, expect, items, request, run

# Far more than the server lets wait at its door.
HALF_OPEN = 5000
# What else this process opens.
OTHER_FILES = 1500
STRANGERS = 150
CLIENTS = 4
REQUESTS = 300
# Newcomers, one after the other, each with a connection of its own.
NEWCOMERS = 20

GREETING = b"\xff" + b"\0" * 8 + b"\x7f\x03\x01CURVE".ljust(23, b"\0") + b"\0" * 32


def main(address, curve_dir):
    hanging = half_open_sockets()
    keys = Keys(curve_dir)
    friend = keys.make("friend")
    keys.make("stranger")
    keys.authorize("friend")
    crowded, done = threading.Event(), threading.Event()
    crowd = [
        threading.Thread(target=strangers, args=(address, keys, done)),
        threading.Thread(target=half_open, args=(address, hanging, crowded, done)),
    ]
    with client(address, friend) as early:
        expect(items(early.execute("CREATE TABLE t (client, number)"), "CREATE"), [], "CREATE")
        for thread in crowd:
            thread.start()
        try:
            expect(crowded.wait(60), True, f"{hanging} sockets connect")
            work(address, friend)
            newcomers(address, friend)
            only_clients_have_places(early)
        finally:
            done.set()
            for thread in crowd:
                thread.join()
        rows = items(early.execute("SELECT client, count(*), count(DISTINCT number) FROM t GROUP BY client"), "rows")
        expect(rows, [[number, REQUESTS, REQUESTS] for number in range(CLIENTS)], "each request ran once")
        expect(0 < health(early)["security"]["clients_refused"], True, "strangers came and were refused")


def client(address, keys):
    return rowhouse_sqlite_rx.SQLiteClient(address, **keys)


def only_clients_have_places(early):
    """Amid the crowd, the one client that is left is the only one that has said who it is."""
    deadline = time.monotonic() + 30
    while True:
        report = health(early)
        unidentified = report["client_connections_unidentified"]
        expect(unidentified <= report["client_connection_limit"] // 4, True, "strangers hold a quarter")
        if report["client_connections"] - unidentified == 1:
            return
        expect(time.monotonic() < deadline, True, "whoever left or was never let in has no client's place")


def health(client):
    return client.execute("HEALTH_CHECK", request_timeout=30_000)


def work(address, keys):
    """Each request once, without a retry: one that gets no answer fails."""
    failures = []

    def hammer(number):
        try:
            with client(address, keys) as mine:
                for count in range(REQUESTS):
                    insert = mine.execute("INSERT INTO t VALUES (?, ?)", number, count, retries=1, request_timeout=30_000)
                    items(insert, f"request {count} of client {number}")
        except Exception as failure:
            failures.append(f"client {number}: {failure!r}")

    threads = [threading.Thread(target=hammer, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expect(failures, [], "failures")


def newcomers(address, keys):
    """Clients that come while the door is crowded are let in."""
    took = []
    for number in range(NEWCOMERS):
        start = time.monotonic()
        with client(address, keys) as newcomer:
            rows = items(newcomer.execute("SELECT 1", retries=1, request_timeout=30_000), f"newcomer {number}")
            expect(rows, [[1]], f"newcomer {number}")
        took.append(time.monotonic() - start)
    print(f"newcomers were answered within {sorted(took)[NEWCOMERS // 2] * 1000:.0f} ms (median), {max(took) * 1000:.0f} ms")


def strangers(address, keys, done):
    """Unauthorized and plain clients, which connect anew all the time."""
    while not done.is_set():
        sockets = []
        for number in range(STRANGERS):
            if number % 2:
                stranger = zmq.Context.instance().socket(zmq.REQ)
                stranger.linger = 0
            else:
                stranger = keys.socket("stranger", address)
            stranger.connect(address)
            stranger.send(encode(request("SELECT 1")), zmq.NOBLOCK)
            sockets.append(stranger)
        done.wait(0.5)
        for stranger in sockets:
            if stranger.poll(0):
                raise Unexpected("a stranger got an answer")
            stranger.close()


def half_open(address, count, crowded, done):
    """Sockets that say nothing, half a greeting, or a greeting and nothing more; they stay, and more come."""
    host, port = address.removeprefix("tcp://").rsplit(":", 1)
    said = [b"", GREETING[:11], GREETING]
    hanging = collections.deque()
    while not done.is_set():
        connection = socket.create_connection((host, int(port)), 30)
        try:
            connection.sendall(said[len(hanging) % len(said)])
        except ConnectionError:
            # It was dropped for another already, and hangs on this side nevertheless.
            pass
        hanging.append(connection)
        if len(hanging) == count:
            crowded.set()
            hanging.popleft().close()
            # One after the other, as fast as a client may come in between on a small machine.
            done.wait(0.001)
    for connection in hanging:
        connection.close()


def half_open_sockets():
    """How many sockets hang: what is wanted, or what this process may open."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most == resource.RLIM_INFINITY:
        most = HALF_OPEN + OTHER_FILES
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return min(HALF_OPEN, most - OTHER_FILES)


if __name__ == "__main__":
    run(main, *sys.argv[1:])
