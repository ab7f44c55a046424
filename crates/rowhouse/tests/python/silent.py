"""Who connects and says nothing keeps no client out, however few may be connected.

`silent.py ADDRESS LIMIT`: at most LIMIT clients may be connected.
"""

import contextlib
import socket
import sys

from support import Wire, expect, run, wait_until

# More than the limit.
SILENT = 50


def main(address, limit):
    host, port = address.removeprefix("tcp://").rsplit(":", 1)
    with contextlib.ExitStack() as stack:
        for _ in range(SILENT):
            stack.enter_context(socket.create_connection((host, int(port)), 10))
        clients = [stack.enter_context(Wire(address)) for _ in range(int(limit))]
        for number in range(int(limit)):
            clients[number] = served(stack, address, clients[number])
        expect(clients[0].ask("HEALTH_CHECK")["client_connections"], int(limit), "places taken")
        late = stack.enter_context(Wire(address))
        error = late.ask("SELECT 1")["error"]
        expect(error["code"], "client_limit_reached", "one more than the limit")
        # Its place is free as soon as it is gone.
        clients.pop().close()
        wait_until(lambda: late.ask("SELECT 1")["error"] is None, "the late client is served in the end")


def served(stack, address, client):
    """The client, once it was served. Among so many a request may be lost; it asks again, as clients do."""
    client.send("SELECT 1")
    while (reply := client.receive(3)) is None:
        client.close()
        client = stack.enter_context(Wire(address))
        client.send("SELECT 1")
    expect(reply["items"], [[1]], "a client that says who it is")
    return client


if __name__ == "__main__":
    run(main, *sys.argv[1:])
