"""The `sqlite_rx` client for servers of many databases.

`SQLiteClient` is the class of that name in `sqlite_rx`, which can also name the database it talks
to and takes the parameters of a statement as one tuple, list or dictionary. The exceptions are
those of `sqlite_rx`.
"""

from sqlite_rx.exception import (
    SQLiteRxAuthConfigError,
    SQLiteRxBackUpError,
    SQLiteRxCompressionError,
    SQLiteRxConnectionError,
    SQLiteRxError,
    SQLiteRxSerializationError,
    SQLiteRxTransportError,
    SQLiteRxZAPSetupError,
)

from rowhouse_sqlite_rx.client import SQLiteClient

__all__ = [
    "SQLiteClient",
    "SQLiteRxAuthConfigError",
    "SQLiteRxBackUpError",
    "SQLiteRxCompressionError",
    "SQLiteRxConnectionError",
    "SQLiteRxError",
    "SQLiteRxSerializationError",
    "SQLiteRxTransportError",
    "SQLiteRxZAPSetupError",
]
