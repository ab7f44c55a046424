"""`SQLiteClient`: the parent's sockets, retries and errors, with a fuller request."""

import uuid
from typing import Any, Dict, Optional, Sequence, Union

import sqlite_rx.client

Params = Union[Sequence[Any], Dict[str, Any]]


class SQLiteClient(sqlite_rx.client.SQLiteClient):
    """A client of one database of a server.

    Takes what `sqlite_rx.client.SQLiteClient` takes, and:

    Args:
        database_name: The database to talk to; `None` or `""` is the server's default database.

    The parameters of `execute` may come one by one, as in the parent, or as one tuple or list, or
    as one dictionary for named parameters. With `execute_many=True` the rows may come one by one
    or as one list.

    Like its parent, an instance keeps one connection per thread. A transaction belongs to that
    connection.
    """

    def __init__(
        self,
        connect_address: str,
        *args: Any,
        database_name: Optional[str] = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(connect_address, *args, **kwargs)
        self.database_name = database_name
        # The parent's id is the same in forked processes. A server that recognises a resent
        # request by it must not take two clients' requests for one.
        self.client_id = f"{self.client_id}_{uuid.uuid4().hex}"

    def _send_request(self, request: Dict[str, Any]) -> None:
        unwrap = _rows if request["execute_many"] else _params
        request = {**request, "params": unwrap(request["params"])}
        if self.database_name:
            request["database_name"] = self.database_name
        super()._send_request(request)


def _params(args: Sequence[Any]) -> Params:
    """The parameters of one statement, given one by one or as one argument."""
    if len(args) == 1 and _is_row(args[0]):
        return args[0]
    return args


def _rows(args: Sequence[Any]) -> Sequence[Params]:
    """The rows of many statements, given one by one or as one argument.

    One argument is all rows if everything in it is a row, for no value of a row can be a row.
    """
    if len(args) == 1 and isinstance(args[0], (tuple, list)) and all(map(_is_row, args[0])):
        return args[0]
    return args


def _is_row(value: Any) -> bool:
    return isinstance(value, (tuple, list, dict))
