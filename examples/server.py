"""A web server of the standard library that answers with a trained network, from as many threads as ask: it needs no lock.

python examples/server.py
"""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
from sklearn.datasets import load_digits

import pipeline
from pipeline.errors import PipelineError

THREADS, QUESTIONS = 8, 400
model = pipeline.train(pipeline.compose(["data=digits", "architecture=mlp_small", "training=fixed", "tracking=none"])).program


class Answers(BaseHTTPRequestHandler):
    protocol_version, disable_nagle_algorithm = "HTTP/1.1", True  # a client may ask again on the same connection

    def do_POST(self) -> None:
        try:
            rows = np.asarray(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            code, body = 200, json.dumps(model.predict(rows).tolist()).encode()
        except (PipelineError, ValueError) as error:  # a mistake of who asks: one sentence
            code, body = 400, json.dumps(str(error)).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None: ...


def asked(port: int, rows: np.ndarray) -> list[object]:
    connection, answers = HTTPConnection("127.0.0.1", port), []
    for row in rows:
        connection.request("POST", "/", json.dumps([row.tolist()]))
        answers.append(json.loads(connection.getresponse().read()))
    connection.close()
    return answers


images = load_digits().images[:QUESTIONS, :, :, None]
with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server, ThreadPoolExecutor(THREADS) as pool:
    Thread(target=server.serve_forever, daemon=True).start()
    start = time.perf_counter()
    answers = [answer for part in pool.map(lambda part: asked(server.server_port, part), np.split(images, THREADS)) for answer in part]
    seconds = time.perf_counter() - start
    refused = asked(server.server_port, np.zeros((1, 3)))[0]
    server.shutdown()
wrong = sum(answer != model.predict(row[None]).tolist() for answer, row in zip(answers, images, strict=True))
print(f"{QUESTIONS} questions from {THREADS} threads: {QUESTIONS / seconds:.0f} answers a second, {wrong} wrong\nthree numbers: {refused}")
