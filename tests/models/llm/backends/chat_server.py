"""A server on loopback that speaks OpenAI's chat protocol, and misbehaves when it is told to."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Body = dict[str, Any]


@dataclass
class Said:
    """What the server does with one request."""

    data: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    wait: float = 0.0
    cut: bool = False
    """Promise more bytes than come, then close the connection."""


def completion(text: str | None = "hello", **more: Any) -> Body:
    """An answer of 10 tokens to a prompt of 90."""
    finish = more.pop("finish_reason", "stop")
    logprobs = more.pop("logprobs", None)
    message = {"role": "assistant", "content": text, **more}
    choice = {"index": 0, "message": message, "finish_reason": finish, "logprobs": logprobs}
    return {
        "id": "1",
        "object": "chat.completion",
        "created": 0,
        "model": "tiny",
        "choices": [choice],
        "usage": {"prompt_tokens": 90, "completion_tokens": 10, "total_tokens": 100},
    }


def called(name: str, arguments: str) -> Body:
    """An answer that is one tool call."""
    function = {"name": name, "arguments": arguments}
    call = {"id": "c1", "type": "function", "function": function}
    return completion(None, tool_calls=[call], finish_reason="tool_calls")


def refused(status: int, message: str, **headers: str) -> Said:
    """An error as OpenAI words it."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Said({"error": {"message": message, "type": "error"}}, status, named)


class ChatServer(ThreadingHTTPServer):
    """Answers with what `answer` says and keeps what it was asked."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, answer: Callable[[Body], Said | Body]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.asked: list[Body] = []
        self.open = 0
        self.most_open = 0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that goes away is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    server: ChatServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._send(Said({"object": "list", "data": [{"id": "tiny", "object": "model"}]}))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.asked.append(body)
            self.server.open += 1
            self.server.most_open = max(self.server.most_open, self.server.open)
        try:
            said = self.server.answer(body)
            self._send(said if isinstance(said, Said) else Said(said))
        finally:
            with self.server.lock:
                self.server.open -= 1

    def _send(self, said: Said) -> None:
        time.sleep(said.wait)
        data = said.data if isinstance(said.data, bytes) else json.dumps(said.data).encode()
        self.send_response(said.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data) + 100 * said.cut))
        for name, value in said.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)
        self.close_connection = said.cut

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def serving(answer: Callable[[Body], Said | Body]) -> Iterator[ChatServer]:
    """A running server; its threads end with it."""
    with ChatServer(answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
