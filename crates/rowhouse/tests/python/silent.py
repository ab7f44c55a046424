"""Who connects and says nothing keeps no client out, however few may be connected.

`silent.py ADDRESS LIMIT`: at most LIMIT clients may be connected.
"""

import contextlib
import socket
import sys
import time

from support import Wire, expect, run

# More than the limit, fewer than may wait at the door.
SILENT = 50


def main(address, limit):
    host, port = address.removeprefix("tcp://").rsplit(":", 1)
    with contextlib.ExitStack() as stack:
        for _ in range(SILENT):
            stack.enter_context(socket.create_connection((host, int(port)), 10))
        clients = [stack.enter_context(Wire(address)) for _ in range(int(limit))]
        for number, client in enumerate(clients):
            expect(client.rows("SELECT ?", [number]), [[number]], f"client {number}")
        expect(clients[0].ask("HEALTH_CHECK")["client_connections"], int(limit), "places taken")
        late = stack.enter_context(Wire(address))
        late.send("SELECT 1")
        expect(late.receive(1), None, "one more than the limit")
        # It keeps its request, and is served when there is a place.
        clients.pop().close()
        deadline = time.monotonic() + 30
        while (reply := late.receive(1)) is None:
            expect(time.monotonic() < deadline, True, "the late client is served in the end")
        expect(reply["items"], [[1]], "the late client")


if __name__ == "__main__":
    run(main, *sys.argv[1:])
