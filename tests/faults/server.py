"""Tracking servers that answer that they are well, and then fail in one of KINDS whatever they are asked.

hang    take each question but the first and never answer
drip    answer a letter at a time, without an end
retry   say that they are busy, and when to ask again: in ten minutes
slow    take two seconds for each answer, which is that they do not know the way
vanish  close the connection in the middle of the answer
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

KINDS = ("hang", "drip", "retry", "slow", "vanish")


@contextmanager
def failing(kind: str) -> Iterator[str]:
    """The address of one."""
    over, greeted = Event(), list[str]()

    class Fails(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.endswith("/health"):
                self._answer(200, b"OK")
            elif kind == "hang" and greeted:
                over.wait()
            elif kind == "hang":  # whether it knows us is asked before the training
                greeted.append(self.path)
                self._answer(404, b"{}")
            elif kind == "drip":
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                while not over.wait(0.2):
                    self.wfile.write(b" ")
                    self.wfile.flush()
            elif kind == "retry":
                self._answer(503, b"{}", ("Retry-After", "600"))
            elif kind == "slow":
                time.sleep(2.0)
                self._answer(404, b"{}")
            else:
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                self.wfile.write(b'{"experiment"')

        do_POST = do_GET

        def _answer(self, code: int, body: bytes, *headers: tuple[str, str]) -> None:
            self.send_response(code)
            for name, value in (*headers, ("Content-Length", str(len(body)))):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:  # who asked has left
                self.close_connection = True

        def log_message(self, format: str, *arguments: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Fails) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            over.set()
            server.shutdown()
