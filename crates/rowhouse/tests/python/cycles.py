"""Opens and evicts databases again and again, and watches what the server's process holds.

`cycles.py ADDRESS PID ROOM CYCLES`: the server has --auto-connect, --auto-create and
--max-connections ROOM. Nearly each request names a database that is not open. After a warm-up, the
process's open files, threads and memory stay what they are.
"""

import pathlib
import sys
import threading
import time

from support import Wire, expect, run

CLIENTS = 4
WARM_UP = 1000
# Seconds after which the server has seen enough of it to tell its log, however fast it goes round.
SETTLED = 11
# What may come and go: databases being closed, and threads that are idle for now.
MORE_FILES = 12
MORE_THREADS = 8
# What allocators keep.
MORE_KIBIBYTES = 16 * 1024


def main(address, pid, room, cycles):
    room, cycles = int(room), int(cycles)
    names = [f"cycle-{number}" for number in range(2 * room + 2 * CLIENTS)]
    with Wire(address) as wire:
        for name in names:
            wire.rows("CREATE TABLE t (x)", database_name=name)
    wires = [Wire(address) for _ in range(CLIENTS)]
    since = time.monotonic()
    watcher = Wire(address)
    cycle(wires, names, WARM_UP)
    most = warm = held(pid)
    before = watcher.ask("HEALTH_CHECK")["metrics"]
    opened = evicted = 0
    while min(opened, evicted) < cycles or time.monotonic() < since + SETTLED:
        cycle(wires, names, 1000)
        most = tuple(map(max, most, held(pid)))
        after = watcher.ask("HEALTH_CHECK")["metrics"]
        opened = after["dynamic_connections_created"] - before["dynamic_connections_created"]
        evicted = after["dynamic_connections_evicted"] - before["dynamic_connections_evicted"]
    print(f"{opened} openings, {evicted} evictions; files, threads, KiB when warm {warm}, at most {most}")
    expect(0 < after["dynamic_connections_reopened"], True, "openings soon after evictions are counted")
    fits = after["suggested_max_connections"]
    expect(room < fits <= len(names), True, f"room for {fits} would have been enough for {len(names)}")
    for what, first, last, more in zip(
        ("files", "threads", "KiB"), warm, most, (MORE_FILES, MORE_THREADS, MORE_KIBIBYTES)
    ):
        expect(last <= first + more, True, f"{what} stay as they were ({first} when warm, {last} at most)")


def cycle(wires, names, count):
    """Each client goes round names of its own."""
    failures = []

    def client(number):
        own = names[number::CLIENTS]
        for n in range(count // CLIENTS):
            query = "INSERT INTO t VALUES (1)" if n % 10 == 0 else "SELECT count(*) FROM t"
            reply = wires[number].ask(query, database_name=own[n % len(own)])
            if reply["error"]:
                failures.append(reply["error"])

    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expect(failures, [], "failures")


def held(pid):
    """Open files, threads, resident KiB."""
    process = pathlib.Path("/proc", pid)
    files = len(list((process / "fd").iterdir()))
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    return files, int(status["Threads"]), int(status["VmRSS"].split()[0])


if __name__ == "__main__":
    run(main, *sys.argv[1:])
