"""A merchant's notification URL, written from docs/ipn.md alone: a real HTTP server that checks what it gets.

It shares no code with `notifications`, so that a slip there cannot hide here.
"""

import hashlib
import hmac
import json
import threading
import urllib.parse
from base64 import b64encode
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Refused(Exception):
    """The call is not what it claims to be; the message says why."""


@dataclass(frozen=True)
class ReceivedCall:
    """One call, as received. `refusal` is "" for an accepted one."""

    format: str
    parameters: dict[str, str]
    answer: dict[str, Any]
    content_type: str
    refusal: str


@dataclass
class Receiver:
    """Use as a context manager. POST to `form_url` or `rest_url`; 200 when it believes the call, else 400.

    `keys` and `passwords` go by mode; `algorithm` is the shop's choice for form calls.
    """

    keys: dict[str, str] = field(default_factory=lambda: {"TEST": "1122334455667788", "PRODUCTION": "8877665544332211"})
    passwords: dict[str, str] = field(
        default_factory=lambda: {"TEST": "testpassword_receiver", "PRODUCTION": "prodpassword_receiver"}
    )
    algorithm: str = "HMAC-SHA-256"
    calls: list[ReceivedCall] = field(default_factory=list)
    port: int = 0

    @property
    def form_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/form"

    @property
    def rest_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/rest"

    def __enter__(self) -> "Receiver":
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                call = receiver.take(self.path.strip("/"), body, self.headers.get("Content-Type", ""))
                receiver.calls.append(call)
                answer = (call.refusal or "OK").encode()
                self.send_response(400 if call.refusal else 200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *arguments: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def take(self, format: str, body: bytes, content_type: str) -> ReceivedCall:
        """What the server decides about a body, without a connection."""
        parameters: dict[str, str] = {}
        answer: dict[str, Any] = {}
        try:
            if not content_type.startswith("application/x-www-form-urlencoded"):
                raise Refused(f"content type {content_type}")
            try:
                for pair in body.decode("ascii").split("&"):
                    name, _, value = pair.partition("=")
                    name = urllib.parse.unquote_plus(name, errors="strict")
                    if name in parameters:
                        raise Refused(f"{name} twice")
                    parameters[name] = urllib.parse.unquote_plus(value, errors="strict")
            except UnicodeError as error:
                raise Refused("not UTF-8") from error
            answer = self._rest(parameters) if format == "rest" else self._form(parameters)
            refusal = ""
        except Refused as refused:
            refusal = str(refused)
        return ReceivedCall(format, parameters, answer, content_type, refusal)

    def _form(self, parameters: dict[str, str]) -> dict[str, Any]:
        key = self.keys.get(parameters.get("vads_ctx_mode", ""))
        if key is None:
            raise Refused("unknown mode")
        signed = ""
        for name in sorted(parameters, key=lambda text: text.encode()):
            if name[:5] == "vads_":
                signed += parameters[name] + "+"
        signed += key
        if self.algorithm == "SHA-1":
            expected = hashlib.new("sha1", signed.encode("utf-8")).hexdigest()
        else:
            expected = b64encode(
                hmac.new(key.encode("utf-8"), signed.encode("utf-8"), hashlib.sha256).digest()
            ).decode()
        if parameters.get("signature", "") != expected:
            raise Refused("signature")
        return {}

    def _rest(self, parameters: dict[str, str]) -> dict[str, Any]:
        fixed = {"kr-hash-algorithm": "sha256_hmac", "kr-hash-key": "password", "kr-answer-type": "V4/Payment"}
        for name, value in fixed.items():
            if parameters.get(name) != value:
                raise Refused(name)
        text = parameters.get("kr-answer", "")
        hashes = {
            mode: hmac.new(password.encode("utf-8"), text.encode("utf-8"), hashlib.sha256).hexdigest()
            for mode, password in self.passwords.items()
        }
        if parameters.get("kr-hash") not in hashes.values():
            raise Refused("kr-hash")
        answer: dict[str, Any] = json.loads(text)
        # The hash is believed only under the password of the mode that the answer itself names.
        if parameters["kr-hash"] != hashes.get(answer["orderDetails"]["mode"]):
            raise Refused("mode")
        return answer
