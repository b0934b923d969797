"""The guard lets only the browser in that was given the address; it is called as by a server, without a network."""

import asyncio
import random
import re
import subprocess
import sys
from http.cookies import SimpleCookie

import pytest

from skcount.annotate._guard import HEADERS, LARGEST, Guard

PORT, TOKEN = 8123, "token-of-this-test"
HOST = b"127.0.0.1:8123"


class Page:
    """An application that notes what reaches it, and answers with headers of its own."""

    def __init__(self):
        self.scopes = []

    async def __call__(self, scope, receive, send):
        self.scopes.append(scope)
        if scope["type"] == "http":
            own = [(b"content-type", b"text/html"), (b"Cache-Control", b"public"), (b"x-own", b"kept")]
            await send({"type": "http.response.start", "status": 200, "headers": own})
            await send({"type": "http.response.body", "body": b"page"})
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})


class Client:
    """A browser without a network: `get` gives status and headers, `connect` tells whether a websocket is accepted."""

    def __init__(self, headers=HEADERS):
        self.page = Page()
        self.guard = Guard(self.page, TOKEN, PORT, headers)

    def call(self, scope, first):
        """Call the guard, and return what it sends."""
        sent = []

        async def receive():
            return first

        async def send(message):
            sent.append(message)

        asyncio.run(self.guard(scope, receive, send))
        return sent

    def get(self, path="/", query=b"", headers=(), host=HOST, method="GET"):
        """Return status and headers, dict of text to list of texts, of an answer."""
        headers = [*([] if host is None else [(b"host", host)]), *headers]
        scope = {"type": "http", "method": method, "path": path, "query_string": query, "headers": headers}
        start, *_ = self.call(scope, {"type": "http.request", "body": b""})
        found = {}
        for name, value in start["headers"]:
            found.setdefault(name.decode().lower(), []).append(value.decode())
        return start["status"], found

    def connect(self, headers=(), host=HOST, path="/_nicegui_ws/socket.io/", query=b""):
        """Return the type of what a websocket is answered."""
        scope = {
            "type": "websocket",
            "path": path,
            "query_string": query,
            "headers": [(b"host", host), *headers],
        }
        (answer,) = self.call(scope, {"type": "websocket.connect"})
        return answer["type"]

    def log_in(self):
        """Give the token, and return the header with the cookie."""
        status, headers = self.get(query=f"token={TOKEN}".encode())
        assert status == 303
        return b"cookie", headers["set-cookie"][0].partition(";")[0].encode()


@pytest.fixture
def client():
    return Client()


@pytest.fixture
def cookie(client):
    return client.log_in()


def origin(value):
    return b"origin", value


OWN = origin(b"http://127.0.0.1:8123")
FOREIGN_HOSTS = [
    b"evil.example",
    b"evil.example:8123",
    b"127.0.0.1",
    b"127.0.0.1:8124",
    b"localhost",
    b"0.0.0.0:8123",
    b"[::1]:8123",
    b"127.0.0.1:8123.evil.example",
    b"127.0.0.1:8123@evil.example",
    b" 127.0.0.1:8123",
    b"LOCALHOST:8123",
    b"",
    b"\xff\xfe:8123",
    None,
]
FOREIGN_ORIGINS = [
    b"http://evil.example",
    b"http://127.0.0.1:8888",
    b"http://localhost",
    b"https://127.0.0.1:8123",
    b"http://127.0.0.1:8123/",
    b"http://127.0.0.1:8123.evil.example",
    b"null",
    b"",
    b"\xe9",
]


# The token and the cookie.


def test_the_token_works_once_and_becomes_a_cookie(client):
    status, headers = client.get(query=f"token={TOKEN}".encode())
    assert status == 303
    assert headers["location"] == ["/"]  # the token is no longer in the address
    (text,) = headers["set-cookie"]
    (cookie,) = SimpleCookie(text).values()
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Strict", "/")
    assert len(cookie.value) >= 40
    assert TOKEN not in text
    assert cookie["domain"] == ""
    assert client.get(query=f"token={TOKEN}".encode())[0] == 403
    assert client.get(headers=[(b"cookie", f"{cookie.key}={cookie.value}".encode())])[0] == 200
    assert [scope["path"] for scope in client.page.scopes] == ["/"]


@pytest.mark.parametrize("host", [b"127.0.0.1:8123", b"localhost:8123"])
def test_both_names_of_this_machine_are_let_in(client, host):
    status, headers = client.get(query=f"token={TOKEN}".encode(), host=host)
    assert status == 303
    cookie = (b"cookie", headers["set-cookie"][0].partition(";")[0].encode())
    assert client.get(headers=[cookie, origin(b"http://" + host)], host=host)[0] == 200


@pytest.mark.parametrize(
    "query",
    [
        b"",
        b"token=",
        b"token",
        b"token=wrong",
        b"token=TOKEN-OF-THIS-TEST",
        b"token=token-of-this-tes",
        b"token=token-of-this-test2",
        b"Token=token-of-this-test",
        b"token=wrong&token=token-of-this-test",
        b"token=%ff%fe",
        b"token=\xff\xfe",
        b"token=%ud83d%00",
        "token=\u00e9\u65e5".encode(),
        b"%",
        b"&" * 1000,
    ],
)
def test_without_the_token_nobody_is_let_in_and_the_token_still_works(client, query):
    status, headers = client.get(query=query)
    assert status == 403
    assert "set-cookie" not in headers
    assert client.page.scopes == []
    assert client.get(query=f"token={TOKEN}".encode())[0] == 303


@pytest.mark.parametrize("path", ["/tile/0/0/0/0", "//", "/index.html", ""])
def test_the_token_opens_the_first_page_alone(client, path):
    assert client.get(path, f"token={TOKEN}".encode())[0] == 403
    assert client.guard.token == TOKEN


def test_a_foreign_page_cannot_use_up_the_token(client):
    query = f"token={TOKEN}".encode()
    assert client.get(query=query, host=b"evil.example:8123")[0] == 403
    assert client.get(query=query, headers=[origin(b"http://evil.example")])[0] == 403
    assert client.connect([OWN], path="/", query=query) == "websocket.close"
    assert client.get(query=query)[0] == 303


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"skcount",
        b"skcount=",
        b"skcount=wrong",
        b"skcount=token-of-this-test",
        b"other=SESSION",
        b"Skcount=SESSION",
        b"skcount=SESSIONx",
        b"skcount=\xe9\xff",
        b'skcount="\\377"',
        b"skcount=SESSION; skcount=wrong",
        b"expires=x; skcount",
        b"sk count=SESSION",
        b"=; ; =;",
        b";" * 5000,
        b"skcount=" + b"a" * 100_000,
        b"skcount=\0; a=\x01",
    ],
)
def test_a_wrong_cookie_is_refused(client, value):
    name = client.log_in()[1].split(b"=")[0]
    value = value.replace(b"skcount", name).replace(b"SESSION", client.guard.session.encode())
    assert client.get(headers=[(b"cookie", value)])[0] == 403
    assert client.connect([OWN, (b"cookie", value)]) == "websocket.close"


def test_the_cookie_is_found_among_those_of_other_pages(client, cookie):
    _, value = cookie
    assert (
        client.get(headers=[(b"cookie", b"_xsrf=2|a; " + value + b"; username-localhost-8888=b")])[0] == 200
    )


def test_two_pages_on_this_machine_have_cookies_of_their_own():
    # Browsers send the cookies of a machine to all of its ports: with one name, the second page would end the first.
    names = []
    for port in (8123, 8124):
        client = Client()
        client.guard = Guard(client.page, TOKEN, port)
        _, headers = client.get(query=f"token={TOKEN}".encode(), host=f"127.0.0.1:{port}".encode())
        names.append(headers["set-cookie"][0].partition("=")[0])
    assert names[0] != names[1]


# Other sites.


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
def test_a_foreign_host_is_refused_even_with_the_cookie(client, cookie, host):
    assert client.get(headers=[cookie], host=host)[0] == 403
    if host is not None:
        assert client.connect([cookie, origin(b"http://" + host)], host) == "websocket.close"
        assert client.connect([cookie, OWN], host) == "websocket.close"
    assert client.page.scopes == []


@pytest.mark.parametrize("value", FOREIGN_ORIGINS)
def test_a_foreign_origin_is_refused_even_with_the_cookie(client, cookie, value):
    assert client.get(headers=[cookie, origin(value)])[0] == 403
    assert client.connect([cookie, origin(value)]) == "websocket.close"
    assert client.page.scopes == []


def test_a_websocket_needs_origin_and_cookie(client, cookie):
    assert client.connect([cookie]) == "websocket.close"
    assert client.connect([OWN]) == "websocket.close"
    assert client.connect() == "websocket.close"
    assert client.page.scopes == []
    assert client.connect([OWN, cookie]) == "websocket.accept"


def test_the_start_of_the_server_is_passed_on(client):
    assert client.call({"type": "lifespan"}, {"type": "lifespan.startup"}) == []
    assert client.page.scopes == [{"type": "lifespan"}]


# The size of a request.


@pytest.mark.parametrize(
    "value",
    [str(LARGEST + 1).encode(), b"9" * 9, b"9" * 50, b"-1", b"+5", b"1e3", b"0x10", b" 5", b"5, 5", b"", b"\xb2", b"\xff"],
)  # fmt: skip
def test_a_large_or_malformed_length_is_refused(client, cookie, value):
    assert client.get(headers=[cookie, (b"content-length", value)], method="POST")[0] == 413
    assert client.page.scopes == []


@pytest.mark.parametrize("value", [b"0", b"17", str(LARGEST).encode()])
def test_a_small_length_is_accepted(client, cookie, value):
    assert client.get(headers=[cookie, (b"content-length", value)], method="POST")[0] == 200


@pytest.mark.parametrize("encoding", [b"chunked", b"gzip, chunked", b"identity", b""])
def test_a_request_in_chunks_has_no_length_and_is_refused(client, cookie, encoding):
    assert client.get(headers=[cookie, (b"transfer-encoding", encoding)], method="POST")[0] == 413


def test_a_request_in_chunks_is_refused_whatever_length_it_claims(client, cookie):
    # Servers follow the chunks, and ignore the length.
    claimed = [(b"content-length", b"5"), (b"transfer-encoding", b"chunked")]
    assert client.get(headers=[cookie, *claimed], method="POST")[0] == 413


# The headers of every answer.


def assert_safe(headers):
    """Check the headers that every answer has, each once."""
    assert headers["cache-control"] == ["no-store"]
    assert headers["referrer-policy"] == ["no-referrer"]
    assert headers["x-content-type-options"] == ["nosniff"]
    (policy,) = headers["content-security-policy"]
    rules = {name: sources for name, *sources in map(str.split, policy.split(";"))}
    assert (
        rules["default-src"]
        == rules["connect-src"]
        == rules["base-uri"]
        == rules["form-action"]
        == ["'self'"]
    )
    assert rules["object-src"] == ["'none'"]
    assert rules["frame-ancestors"] == ["'self'"]
    known = {"'self'", "'none'", "'unsafe-inline'", "'unsafe-eval'", "data:", "blob:"}
    assert {source for sources in rules.values() for source in sources} <= known  # no host, no scheme, no *
    assert not re.search(r"[*/]|https?|//", policy)


def test_every_answer_has_the_headers(client):
    cookie = client.log_in()
    for query in (b"", b"token=wrong"):
        assert_safe(client.get(query=query)[1])
    assert_safe(Client().get(query=f"token={TOKEN}".encode())[1])
    assert_safe(client.get(host=b"evil.example")[1])
    assert_safe(client.get(headers=[(b"content-length", b"9" * 9)])[1])
    status, headers = client.get(headers=[cookie])
    assert status == 200
    assert_safe(headers)
    assert (headers["content-type"], headers["x-own"]) == (["text/html"], ["kept"])  # those of the page stay


def test_a_notebook_may_show_the_page_in_a_frame():
    policy = HEADERS["content-security-policy"].replace(
        "frame-ancestors 'self'", "frame-ancestors http://localhost:*"
    )
    client = Client(HEADERS | {"content-security-policy": policy})
    _, headers = client.get(headers=[client.log_in()])
    assert headers["content-security-policy"] == [policy]
    assert headers["cache-control"] == ["no-store"]


def test_a_refusal_says_what_to_do_and_nothing_of_what_is_there(client):
    scope = {"type": "http", "path": "/", "query_string": b"token=<script>", "headers": [(b"host", HOST)]}
    start, body = client.call(scope, {"type": "http.request"})
    assert dict(start["headers"])[b"content-type"] == b"text/plain; charset=utf-8"
    assert b"Open the address that skcount annotate has printed" in body["body"]
    assert b"script" not in body["body"]
    assert TOKEN.encode() not in body["body"]


# Anything at all.


def test_a_thousand_malformed_requests_are_refused_without_an_error(client, cookie):
    rng, session = random.Random(0), cookie[1]  # noqa: S311 - no secret
    names = [
        b"host",
        b"origin",
        b"cookie",
        b"content-length",
        b"transfer-encoding",
        b"referer",
        b"\xff\xfe",
        b"",
        b"X",
    ]
    pieces = [
        HOST, b"evil.example", b"http://127.0.0.1:8123", b"skcount=", session[:-1], b"\0", b"\r\n", b"\xff", b"=", b";",
        b'"', b"\\", b"%", b"5", b"chunked", b"token=", TOKEN.encode(), b"&", b"\xc3\xa9", b" ", b",",
    ]  # fmt: skip
    statuses = set()
    for _ in range(1000):
        headers = [
            (rng.choice(names), b"".join(rng.choices(pieces, k=rng.randrange(5))))
            for _ in range(rng.randrange(6))
        ]
        host = rng.choice([HOST, None, b"".join(rng.choices(pieces, k=2))])
        query = b"".join(rng.choices(pieces, k=rng.randrange(6)))
        path = rng.choice(["/", "", "/..", "/tile/0/0/0/0", "/\u00e9", "//evil.example"])
        status, found = client.get(path, query, headers, host)
        statuses.add(status)
        assert_safe(found)
        if host is not None:
            assert client.connect(headers, host, path, query) == "websocket.close"
    assert statuses == {403, 413}
    assert client.page.scopes == []
    assert client.get(headers=[cookie])[0] == 200  # it still lets the browser in


# Importing.


@pytest.mark.parametrize("module", ["skcount.annotate", "skcount.cli._annotate"])
def test_the_server_is_imported_only_when_the_page_is_served(module):
    pytest.importorskip("click")
    code = (
        f"import sys, {module}\n"
        "print([name for name in ('nicegui', 'fastapi', 'starlette', 'uvicorn', 'PIL') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout.strip() == "[]"
