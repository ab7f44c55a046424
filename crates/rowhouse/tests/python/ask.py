"""Sends what it reads and prints what it gets: one JSON request a line, one JSON reply a line.

`ask.py ADDRESS`: a request is an object with `query` and whatever else goes into the message. All
go over one socket, so they are one session.
"""

import json
import sys

from support import Wire, run


def main(address):
    with Wire(address) as wire:
        for line in sys.stdin:
            reply = wire.ask(**json.loads(line))
            print(json.dumps(reply, default=repr), flush=True)


if __name__ == "__main__":
    run(main, *sys.argv[1:])
