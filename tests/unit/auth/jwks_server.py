"""A real HTTP server on loopback that publishes a key set."""

import asyncio
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any


class JwksServer:
    """Answers every path with `document`, and counts. While `gate` is cleared, answers wait for it."""

    def __init__(self) -> None:
        self.document = b'{"keys": []}'
        self.status = 200
        self.headers: dict[str, str] = {}
        self.paths: list[str] = []
        self.gate = Event()
        self.gate.set()
        self._arrived = Event()
        self._cut_off = Event()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}/jwks.json"

    @property
    def requests(self) -> int:
        return len(self.paths)

    def hold(self) -> None:
        """Let no answer out until `gate` is set."""
        self.gate.clear()
        self._arrived.clear()

    async def until_asked(self) -> None:
        """Wait for the first request after `hold`."""
        assert await asyncio.to_thread(self._arrived.wait, 30)

    async def until_cut_off(self) -> None:
        """Wait until a caller hung up before it had the whole answer."""
        assert await asyncio.to_thread(self._cut_off.wait, 30)

    def close(self) -> None:
        self.gate.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.paths.append(self.path)
                server._arrived.set()
                server.gate.wait(30)
                try:
                    self._answer()
                except ConnectionError:
                    server._cut_off.set()
                    self.close_connection = True

            def _answer(self) -> None:
                self.send_response(server.status)
                for name, value in server.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(server.document)))
                self.end_headers()
                self.wfile.write(server.document)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  named by the library
                pass

        return Handler
