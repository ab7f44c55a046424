"""Many tenants with the documented client: `tenants.py ADDRESS COUNT`.

Each names its database into being, writes, and afterwards sees its own row only.
"""

import sys

from rowhouse_sqlite_rx import SQLiteClient

from support import expect, items, run


def main(address, count):
    names = [f"tenant-{number}" for number in range(int(count))]
    for name in names:
        with SQLiteClient(connect_address=address, database_name=name) as client:
            items(client.execute("CREATE TABLE data (id INTEGER PRIMARY KEY, value TEXT)"), name)
            items(client.execute("INSERT INTO data (value) VALUES (?)", (name,)), name)
    for name in names:
        with SQLiteClient(connect_address=address, database_name=name) as client:
            expect(items(client.execute("SELECT value FROM data"), name), [[name]], name)
    with SQLiteClient(connect_address=address) as client:
        items(client.execute("CREATE TABLE system (x)"), "the default database")
    for name in names[-50:]:
        with SQLiteClient(connect_address=address, database_name=name) as client:
            error = client.execute("SELECT x FROM system")["error"]
            expect(error["message"], "sqlite3.OperationalError: no such table: system", name)


if __name__ == "__main__":
    run(main, *sys.argv[1:])
