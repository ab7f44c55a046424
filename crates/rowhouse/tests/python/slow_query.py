"""A slow query on one database leaves the others fast.

`slow_query.py ADDRESS`: the server has --auto-connect and --auto-create. A query of about five
seconds runs on one database while another is asked again and again; prints the figures.
"""

import sys
import threading
import time

from support import Unexpected, Wire, expect, items, run

SECONDS = 5
P99_MILLISECONDS = 20
COUNT = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) SELECT max(i) FROM n"


def main(address):
    with Wire(address) as slow, Wire(address) as fast:
        rows = rows_in(SECONDS, slow)
        fast.rows("CREATE TABLE t (id INTEGER PRIMARY KEY, x)", database_name="fast")
        fast.rows("INSERT INTO t VALUES (1, 'x')", database_name="fast")
        done = threading.Event()
        reply = []

        def run_slow():
            begun = time.monotonic()
            reply.append(slow.ask(COUNT, [rows], database_name="slow"))
            reply.append(time.monotonic() - begun)
            done.set()

        thread = threading.Thread(target=run_slow)
        thread.start()
        times = times_until(done, fast)
        thread.join()
    if not reply:
        raise Unexpected("no reply to the slow query")
    answer, took = reply
    expect(items(answer, "the slow query"), [[rows]], "the slow query")
    expect(SECONDS / 2 < took, True, f"the slow query is slow ({took:.1f} s)")
    report(times, took)


def rows_in(seconds, wire):
    """How many rows the recursion makes in so many seconds, tried on fewer."""
    rows = 2_000_000
    wire.rows("SELECT 1", database_name="slow")
    begun = time.monotonic()
    wire.rows(COUNT, [rows], database_name="slow")
    return int(rows * seconds / (time.monotonic() - begun))


def times_until(done, wire):
    """How long each request took, in milliseconds, in order of length."""
    times = []
    while not done.is_set():
        begun = time.monotonic()
        wire.rows("SELECT x FROM t WHERE id = 1", database_name="fast")
        times.append((time.monotonic() - begun) * 1000)
    return sorted(times)


def report(times, took):
    p99 = times[len(times) * 99 // 100]
    print(f"{len(times)} requests during {took:.1f} s: p50 {times[len(times) // 2]:.2f} ms, "
          f"p99 {p99:.2f} ms, longest {times[-1]:.2f} ms")
    expect(p99 < P99_MILLISECONDS, True, f"p99 is below {P99_MILLISECONDS} ms ({p99:.2f} ms)")


if __name__ == "__main__":
    run(main, *sys.argv[1:])
