"""What the client sends, seen by a peer that answers every request with the request itself."""

import sys
import threading
import unittest
import zlib
from pathlib import Path

import msgpack
import sqlite_rx.client
import sqlite_rx.exception
import zmq

# The package beside these tests, installed or not.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import rowhouse_sqlite_rx  # noqa: E402
from rowhouse_sqlite_rx import SQLiteClient  # noqa: E402


class Echo:
    """A server that answers a request with `{"request": it}`, after ignoring the first `silent`."""

    def __init__(self, silent=0):
        self.payloads = []
        self._silent = silent
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.linger = 0
        port = self._socket.bind_to_random_port("tcp://127.0.0.1")
        self.address = f"tcp://127.0.0.1:{port}"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exc):
        self._stop.set()
        self._thread.join()
        self._context.term()

    def _serve(self):
        while not self._stop.is_set():
            if not self._socket.poll(20):
                continue
            peer, empty, payload = self._socket.recv_multipart()
            self.payloads.append(payload)
            if self._silent < len(self.payloads):
                request = msgpack.loads(zlib.decompress(payload))
                answer = zlib.compress(msgpack.dumps({"request": request}))
                self._socket.send_multipart([peer, empty, answer])
        self._socket.close()


def sent(*args, database_name=None, **kwargs):
    """The request that the server sees for `execute(*args, **kwargs)`."""
    with Echo() as server, SQLiteClient(server.address, database_name=database_name) as client:
        return client.execute(*args, **kwargs)["request"]


class Request(unittest.TestCase):
    def test_names_the_database(self):
        request = sent("SELECT 1", database_name="user123")
        self.assertEqual(request.pop("client_id")[:7], "python@")
        self.assertEqual(
            request,
            {
                "query": "SELECT 1",
                "params": [],
                "execute_many": False,
                "execute_script": False,
                "database_name": "user123",
            },
        )

    def test_has_no_name_for_the_default_database(self):
        self.assertNotIn("database_name", sent("SELECT 1"))
        self.assertNotIn("database_name", sent("SELECT 1", database_name=""))

    def test_clients_of_one_thread_have_different_ids(self):
        self.assertNotEqual(sent("SELECT 1")["client_id"], sent("SELECT 1")["client_id"])

    def test_is_the_same_bytes_when_sent_again(self):
        with Echo(silent=1) as server, SQLiteClient(server.address, database_name="a") as client:
            client.execute("SELECT ?", ("x",), request_timeout=100)
            self.assertEqual(len(server.payloads), 2)
            self.assertEqual(server.payloads[0], server.payloads[1])


class Params(unittest.TestCase):
    def assert_params(self, expected, *args, **kwargs):
        self.assertEqual(sent("SQL", *args, **kwargs)["params"], expected)

    def test_one_by_one(self):
        self.assert_params([1, "x", None, b"b"], 1, "x", None, b"b")
        self.assert_params(["text"], "text")
        self.assert_params([b"bytes"], b"bytes")

    def test_as_one_tuple_or_list(self):
        self.assert_params(["x"], ("x",))
        self.assert_params([1, "x"], [1, "x"])
        self.assert_params([], ())

    def test_as_one_dictionary(self):
        self.assert_params({"a": 1}, {"a": 1})

    def test_a_row_beside_others_is_left_for_the_server_to_refuse(self):
        self.assert_params([[1], [2]], (1,), (2,))


class Rows(unittest.TestCase):
    def assert_rows(self, expected, *args):
        request = sent("SQL", *args, execute_many=True)
        self.assertIs(request["execute_many"], True)
        self.assertEqual(request["params"], expected)

    def test_one_by_one(self):
        self.assert_rows([[1, "a"], [2, "b"]], (1, "a"), (2, "b"))
        self.assert_rows([[1, "a"]], (1, "a"))

    def test_as_one_list(self):
        self.assert_rows([[1, "a"], [2, "b"]], [(1, "a"), (2, "b")])
        self.assert_rows([[1, "a"]], [(1, "a")])
        self.assert_rows([[1, "a"]], ((1, "a"),))
        self.assert_rows([], [])

    def test_as_dictionaries(self):
        self.assert_rows([{"a": 1}, {"a": 2}], [{"a": 1}, {"a": 2}])
        self.assert_rows([{"a": 1}], {"a": 1})


class Parent(unittest.TestCase):
    def test_takes_the_parents_arguments(self):
        with zmq.Context() as context:
            client = SQLiteClient("tcp://127.0.0.1:9", False, None, None, None, context)
            self.assertIs(client._context, context)
            client.cleanup()

    def test_refuses_both_modes_at_once(self):
        with self.assertRaisesRegex(ValueError, "cannot be True"):
            sent("SQL", execute_many=True, execute_script=True)

    def test_gives_up_after_its_retries(self):
        with Echo(silent=9) as server, SQLiteClient(server.address) as client:
            with self.assertRaises(rowhouse_sqlite_rx.SQLiteRxConnectionError):
                client.execute("SELECT 1", request_timeout=50, retries=2)
            self.assertEqual(len(server.payloads), 2)

    def test_raises_the_parents_exceptions(self):
        names = [name for name in dir(sqlite_rx.exception) if name.startswith("SQLiteRx")]
        for name in names:
            self.assertIs(getattr(rowhouse_sqlite_rx, name), getattr(sqlite_rx.exception, name))
        with self.assertRaises(rowhouse_sqlite_rx.SQLiteRxSerializationError):
            sent("SELECT ?", (object(),))

    def test_is_a_parent(self):
        self.assertTrue(issubclass(SQLiteClient, sqlite_rx.client.SQLiteClient))

    def test_every_thread_names_the_database(self):
        with Echo() as server, SQLiteClient(server.address, database_name="user123") as client:
            seen = []

            def run():
                seen.append(client.execute("SELECT 1")["request"]["database_name"])
                client.cleanup()

            thread = threading.Thread(target=run)
            thread.start()
            thread.join()
            self.assertEqual(seen, ["user123"])


if __name__ == "__main__":
    unittest.main()
