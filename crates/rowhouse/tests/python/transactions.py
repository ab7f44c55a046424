"""Transactions that are left open, against a server that bears them for a second idle, two in all.

`transactions.py ADDRESS`: the server has --set idle_transaction_timeout=1s and
--set transaction_timeout=2s.
"""

import sys
import time

from support import Unexpected, Wire, expect, run


def main(address):
    with Wire(address) as holder, Wire(address) as other:
        holder.rows("CREATE TABLE t (who)")
        forgotten(holder, other)
        kept_busy(holder, other)
        expect(other.rows("SELECT who FROM t ORDER BY rowid"), [["other"], ["other"]], "what was applied")


def forgotten(holder, other):
    """Who forgets a transaction keeps nobody from writing, and is told before anything else runs."""
    holder.rows("BEGIN")
    holder.rows("INSERT INTO t VALUES ('holder')")
    begun = time.monotonic()
    other.rows("INSERT INTO t VALUES ('other')")
    expect(0.8 < time.monotonic() - begun < 10, True, "the other waited for the idle one's end")
    expired(holder.ask("INSERT INTO t VALUES ('holder')"), "1 s idle", "idle_transaction_timeout")
    expect(holder.rows("SELECT count(*) FROM t"), [[1]], "told once, then served")


def kept_busy(holder, other):
    """Who keeps asking within a transaction does not keep it for ever."""
    holder.rows("BEGIN IMMEDIATE")
    begun = time.monotonic()
    other.send("INSERT INTO t VALUES ('other')")
    reply = {"error": None}
    while reply["error"] is None and time.monotonic() - begun < 30:
        reply = holder.ask("INSERT INTO t VALUES ('holder')")
        time.sleep(0.1)
    expect(1.8 < time.monotonic() - begun < 20, True, "it lasted as long as allowed")
    # The one under way when time is up is interrupted instead, with the transaction.
    if reply["error"]["code"] != "statement_timeout":
        expired(reply, "after 2 s;", "transaction_timeout")
    if other.receive()["error"] is not None:
        raise Unexpected("the other was not let in")


def expired(reply, after, option):
    error = reply["error"] or {}
    expect(error.get("code"), "transaction_timeout", f"{reply}")
    expect(after in error["message"] and option in error["hint"], True, f"{error}")


run(main, *sys.argv[1:])
