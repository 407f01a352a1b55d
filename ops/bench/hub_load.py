"""The load for `bench hub`, in a process of its own: holds connections, and echoes frames in rounds.

Told what to do by lines on stdin, answers each with a line on stdout:

    open COUNT      → done
    echo ROUNDS     → CPU seconds of this process       (over the first ACTIVE connections, WINDOW frames each)
    close           → done

Run as `python -m ops.bench.hub_load HOST PORT TLS ACTIVE WINDOW BYTES`.
"""

import socket
import ssl
import sys
import time


def connect(host: str, port: int, context: ssl.SSLContext | None) -> socket.socket:
    """A blocking connection."""
    sock = socket.create_connection((host, port), timeout=30)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock if context is None else context.wrap_socket(sock)


def echo(socks: list[socket.socket], rounds: int, window: int, frame: bytes) -> None:
    """In each round every connection sends `window` frames, one write each, and then gets all of them back."""
    wanted = len(frame) * window
    for _ in range(rounds):
        for sock in socks:
            for _ in range(window):
                sock.send(frame)
        for sock in socks:
            got = 0
            while got < wanted:
                part = sock.recv(65_536)
                assert part, "the hub closed a connection"
                got += len(part)


def main() -> None:
    host, port, tls, active, window, size = sys.argv[1], *map(int, sys.argv[2:7])
    context = None
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    frame = (size - 4).to_bytes(4, "big") + bytes(size - 4)
    socks: list[socket.socket] = []
    for line in sys.stdin:
        verb, _, argument = line.strip().partition(" ")
        before = time.process_time()
        if verb == "open":
            socks += [connect(host, port, context) for _ in range(int(argument))]
        elif verb == "echo":
            echo(socks[:active], int(argument), window, frame)
        else:
            for sock in socks:
                sock.close()
            socks.clear()
        sys.stdout.write(f"{time.process_time() - before:.6f}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
