"""Encrypted clients: who is served, who is not, and what the keys on disk mean.

`curve.py SCENARIO ADDRESS CURVE_DIR`, where the server's keys are those in CURVE_DIR:
`listed`   the server has --curvezmq and --zap, and nobody's key is authorized yet;
`any`      the server has --curvezmq;
`plain`    the server has neither.
"""

import os
import pathlib
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import zmq
import zmq.auth
from zmq.utils.monitor import recv_monitor_message

import sqlite_rx.client
from sqlite_rx.auth import KeyGenerator
from sqlite_rx.exception import SQLiteRxConnectionError

import rowhouse_sqlite_rx
from support import Unexpected, expect, items, run, wait_until

SERVER = "id_server"
MEBIBYTE = 1 << 20

PLAIN = {}

# How long nothing may come before that counts as no answer.
SILENCE = {"request_timeout": 1500, "retries": 1}

# An answer comes at once unless the machine is busy.
ANSWER = {"request_timeout": 30_000, "retries": 1}


def main(scenario, address, curve_dir):
    {"listed": listed, "any": any_key, "plain": plain_server}[scenario](address, Keys(curve_dir))


class Keys:
    """Key files as clients have them, made by the public package."""

    def __init__(self, curve_dir):
        self.directory = pathlib.Path(curve_dir)
        self.authorized = self.directory / "authorized_clients"

    def make(self, name):
        """What a client gives to its constructor to use the new keys `name`."""
        KeyGenerator(key_id=name, destination_dir=str(self.directory)).generate()
        return {
            "use_encryption": True,
            "curve_dir": str(self.directory),
            "client_curve_id": name,
            "server_curve_id": SERVER,
        }

    def authorize(self, name):
        shutil.copy(self.directory / f"{name}.key", self.authorized)

    def revoke(self, name):
        os.remove(self.authorized / f"{name}.key")

    def socket(self, name, address):
        """A socket that uses the keys `name`, not yet connected."""
        socket = zmq.Context.instance().socket(zmq.REQ)
        socket.linger = 0
        public, secret = zmq.auth.load_certificate(self.directory / f"{name}.key_secret")
        socket.curve_publickey, socket.curve_secretkey = public, secret
        socket.curve_serverkey, _ = zmq.auth.load_certificate(self.directory / f"{SERVER}.key")
        return socket


def served(address, keys, what, package=sqlite_rx.client):
    with package.SQLiteClient(address, **keys) as client:
        expect(items(client.execute("SELECT 1", **ANSWER), what), [[1]], what)


def refused(address, keys, what, package=sqlite_rx.client):
    """No answer, which the clients tell as they do when there is no server."""
    with package.SQLiteClient(address, **keys) as client:
        try:
            reply = client.execute("SELECT 1", **SILENCE)
        except SQLiteRxConnectionError:
            return
        raise Unexpected(f"{what} got an answer: {reply}")


def security(address, keys):
    with rowhouse_sqlite_rx.SQLiteClient(address, **keys) as client:
        return client.execute("HEALTH_CHECK", **ANSWER)["security"]


def listed(address, keys):
    friend, stranger = keys.make("friend"), keys.make("stranger")
    refused(address, friend, "a key before it is authorized")
    keys.authorize("friend")
    for package in (sqlite_rx.client, rowhouse_sqlite_rx):
        served(address, friend, f"an authorized key, {package.__name__}", package)
        refused(address, stranger, f"another key, {package.__name__}", package)
        refused(address, PLAIN, f"no encryption, {package.__name__}", package)
    told_why(address, keys)
    wrong_server(address, keys)
    found = security(address, friend)
    expect(found["encryption_enabled"], True, "encryption_enabled")
    expect(found["zap_auth_enabled"], True, "zap_auth_enabled")
    expect(found["authorized_clients"], 1, "authorized_clients")
    expect(4 <= found["clients_refused"], True, f"clients_refused is {found['clients_refused']}")
    named_databases(address, friend)
    large(address, friend)
    revoked(address, keys)


def told_why(address, keys):
    """The protocol tells a stranger that it is its key (400), and libzmq then stops trying."""
    socket = keys.socket("stranger", address)
    monitor = socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_SUCCEEDED)
    socket.connect(address)
    expect(bool(monitor.poll(30_000)), True, "the stranger is told")
    event = recv_monitor_message(monitor)
    expect((event["event"], event["value"]), (zmq.EVENT_HANDSHAKE_FAILED_AUTH, 400), "what it is told")
    socket.disable_monitor()
    socket.close()


def wrong_server(address, keys):
    """Who believes the server to have another key is not served, whoever it is."""
    friend = {**keys.make("confused"), "client_curve_id": "friend", "server_curve_id": "confused"}
    refused(address, friend, "an authorized key for another server")


def named_databases(address, keys):
    with rowhouse_sqlite_rx.SQLiteClient(address, database_name="encrypted", **keys) as client:
        items(client.execute("CREATE TABLE t (x)", **ANSWER), "CREATE")
        items(client.execute("INSERT INTO t VALUES (?)", ("a",), **ANSWER), "INSERT")
        expect(items(client.execute("SELECT x FROM t", **ANSWER), "SELECT"), [["a"]], "a named database")


def large(address, keys):
    """Messages of every size, there and back, among them those that leave the reactor."""
    with sqlite_rx.client.SQLiteClient(address, **keys) as client:
        for size in (0, 1, 100, 32 * 1024, 127 * 1024, 128 * 1024, 129 * 1024, MEBIBYTE, 2 * MEBIBYTE, 20 * MEBIBYTE):
            # Random, so that it is as large on the wire.
            value = os.urandom(size)
            rows = items(client.execute("SELECT ?", value, **ANSWER), f"{size} bytes")
            expect(rows == [[value]], True, f"{size} bytes come back as they were")


def revoked(address, keys):
    """A key that is taken away is refused, and its connections end."""
    leaver = keys.make("leaver")
    keys.authorize("leaver")
    with sqlite_rx.client.SQLiteClient(address, **leaver) as client:
        expect(items(client.execute("SELECT 1", **ANSWER), "before"), [[1]], "before")
        keys.revoke("leaver")
        deadline = time.monotonic() + 30
        while answers(client):
            expect(time.monotonic() < deadline, True, "a revoked connection ends")
    refused(address, leaver, "a revoked key")
    keys.authorize("leaver")
    served(address, leaver, "a key that is authorized again")


def answers(client):
    try:
        client.execute("SELECT 1", **SILENCE)
    except SQLiteRxConnectionError:
        return False
    return True


def any_key(address, keys):
    for name in ("one", "other"):
        made = keys.make(name)
        served(address, made, f"key {name}")
        found = security(address, made)
        expect(found["encryption_enabled"], True, "encryption_enabled")
        expect(found["zap_auth_enabled"], False, "zap_auth_enabled")
    refused(address, PLAIN, "no encryption")
    resends(address, keys)
    wrong = {**keys.make("wrong"), "server_curve_id": "wrong"}
    refused(address, wrong, "a key for another server")


def resends(address, keys):
    """What one key left in flight is its own: another that sends the same bytes runs them itself."""
    one, other = keys.make("first"), keys.make("second")

    def insert(made, **patience):
        with rowhouse_sqlite_rx.SQLiteClient(address, database_name="resent", **made) as client:
            client.client_id = "the same"
            return client.execute("INSERT INTO t VALUES (1)", **patience)["rowcount"]

    with rowhouse_sqlite_rx.SQLiteClient(address, database_name="resent", **one) as client:
        metrics = lambda: client.execute("HEALTH_CHECK", **ANSWER)["metrics"]
        items(client.execute("CREATE TABLE t (x)", **ANSWER), "CREATE")
        items(client.execute("BEGIN IMMEDIATE", **ANSWER), "BEGIN")
        with ThreadPoolExecutor() as threads:
            left = threads.submit(insert, one, request_timeout=500, retries=1)
            expect(type(left.exception()), SQLiteRxConnectionError, "no answer while it waits")
            begun = lambda now: now["query_count"] + now["resends_joined"]
            before, replies = metrics(), []
            for number, made in enumerate((other, one)):
                replies.append(threads.submit(insert, made, **ANSWER))
                wait_until(lambda: begun(metrics()) == begun(before) + number + 1, "a request begins")
                if made is other:
                    expect(metrics()["resends_joined"], before["resends_joined"], "the other joins nothing")
            items(client.execute("COMMIT", **ANSWER), "COMMIT")
            expect([reply.result() for reply in replies], [1, 1], "rowcounts")
        rows = items(client.execute("SELECT count(*) FROM t", **ANSWER), "rows")
        expect(rows, [[2]], "one row for each key")


def plain_server(address, keys):
    served(address, PLAIN, "no encryption")
    refused(address, keys.make("one"), "encryption")
    found = security(address, PLAIN)
    expect(found["encryption_enabled"], False, "encryption_enabled")
    expect(found["zap_auth_enabled"], False, "zap_auth_enabled")


if __name__ == "__main__":
    run(main, *sys.argv[1:])
