"""Many clients that are open and ask again and again notice nothing, until they are told to stop.

`hundred.py ADDRESS CLIENTS`: says `ready` when all have had an answer, reads a line, says how many were had.
"""

import contextlib
import sys
import threading

from support import Wire, expect, run


def main(address, count):
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Wire(address)) for _ in range(int(count))]
        ping(clients)
        sys.stdin.readline()
        print("ready", flush=True)
        stop = threading.Event()
        threading.Thread(target=lambda: (sys.stdin.readline(), stop.set()), daemon=True).start()
        rounds = 0
        while not stop.is_set() or rounds == 0:
            ping(clients)
            rounds += 1
        print(f"{rounds * len(clients)} answers", flush=True)


def ping(clients):
    for number, client in enumerate(clients):
        client.send("SELECT ?", [number])
    for number, client in enumerate(clients):
        reply = client.receive()
        expect(reply and (reply["error"], reply["items"]), (None, [[number]]), f"client {number}")


if __name__ == "__main__":
    run(main, *sys.argv[1:])
