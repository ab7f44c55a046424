"""Writes to a server that is killed, and says afterwards what must be there, may be and must not.

`crash.py SEED` reads one command a line and answers each with one line:

- `load ADDRESS ROUND`: begins to write, answers when some of it is acknowledged, and writes on;
- `stop`: ends what was begun, after the server was killed;
- `verify ADDRESS ROUND`: asks the server for the rows of that round;
- `check DIRECTORY [ROUND]`: reads the files themselves, of that round or of all, and their integrity.

Every operation writes a known number of rows under a number of its own. Acknowledged, it is there
once. Unanswered, it is there wholly or not at all. Refused, or never sent to its end, it is not there.
"""

import pathlib
import random
import sqlite3
import sys
import threading

from support import Unexpected, Wire, expect

CLIENTS = 4
SHARED = ["shared-1", "shared-2", "shared-3"]
TABLE = "CREATE TABLE IF NOT EXISTS t (round, client, number, part)"
INSERT = "INSERT INTO t VALUES (?, ?, ?, ?)"
COUNT = "SELECT client, number, count(*), count(DISTINCT part) FROM t WHERE round = ? GROUP BY 1, 2"

ACKNOWLEDGED, UNANSWERED, REFUSED = "acknowledged", "unanswered", "refused"


class Unanswered(Exception):
    """The server was killed first."""


class Load:
    """What four clients do to a few databases until the server dies."""

    def __init__(self, address, number, random_):
        self.number = number
        # {database: {(client, number): (rows, fate)}}
        self.fates = {}
        self.enough = threading.Event()
        self._needed = random_.randint(1, 120)
        self._acknowledged = 0
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._address = address
        self.failures = []
        seeds = [random_.random() for _ in range(CLIENTS)]
        self._threads = [threading.Thread(target=self._run, args=(n, seed)) for n, seed in enumerate(seeds)]
        for thread in self._threads:
            thread.start()

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join()
        if self.failures:
            raise Unexpected("\n".join(self.failures))

    def _run(self, client, seed):
        choose = random.Random(seed)
        try:
            with Wire(self._address) as wire:
                for number in range(1_000_000):
                    operation = choose.choice([self._single, self._single, self._many, self._transaction, self._create])
                    operation(wire, choose.choice(SHARED), client, number)
        except Unanswered:
            pass
        except Exception as error:
            self.failures.append(f"client {client}: {error!r}")
        finally:
            self.enough.set()

    def _single(self, wire, database, client, number):
        reply = self._last(wire, database, client, number, 1, INSERT, [self.number, client, number, 0])
        self._ended(reply, database, client, number, 1)

    def _many(self, wire, database, client, number):
        sets = [[self.number, client, number, part] for part in range(5)]
        reply = self._last(wire, database, client, number, 5, INSERT, sets, execute_many=True)
        self._ended(reply, database, client, number, 5)

    def _transaction(self, wire, database, client, number):
        self._fate(database, client, number, 3, REFUSED)
        if self._ask(wire, "BEGIN", [], database_name=database)["error"]:
            return
        for part in range(3):
            reply = self._ask(wire, INSERT, [self.number, client, number, part], database_name=database)
            if reply["error"]:
                self._ask(wire, "ROLLBACK", [], database_name=database)
                return
        reply = self._last(wire, database, client, number, 3, "COMMIT", [])
        self._ended(reply, database, client, number, 3)

    def _create(self, wire, _database, client, number):
        database = f"new-{self.number}-{client}-{number}"
        values = f"({self.number}, {client}, {number}, 0)"
        script = f"BEGIN; {TABLE}; INSERT INTO t VALUES {values}; COMMIT"
        reply = self._last(wire, database, client, number, 1, script, [], execute_script=True)
        self._ended(reply, database, client, number, 1)

    def _last(self, wire, database, client, number, rows, query, params, **keys):
        """Asks what decides: from here on it may be there."""
        self._fate(database, client, number, rows, UNANSWERED)
        return self._ask(wire, query, params, database_name=database, **keys)

    def _ended(self, reply, database, client, number, rows):
        self._fate(database, client, number, rows, REFUSED if reply["error"] else ACKNOWLEDGED)
        if reply["error"]:
            self.failures.append(f"{database}: {reply['error']}")
            return
        with self._lock:
            self._acknowledged += 1
            if self._needed <= self._acknowledged:
                self.enough.set()

    def _fate(self, database, client, number, rows, fate):
        with self._lock:
            self.fates.setdefault(database, {})[client, number] = (rows, fate)

    def _ask(self, wire, query, params, **keys):
        wire.send(query, params, **keys)
        while not self._stop.is_set():
            reply = wire.receive(0.02)
            if reply is not None:
                return reply
        raise Unanswered


def verify(load, database, counted):
    """Compares rows of (client, number, rows, distinct parts) with what became of the operations."""
    found = {(client, number): (rows, parts) for client, number, rows, parts in counted}
    for (client, number), (rows, fate) in load.fates.get(database, {}).items():
        what = f"{database}, round {load.number}, client {client}, operation {number}, {fate}"
        whole = found.pop((client, number), None)
        if fate == ACKNOWLEDGED or (fate == UNANSWERED and whole is not None):
            expect(whole, (rows, rows), what)
        else:
            expect(whole, None, what)
    expect(found, {}, f"rows in {database} that nobody wrote in round {load.number}")


def ask_server(load, address):
    with Wire(address) as wire:
        for database in load.fates:
            # What was created without an answer may be absent; asking creates it, empty.
            wire.rows(TABLE, database_name=database)
            verify(load, database, wire.rows(COUNT, [load.number], database_name=database))


def read_files(loads, directory):
    writers = {}
    for load in loads:
        for database in load.fates:
            writers.setdefault(database, []).append(load)
    for database, loads in sorted(writers.items()):
        path = pathlib.Path(directory, f"{database}.db")
        if not path.exists():
            for load in loads:
                verify(load, database, [])
            continue
        connection = sqlite3.connect(path)
        expect(connection.execute("PRAGMA integrity_check").fetchall(), [("ok",)], f"integrity of {database}")
        # Created, and killed before the table was.
        if connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,):
            connection.execute(TABLE)
        for load in loads:
            verify(load, database, connection.execute(COUNT, [load.number]).fetchall())
        connection.close()


def main(seed):
    choose = random.Random(int(seed))
    loads = {}
    current = None
    for line in sys.stdin:
        command, *arguments = line.rstrip("\n").split("\t")
        if command == "load":
            current = Load(arguments[0], int(arguments[1]), choose)
            loads[current.number] = current
            current.enough.wait()
            print("ok loading", flush=True)
        elif command == "stop":
            current.stop()
            fates = [fate for of in current.fates.values() for _, fate in of.values()]
            print(f"ok {fates.count(ACKNOWLEDGED)} {fates.count(UNANSWERED)}", flush=True)
        elif command == "verify":
            ask_server(loads[int(arguments[1])], arguments[0])
            print("ok", flush=True)
        elif command == "check":
            chosen = [loads[int(number)] for number in arguments[1:]] or list(loads.values())
            read_files(chosen, arguments[0])
            print("ok", flush=True)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Unexpected as unexpected:
        sys.exit(f"FAILED: {unexpected}")
