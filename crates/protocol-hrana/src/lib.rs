//! L4, HTTP and WebSocket: Hrana for every libSQL client, plain SQL over HTTP, and feeds of changes.
