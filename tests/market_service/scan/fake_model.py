"""A language model behind an OpenAI-compatible API, in a thread of its own: it counts, and says what it is told to."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL = "fake-1"
KEY = "model-key-0123456789"
BUY = {"side": "BUY", "confidence": 75, "quote_amount": "25", "rationale": "it rises"}
USAGE = {"prompt_tokens": 120, "completion_tokens": 30}
PATH = "/v1/chat/completions"


def completion(content: object, **changes: object) -> bytes:
    text = content if isinstance(content, str) else json.dumps(content)
    answer = {"choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]}
    return json.dumps({"model": MODEL, **answer, "usage": USAGE, **changes}).encode()


@dataclass
class FakeModel:
    """What it answers with, how slowly, and every question it got."""

    body: bytes = field(default_factory=lambda: completion(BUY))
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay_seconds: float = 0.0
    asked: Callable[[], None] = lambda: None
    questions: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""

    @property
    def calls(self) -> int:
        return len(self.questions)

    @contextmanager
    def served(self) -> Iterator["FakeModel"]:
        server = ThreadingHTTPServer(("127.0.0.1", 0), _answering(self))
        server.daemon_threads = True
        self.url = f"http://127.0.0.1:{server.server_port}/v1"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def _answering(model: FakeModel) -> type[BaseHTTPRequestHandler]:
    class Answering(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            question = json.loads(self.rfile.read(int(self.headers["content-length"])))
            model.questions.append({"path": self.path, "headers": dict(self.headers), **question})
            model.asked()
            time.sleep(model.delay_seconds)
            status = model.status if self.headers["authorization"] == f"Bearer {KEY}" else 401
            self.send_response(status)
            for name, value in {"content-length": str(len(model.body)), **model.headers}.items():
                self.send_header(name, value)
            self.send_header("connection", "close")
            self.end_headers()
            self.wfile.write(model.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002, ARG002 - the library's signature
            return

        def handle(self) -> None:
            try:
                super().handle()
            except ConnectionError:
                return  # whoever asked was killed

    return Answering
