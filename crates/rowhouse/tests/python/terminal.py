"""Runs a program on a terminal of its own until it has shown something, and ends it.

`terminal.py WORDS PROGRAM ARGUMENT...`: the program leads a session whose terminal it is; what it shows is
kept as it came, control characters and all. A failure when the words do not come.
"""

import os
import pty
import select
import signal
import sys
import termios
import time

PATIENCE = 50


def main(words, *command):
    child, terminal = pty.fork()
    if child == 0:
        termios.tcsetwinsize(0, (24, 80))
        os.environ["TERM"] = "xterm"
        os.execvp(command[0], command)
    shown, since = b"", time.monotonic()
    while words.encode() not in shown:
        left = since + PATIENCE - time.monotonic()
        ready = select.select([terminal], [], [], max(left, 0))[0]
        try:
            piece = os.read(terminal, 65536) if ready else b""
        except OSError:  # The other end is closed.
            piece = b""
        shown += piece
        if not piece:
            os.kill(child, signal.SIGKILL)
            sys.exit(f"no {words!r} was shown: {shown!r}")
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
