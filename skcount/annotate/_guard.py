"""Only the browser that was given the address may speak to the page: Host, Origin, token, and what pages may load."""

import hmac
import re
import secrets
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

COOKIE = "skcount"
LARGEST = 2**20
HEADERS = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "content-security-policy": (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'self'; "
        "form-action 'self'; frame-ancestors 'self'"
    ),
}


class Guard:
    """ASGI middleware that refuses foreign hosts and origins, and requests without the token or the cookie.

    The token of the address works once, and becomes a cookie that scripts cannot read and other sites do not send.
    """

    def __init__(self, app, token, port, headers=HEADERS):
        self.app, self.token, self.headers = app, token, headers
        self.session = secrets.token_urlsafe(32)
        # Browsers send the cookies of a machine to all of its ports: each page has a name of its own.
        self.cookie = f"{COOKIE}-{port}"
        self.hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        self.origins = {f"http://{host}" for host in self.hosts}

    async def __call__(self, scope, receive, send):
        """Pass a request on, or refuse it."""
        if scope["type"] not in {"http", "websocket"}:
            return await self.app(scope, receive, send)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        status = self._judge(scope, headers)
        if status == 303:
            return await _answer(send, 303, {"location": "/", "set-cookie": self._cookie(), **self.headers})
        if status != 200:
            return await _refuse(scope, receive, send, status)
        return await self.app(
            scope, receive, _with_headers(send, self.headers) if scope["type"] == "http" else send
        )

    def _judge(self, scope, headers):
        """Return 200, 303 for the token, or the status of a refusal."""
        if (
            headers.get("host") not in self.hosts
            or headers.get("origin", "http://" + headers["host"]) not in self.origins
        ):
            return 403
        if scope["type"] == "websocket" and "origin" not in headers:
            return 403
        length = "" if "transfer-encoding" in headers else headers.get("content-length", "0")
        if not re.fullmatch(r"\d{1,9}", length, re.ASCII) or int(length) > LARGEST:
            return 413
        if hmac.compare_digest(self._session_of(headers).encode(), self.session.encode()):
            return 200
        given = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [""])[0]
        is_first = scope["type"] == "http" and scope["path"] == "/" and self.token is not None
        if is_first and hmac.compare_digest(given.encode(), self.token.encode()):
            self.token = None
            return 303
        return 403

    def _session_of(self, headers):
        """Return the session in the cookie, or an empty text."""
        try:
            found = SimpleCookie(headers.get("cookie", "")).get(self.cookie)
        except CookieError:
            return ""
        return found.value if found else ""

    def _cookie(self):
        """Return the cookie."""
        return f"{self.cookie}={self.session}; HttpOnly; SameSite=Strict; Path=/"


def _with_headers(send, headers):
    """Return a `send` that adds the headers of every answer."""

    async def send_with_headers(message):
        if message["type"] == "http.response.start":
            kept = [
                (name, value)
                for name, value in message["headers"]
                if name.decode("latin-1").lower() not in HEADERS
            ]
            own = [(name.encode(), value.encode()) for name, value in headers.items()]
            message = {**message, "headers": kept + own}
        await send(message)

    return send_with_headers


async def _answer(send, status, headers, body=b""):
    """Send a whole answer."""
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


async def _refuse(scope, receive, send, status):
    """Refuse a request or a websocket."""
    if scope["type"] == "websocket":
        await receive()
        return await send({"type": "websocket.close", "code": 1008})
    text = "Open the address that skcount annotate has printed. It works once; start the command again for a new one.\n"
    return await _answer(
        send, status, {"content-type": "text/plain; charset=utf-8", **HEADERS}, text.encode()
    )
