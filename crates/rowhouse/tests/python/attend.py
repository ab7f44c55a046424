"""Clients that are connected and stay: each line says what they do, and is answered when they have done it.

`attend.py ADDRESS`: `come 3` connects three more, each of which asks once; `ask` has each of them ask;
`leave 2` closes the two that came last. The answer is how many there are.
"""

import sys

from support import Wire, run


def main(address):
    there = []
    for line in sys.stdin:
        what, _, count = line.strip().partition(" ")
        if what == "come":
            for _ in range(int(count)):
                there.append(Wire(address))
                there[-1].rows("SELECT 1")
        elif what == "leave":
            for _ in range(int(count)):
                there.pop().close()
        else:
            for wire in there:
                wire.rows("SELECT 1")
        print(len(there), flush=True)


if __name__ == "__main__":
    run(main, *sys.argv[1:])
