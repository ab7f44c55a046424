"""Many clients name one new database at the same moment: one creation, and all succeed.

`stampede.py ADDRESS`: the server has --auto-connect and --auto-create.
"""

import sys
import threading

from support import Wire, expect, run

CLIENTS = 100
NAME = {"database_name": "stampede"}


def main(address):
    with Wire(address) as wire:
        before = created(wire)
        replies = at_once(address)
        expect(len(replies), CLIENTS, "replies")
        expect([reply["error"] for reply in replies], [None] * CLIENTS, "errors")
        rows = wire.rows("SELECT client FROM t ORDER BY client", **NAME)
        expect(rows, [[client] for client in range(CLIENTS)], "one row from each")
        expect(created(wire) - before, 1, "databases opened")


def created(wire):
    return wire.ask("HEALTH_CHECK")["metrics"]["dynamic_connections_created"]


def at_once(address):
    """The replies to all clients' first requests, each of which writes a row."""
    barrier = threading.Barrier(CLIENTS)
    replies = []

    def client(number):
        with Wire(address) as wire:
            # Connected, so that the named request is all that remains to be done.
            wire.ask("HEALTH_CHECK")
            script = f"CREATE TABLE IF NOT EXISTS t (client); INSERT INTO t VALUES ({number})"
            barrier.wait()
            replies.append(wire.ask(script, execute_script=True, **NAME))

    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return replies


if __name__ == "__main__":
    run(main, *sys.argv[1:])
