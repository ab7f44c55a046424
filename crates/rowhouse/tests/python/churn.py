"""Clients write to more databases than there is room for, while somebody watches the room.

`churn.py ADDRESS ROOM [OPERATIONS]`: the server has --auto-connect, --auto-create and
--max-connections ROOM. Nothing fails, no write is lost or doubled, nobody sees another's row, and
the number open is never above ROOM.
"""

import random
import sys
import threading

from support import Unexpected, Wire, expect, run

CLIENTS = 8


def main(address, room, operations="1000"):
    room, operations = int(room), int(operations)
    names = [f"churn-{number}" for number in range(3 * room)]
    with Wire(address) as wire:
        for name in names:
            wire.rows("CREATE TABLE t (owner, client, number)", database_name=name)
        before = evicted(wire)
        with Watch(address, room) as watch:
            written = write(address, names, operations // CLIENTS)
        evictions = evicted(wire) - before
        expect(0 < evictions, True, "databases were evicted")
        verify(wire, names, written)
    total = sum(map(len, written.values()))
    print(f"{total} writes, {evictions} evictions, {watch.samples} samples, at most {watch.most} of {room} open")


def evicted(wire):
    return wire.ask("HEALTH_CHECK")["metrics"]["dynamic_connections_evicted"]


class Watch:
    """Samples the number of open databases until it is left, and then says if it was too many."""

    def __init__(self, address, room):
        self.samples = 0
        self.most = 0
        self._room = room
        self._address = address
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exc):
        self._stop.set()
        self._thread.join()
        expect(0 < self.samples, True, "the room was watched")
        expect(self.most <= self._room, True, f"at most {self._room} open (saw {self.most})")

    def _sample(self):
        with Wire(self._address) as wire:
            while not self._stop.is_set():
                info = wire.ask("HEALTH_CHECK")
                listed = len(info["dynamic_databases"])
                self.most = max(self.most, info["active_dynamic_connections"], listed)
                self.samples += 1


def write(address, names, operations):
    """What each database must hold after all clients have written: `{name: [(client, number)]}`."""
    written = {name: [] for name in names}
    failures = []

    def client(number):
        choose = random.Random(number)
        with Wire(address) as wire:
            for operation in range(operations):
                name = choose.choice(names)
                row = (name, number, operation)
                try:
                    wire.rows("INSERT INTO t VALUES (?, ?, ?)", row, database_name=name)
                    mine = "SELECT count(*), min(owner), max(owner) FROM t WHERE client = ?"
                    [[count, *owners]] = wire.rows(mine, [number], database_name=name)
                except Unexpected as unexpected:
                    failures.append(str(unexpected))
                    return
                written[name].append((number, operation))
                expected = sum(1 for writer, _ in written[name] if writer == number)
                if (count, owners) != (expected, [name, name]):
                    failures.append(f"{name}: {expected} rows of its own, got {count} of {owners}")

    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise Unexpected("\n".join(failures[:5]))
    return written


def verify(wire, names, written):
    for name in names:
        rows = wire.rows("SELECT client, number FROM t ORDER BY 1, 2", database_name=name)
        expect([tuple(row) for row in rows], sorted(written[name]), f"the rows of {name}")
        rows = wire.rows("SELECT DISTINCT owner FROM t", database_name=name)
        expect(rows, [[name]] if written[name] else [], f"the owners in {name}")


if __name__ == "__main__":
    run(main, *sys.argv[1:])
