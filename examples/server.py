"""A web server of the standard library that answers with a trained network, from as many threads as ask.

python examples/server.py

A program may be used from any number of threads: each answer has the bits that a single thread gets, so the server needs no lock.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
from sklearn.datasets import load_digits

import pipeline
from pipeline.errors import PipelineError
from pipeline.program.model import Model

THREADS, QUESTIONS = 8, 400


def served(model: Model) -> ThreadingHTTPServer:
    """A server on a free port: POST a JSON list of rows -> a JSON list of the probabilities of the classes of each."""

    class Answers(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # a client may ask again on the same connection
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            try:
                rows = np.asarray(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                code, answer = 200, json.dumps(model.predict(rows).tolist())
            except (PipelineError, ValueError) as error:  # a mistake of who asks: one sentence
                code, answer = 400, json.dumps(str(error))
            body = answer.encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None: ...

    class Server(ThreadingHTTPServer):
        request_queue_size = 128  # who asks at once waits here
        daemon_threads = True

    return Server(("127.0.0.1", 0), Answers)


def asked(port: int, rows: Sequence[np.ndarray]) -> list[object]:
    """The answers to one row after the other."""
    connection = HTTPConnection("127.0.0.1", port)
    answers = []
    for row in rows:
        connection.request("POST", "/", json.dumps([row.tolist()]))
        answers.append(json.loads(connection.getresponse().read()))
    connection.close()
    return answers


if __name__ == "__main__":
    config = ["data=digits", "architecture=mlp_small", "training=fixed", "training.epochs=3", "tracking=none"]
    model = pipeline.train(pipeline.compose(config)).program
    images = load_digits().images[:QUESTIONS, :, :, None]
    alone = [model.predict(row[None]).tolist() for row in images]
    with served(model) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        start = time.perf_counter()
        with ThreadPoolExecutor(THREADS) as pool:
            parts = list(pool.map(lambda part: asked(server.server_port, images[part::THREADS]), range(THREADS)))
        seconds = time.perf_counter() - start
        refused = asked(server.server_port, [np.zeros(3)])
        server.shutdown()
    answers = [parts[number % THREADS][number // THREADS] for number in range(QUESTIONS)]
    wrong = sum(one != other for one, other in zip(answers, alone, strict=True))
    print(f"{QUESTIONS} questions from {THREADS} threads: {QUESTIONS / seconds:.0f} answers a second, {wrong} wrong")
    print(f"three numbers in place of an image: {refused[0]}")
