"""The container of the tests: a small HTTP server that says who it is, and drains before it ends."""

import os
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

DRAIN = 0.2  # seconds in which connections that were on their way are still answered


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = f"{os.environ['POD_NAME']} {os.environ.get('GREETING')} {os.environ.get('OTHER')}".encode()
        broken = self.path == "/health" and Path(os.environ.get("BROKEN_FILE", "none")).exists()
        self.send_response(500 if broken else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        if self.path != "/health":
            print("GET", self.path, flush=True)


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler)
    print("serving", os.environ.get("GREETING"), flush=True)
    signal.signal(signal.SIGTERM, lambda *_: threading.Timer(DRAIN, server.shutdown).start())
    server.serve_forever(poll_interval=0.05)
    server.server_close()
    print("ended", flush=True)


if __name__ == "__main__":
    main()
