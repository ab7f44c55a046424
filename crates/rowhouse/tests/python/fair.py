"""One client goes through many names while others use their few.

`fair.py ADDRESS ROOM`: the server has --auto-connect, --auto-create and --max-connections ROOM, and
databases evil-0 to evil-999 with a table t. The others' databases stay open, though the one was first.
"""

import sys
import threading

from support import Wire, expect, run

VICTIMS = 3
NAMES = 1000


def main(address, room):
    each = int(room) // (VICTIMS + 1)
    attacker = Wire(address)
    for number in range(int(room)):
        attacker.rows("SELECT count(*) FROM t", database_name=f"evil-{number}")
    victims = [Wire(address) for _ in range(VICTIMS)]
    own = [[f"good-{victim}-{number}" for number in range(each)] for victim in range(VICTIMS)]
    for wire, names in zip(victims, own):
        for name in names:
            wire.rows("CREATE TABLE t (x)", database_name=name)
    stop = threading.Event()
    attacked = [0]

    def attack():
        while not stop.is_set():
            attacker.rows("SELECT count(*) FROM t", database_name=f"evil-{attacked[0] % NAMES}")
            attacked[0] += 1

    thread = threading.Thread(target=attack)
    thread.start()
    uses = misses = 0
    try:
        opened = {}
        while attacked[0] < NAMES:
            for wire, names in zip(victims, own):
                for name in names:
                    wire.rows("SELECT count(*) FROM t", database_name=name)
            info = victims[0].ask("HEALTH_CHECK")["dynamic_databases"]
            for name in sum(own, []):
                # How often it was used since it was opened tells whether it was opened anew.
                used = info[name]["use_count"] if name in info else 0
                uses += 1
                misses += used <= opened.get(name, 0)
                opened[name] = used
    finally:
        stop.set()
        thread.join()
    rate = 100 * (uses - misses) / uses
    print(f"{attacked[0]} names of the one, {uses} uses of the others, {rate:.1f} % of them found it open")
    expect(95 < rate, True, f"the others' databases stay open ({rate:.1f} %)")


if __name__ == "__main__":
    run(main, *sys.argv[1:])
