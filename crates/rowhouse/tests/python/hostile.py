"""Bytes that no client sends: each is refused by itself, and the others are served.

`hostile.py ADDRESS [--original] [--pid PID]`: with the server's PID, its memory is measured too.
"""

import gzip
import pathlib
import socket
import sys
import zlib

import msgpack
import zmq

from support import ROUTER_ERROR, Unexpected, Wire, encode, expect, expect_error, items, request, run

MEBIBYTE = 1 << 20

VALID = msgpack.dumps(request("SELECT 1"))

# What a stock router says is "Error processing request: " and Python's own words, which are taken
# from Python here.
NOT_ZLIB = {
    "junk": b"junk",
    "raw msgpack": VALID,
    "gzip": gzip.compress(VALID),
    "a truncated stream": zlib.compress(VALID)[:-6],
}

NOT_A_MAP = {"list": [], "int": 5, "str": "x", "bool": True, "float": 1.5, "bytes": b"x"}

# msgpack that promises more than there is, nests without end, or is not msgpack.
NOT_MSGPACK = {
    "nothing": b"",
    "a reserved byte": b"\xc1",
    "4 GiB of array": b"\xdd\xff\xff\xff\xff",
    "4 GiB of array, some of it": b"\xdd\xff\xff\xff\xff" + b"\xc0" * 1000,
    "4 GiB of map": b"\xdf\xff\xff\xff\xff",
    "4 GiB of text": b"\xdb\xff\xff\xff\xff",
    "4 GiB of bytes": b"\xc6\xff\xff\xff\xff",
    "4 GiB of extension": b"\xc9\xff\xff\xff\xff\x01",
    "100,000 nested arrays": b"\x91" * 100_000 + b"\xc0",
    "100,000 nested maps": b"\x81\xa1a" * 100_000 + b"\xc0",
    "arrays of 4 GiB, nested": b"\xdd\xff\xff\xff\xff" * 20_000,
    "invalid UTF-8": b"\xa1\xff",
    "an extension": b"\xd4\x01\x00",
    "half a request": VALID[: len(VALID) // 2],
}

# What is wrong inside a well-formed map: the original's words. (changes, type, message)
EXECUTE = "TypeError: execute() argument 1 must be str, not"
WRONG_VALUES = [
    ({"query": 1}, "builtins.TypeError", f"{EXECUTE} int"),
    ({"query": None}, "builtins.TypeError", f"{EXECUTE} None"),
    ({"query": b"SELECT 1"}, "builtins.TypeError", f"{EXECUTE} bytes"),
    ({"query": []}, "builtins.TypeError", f"{EXECUTE} list"),
    ({"query": 1.5}, "builtins.TypeError", f"{EXECUTE} float"),
    ({"query": True}, "builtins.TypeError", f"{EXECUTE} bool"),
    ({"query": 1, "execute_script": True}, "builtins.TypeError",
     "TypeError: executescript() argument must be str, not int"),
    ({"query": 1, "execute_many": True, "params": [[1]]}, "builtins.TypeError",
     "TypeError: executemany() argument 1 must be str, not int"),
    ({"params": 5}, "sqlite3.ProgrammingError",
     "sqlite3.ProgrammingError: parameters are of unsupported type"),
    ({"query": "INSERT INTO w VALUES (?)", "params": [5], "execute_many": True},
     "sqlite3.ProgrammingError", "sqlite3.ProgrammingError: parameters are of unsupported type"),
    ({"query": "SELECT :b", "params": {"a": 1}}, "sqlite3.ProgrammingError",
     "sqlite3.ProgrammingError: You did not supply a value for binding parameter :b."),
    ({"query": "SELECT ?", "params": {"a": 1}}, "sqlite3.ProgrammingError",
     "sqlite3.ProgrammingError: Binding 1 has no name, but you supplied a dictionary (which has only names)."),
]

# Unusual but right: (changes, rows)
ACCEPTED = [
    ({}, [[1]]),
    ({"extra": [1, {"a": None}], "another": 2}, [[1]]),
    ({"client_id": 7}, [[1]]),
    ({"params": None}, [[1]]),
    ({"params": {}}, [[1]]),
    ({"query": "SELECT :a", "params": {"a": 1}}, [[1]]),
    ({"query": "SELECT ?, ?", "params": "ab"}, [["a", "b"]]),
]


def main(address, *options):
    original = "--original" in options
    with Wire(address) as bystander:
        bystander.rows("CREATE TABLE w (x)")
        wrong_values(address)
        accepted(address)
        missing_keys(address)
        frames(address)
        if not original:
            router_errors(address)
            refused(address)
            host, port = address.removeprefix("tcp://").rsplit(":", 1)
            endpoint = (host, int(port))
            transport(endpoint)
            bombs(address, options)
        expect(bystander.rows("SELECT 1"), [[1]], "the client that was there before")
    with Wire(address) as newcomer:
        expect(newcomer.rows("SELECT 1"), [[1]], "a client that comes after")


def send(address, payload):
    """The reply to one payload on a socket of its own, or `None` if the server closed it."""
    with Wire(address) as wire:
        wire.send_bytes(payload)
        return wire.receive(5)


def wrong_values(address):
    for changes, kind, message in WRONG_VALUES:
        expect_error(send(address, encode({**request("SELECT 1"), **changes})), kind, message, changes)


def accepted(address):
    for changes, rows in ACCEPTED:
        reply = send(address, encode({**request("SELECT 1"), **changes}))
        expect(items(reply, changes), rows, changes)
    for level in (0, 1, 9):
        reply = send(address, zlib.compress(VALID, level))
        expect(items(reply, level), [[1]], f"zlib level {level}")
    shuffled = dict(reversed(request("SELECT 1").items()))
    expect(items(send(address, encode(shuffled)), "order"), [[1]], "keys in another order")
    expect(items(send(address, encode(request("SELECT 1")) + b"tail"), "tail"), [[1]], "bytes after the stream")


def missing_keys(address):
    for key in ("query", "params", "execute_many", "execute_script"):
        message = request("SELECT 1")
        del message[key]
        reply = send(address, encode(message))
        expect_error(reply, "builtins.KeyError", f"KeyError: '{key}'", f"without {key}")
    message = request("SELECT 1")
    del message["client_id"]
    expect(items(send(address, encode(message)), "no id"), [[1]], "without client_id")


def frames(address):
    """The last frame is the payload, and replies come in the order of requests."""
    with Wire(address, zmq.DEALER) as wire:
        wire.send_frames([b"", b"ignored", encode(request("SELECT 1"))])
        expect(items(wire.receive(), "3 frames"), [[1]], "the last frame counts")
        for number in range(100):
            wire.send_frames([b"", encode(request("SELECT ?", [number]))])
        for number in range(100):
            expect(items(wire.receive(), number), [[number]], "replies in order")


def router_errors(address):
    for what, payload in NOT_ZLIB.items():
        try:
            zlib.decompress(payload)
        except zlib.error as error:
            expect_error(send(address, payload), ROUTER_ERROR, f"Error processing request: {error}", what)
        else:
            raise Unexpected(f"{what} is zlib after all")
    for kind, value in NOT_A_MAP.items():
        message = f"Error processing request: '{kind}' object has no attribute 'get'"
        expect_error(send(address, encode(value)), ROUTER_ERROR, message, kind)
    reply = send(address, zlib.compress(VALID + b"\0"))
    message = "Error processing request: unpack(b) received extra data."
    expect_error(reply, ROUTER_ERROR, message, "trailing bytes")


def refused(address):
    for what, payload in NOT_MSGPACK.items():
        refuses(address, zlib.compress(payload), what)
    refuses(address, b"", "nothing")
    refuses(address, zlib.compress(VALID)[:-4] + b"\0\0\0\0", "a stream with a wrong checksum")
    refuses(address, zlib.compress(VALID)[2:-4], "a stream without its header")
    refuses(address, b"\x78\xbb\0\0\0\0" + b"x" * 20, "a stream with a preset dictionary")
    refuses(address, encode(request("SELECT ?", [msgpack.ExtType(1, b"x")])), "an extension as a parameter")
    deep = []
    for _ in range(400):
        deep = [deep]
    refuses(address, encode(request("SELECT ?", [deep])), "a deep parameter")
    refuses(address, encode(request("SELECT 1 " + "+ 1" * 100_000)), "a deep expression")
    refuses(address, encode(request("SELECT 1", [0] * 1_000_000)), "a million parameters")


def refuses(address, payload, what):
    """An error for an answer, with words in it, or none and the connection closed."""
    reply = send(address, payload)
    if reply is not None:
        expect(bool(reply["error"] and reply["error"]["message"]), True, f"{what} is refused: {str(reply)[:200]}")


def transport(endpoint):
    """Peers that do not speak ZMTP, or speak it against its rules, are closed."""
    greeting = b"\xff" + b"\0" * 8 + b"\x7f\x03\x01NULL".ljust(23, b"\0") + b"\0" * 32
    ready = b"\x04\x19\x05READY\x0bSocket-Type\0\0\0\x03REQ"
    answers(endpoint, greeting + ready)
    closes(endpoint, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + b"x" * 100, "HTTP")
    closes(endpoint, b"\0" * 100, "zeros")
    closes(endpoint, greeting.replace(b"NULL", b"NONE"), "an unknown mechanism")
    closes(endpoint, greeting + b"\x06" + b"\x7f" + b"\xff" * 7, "an endless command")
    closes(endpoint, greeting + b"\x04\x0b\x05READY\x0bSo\xff\xff", "a damaged READY")
    closes(endpoint, greeting + ready + b"\x02" + b"\x7f" + b"\xff" * 7, "a frame of 2^63 bytes")
    closes(endpoint, greeting + ready + b"\x02\0\0\x01" + b"\0" * 5, "a frame of 1 TiB")
    # Peers that stop amid the greeting hold nobody up.
    stalled = [socket.create_connection(endpoint, 10) for _ in range(20)]
    for connection in stalled:
        connection.sendall(greeting[:11])
    answers(endpoint, greeting + ready)
    for connection in stalled:
        connection.close()


def answers(endpoint, hello):
    """The bytes that `transport` spoils are right: a request after them gets its reply."""
    payload = encode(request("SELECT 1"))
    before_the_reply = b"\x01\0\0"
    with socket.create_connection(endpoint, 10) as connection:
        connection.sendall(hello + before_the_reply + bytes([len(payload)]) + payload)
        received = b""
        while before_the_reply not in received[64:]:
            chunk = connection.recv(4096)
            expect(chunk != b"", True, f"an answer after {received!r}")
            received += chunk


def closes(endpoint, data, what):
    with socket.create_connection(endpoint, 10) as connection:
        try:
            connection.sendall(data)
            while connection.recv(4096):
                pass
        except ConnectionError:
            pass
        except TimeoutError:
            raise Unexpected(f"{what}: the connection stays open") from None


def bombs(address, options):
    before = resident(options)
    zeros = zlib.compress(b"\xc6\x10\0\0\0" + b"\0" * (256 * MEBIBYTE), 9)
    refuses(address, zeros, "256 MiB of bytes out of 256 KiB")
    nils = zlib.compress(b"\xdd\x04\0\0\0" + b"\xc0" * (64 * MEBIBYTE), 9)
    refuses(address, nils, "64 Mi values out of 64 KiB")
    # Inside of a request, where a parameter is.
    prefix, suffix = msgpack.dumps(request("SELECT ?", ["@"])).split(b"\xa1@")
    inner = prefix + b"\xc6\x10\0\0\0" + b"\0" * (256 * MEBIBYTE) + suffix
    refuses(address, zlib.compress(inner, 9), "a parameter of 256 MiB")
    with Wire(address) as wire:
        wire.send_bytes(b"\0" * (256 * MEBIBYTE))
        reply = wire.receive(3)
        expect(reply is None or bool(reply["error"]), True, "a message of 256 MiB is refused")
    grown = resident(options) - before
    expect(grown < 512 * MEBIBYTE, True, f"memory stays bounded (grew by {grown // MEBIBYTE} MiB)")


def resident(options):
    """The most memory that the server has held, in bytes; 0 where that is not known."""
    if "--pid" not in options:
        return 0
    status = pathlib.Path(f"/proc/{options[options.index('--pid') + 1]}/status")
    if not status.exists():
        return 0
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    run(main, *sys.argv[1:])
