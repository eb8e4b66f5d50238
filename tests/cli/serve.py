"""serve.py URL WHAT [ARGUMENT]: a client of `nlsh serve` for test_serve.sh. Fails loudly where an answer is not what it must be."""
import http.client
import json
import os
import random
import signal
import socket
import struct
import sys
import time
import urllib.parse

url = urllib.parse.urlsplit(sys.argv[1])
DIM = 16
ONES = [50 + d for d in range(DIM)]


def request(method, path, body=None, headers=None, media="application/json"):
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=20)
    headers = dict(headers or {})
    if body is not None:
        headers.setdefault("Content-Type", media)
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    bytes_ = answer.read()
    connection.close()
    return answer.status, bytes_, answer


def good(method, path, body=None, **more):
    code, bytes_, _ = request(method, path, body, **more)
    assert code == 200, (path, code, bytes_)
    return json.loads(bytes_)


def bad(code, says, method, path, body=None, **more):
    got, bytes_, answer = request(method, path, body, **more)
    assert got == code, (path, body if body is None else str(body)[:80], got, bytes_)
    assert answer.getheader("Content-Type") == "application/json"
    assert says in json.loads(bytes_)["error"], bytes_


def raw_socket():
    return socket.create_connection((url.hostname, url.port), timeout=20)


def vectors_of(path):
    with open(path, "rb") as file:
        bytes_ = file.read()
    n = len(bytes_) // (4 + 4 * DIM)
    return [list(struct.unpack_from("<%df" % DIM, bytes_, i * (4 + 4 * DIM) + 4)) for i in range(n)]


def search():
    """JSON and raw bytes answer alike, one by one and together, and as `nlsh search` does."""
    queries = vectors_of("query.fvecs")
    together = good("POST", "/v1/search", {"vectors": queries, "k": 3})
    for i, query in enumerate(queries):
        one = good("POST", "/v1/search", {"vector": query, "k": 3})
        raw = good("POST", "/v1/search?k=3", struct.pack("<%df" % DIM, *query), media="application/octet-stream")
        for name in "keys", "distances", "candidates", "buckets":
            assert one[name] == raw[name] == [together[name][i]], (name, i)
    exact = good("POST", "/v1/search", {"vectors": queries, "k": 3, "probes": 8})
    base = vectors_of("base.fvecs")
    for query, keys in zip(queries, exact["keys"]):
        near = sorted(range(len(base)), key=lambda i: (sum((a - b) ** 2 for a, b in zip(base[i], query)), i))
        assert keys == near[:3], (keys, near[:3])
    info = good("GET", "/v1/info")
    assert info["vectors"] == 600 and info["dim"] == DIM and info["image"] == [4, 4] and not info["writes"], info
    assert "small" not in json.dumps(info), "a path is nobody's business"
    code, metrics, answer = request("GET", "/metrics")
    assert code == 200 and answer.getheader("Content-Type").startswith("text/plain; version=0.0.4")
    lines = dict(line.rsplit(" ", 1) for line in metrics.decode().splitlines() if line[0] != "#")
    assert lines['nlsh_requests_total{route="/v1/search",code="2xx"}'] == str(2 * len(queries) + 2), lines
    assert lines["nlsh_queries_total"] == str(4 * len(queries))
    assert lines["nlsh_search_request_seconds_count"] == lines['nlsh_search_request_seconds_bucket{le="+Inf"}']


def holds(n):
    """Soon: it looks four times a second."""
    end = time.monotonic() + 10
    while good("GET", "/v1/info")["vectors"] != int(n):
        assert time.monotonic() < end, good("GET", "/v1/info")
        time.sleep(.05)


def search_once():
    assert len(good("POST", "/v1/search", {"vector": ONES, "k": 3})["keys"][0]) == 3


def wrong():
    bad(400, "the JSON ends", "POST", "/v1/search", b"{")
    bad(400, "\"quux\" means nothing", "POST", "/v1/search", {"quux": 1})
    bad(400, "fewer values; the index has 16", "POST", "/v1/search", {"vector": [1]})
    bad(400, "k is 1001", "POST", "/v1/search", {"vector": ONES, "k": 1001})
    bad(400, "k is 700 for an index of 600", "POST", "/v1/search", {"vector": ONES, "k": 700})
    bad(400, "recall is 2", "POST", "/v1/search", {"vector": ONES, "recall": 2})
    bad(403, "only searches", "POST", "/v1/add", {"vectors": [ONES]})
    bad(404, "nothing at this path", "GET", "/small.nlsh")
    bad(404, "nothing at this path", "GET", "/../small.nlsh")
    bad(404, "nothing at this path", "GET", "/%2e%2e/small.nlsh")
    bad(405, "for POST", "GET", "/v1/search")
    bad(415, "Content-Type", "POST", "/v1/search", b"{}", media="text/plain")
    bad(403, "loopback", "GET", "/v1/info", headers={"Host": "evil.example"})
    bad(403, "other servers", "POST", "/v1/search", {"vector": ONES}, headers={"Origin": "http://evil.example"})
    with raw_socket() as s:  # HEAD has no body, and the connection lives on
        s.sendall(b"HEAD /v1/info HTTP/1.1\r\nHost: localhost\r\n\r\nGET /v1/quux HTTP/1.1\r\nHost: localhost\r\n\r\n")
        got = b""
        while b"nothing at this path" not in got:
            more = s.recv(65536)
            assert more, got
            got += more
        assert got.startswith(b"HTTP/1.1 200")


def unclear():
    """Heads that two servers could read in two ways, and what would be passed over in silence."""
    body = json.dumps({"vector": ONES}).encode()
    length, chunked = b"Content-Length: %d\r\n" % len(body), b"Transfer-Encoding: chunked\r\n"
    for code, says, lines in [
        (400, b"how long", length + b"Content-Length: 1\r\n"), (400, b"how long", length + chunked),
        (501, b"chunked", b"Transfer-Encoding: gzip\r\n"), (501, b"chunked", b"Transfer-Encoding: gzip, chunked\r\n"),
        (400, b"said twice", b"Host: evil.example\r\n" + length), (400, b"said twice", b"Content-Type: text/plain\r\n" + length),
        (400, b"does not allow", b"Content-Length : 5\r\n" + length), (400, b"does not allow", b"a b: c\r\n" + length),
    ]:
        with raw_socket() as s:
            s.settimeout(5)
            s.sendall(b"POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" + lines + b"\r\n")
            got = b""
            while True:  # it hangs up
                try:
                    more = s.recv(65536)
                except ConnectionResetError:
                    break
                if not more:
                    break
                got += more
            assert got.startswith(b"HTTP/1.1 %d" % code) and says in got and got.count(b"HTTP/1.1") == 1, (lines, got)
    raw = struct.pack("<%df" % DIM, *ONES)
    for says, path in ("means nothing", "?recal=.5"), ("means nothing", "?keys=1"), ("said twice", "?k=1&k=2"), ("no value", "?k"), ("behind its value", "?k=1%00"):
        bad(400, says, "POST", "/v1/search" + path, raw, media="application/octet-stream")
    bad(400, "means nothing", "POST", "/v1/search?k=2", {"vector": ONES})
    bad(404, "nothing at this path", "GET", "/v1/info%00x")
    lines = request("GET", "/metrics")[1].decode()
    assert 'route="other",code="4xx"' in lines


def other_dimension():
    """Another index has come to its place: what was a picture is none now."""
    end = time.monotonic() + 10
    while good("GET", "/v1/info")["dim"] == DIM:
        assert time.monotonic() < end
        time.sleep(.05)
    info = good("GET", "/v1/info")
    assert info["dim"] == 8 and "image" not in info, info
    bad(404, "no pictures", "GET", "/v1/images?rows=1")
    code, bytes_, _ = request("POST", "/v1/explain?pictures=1", {"row": 7, "k": 5})
    assert code == 200 and json.loads(bytes_)["neighbors"][0]["row"] == 7


def gone():
    """Another file has come to the place of the one that is written to: nothing is called durable any more."""
    bad(507, "could not write", "POST", "/v1/add", {"vectors": [ONES]})
    bad(507, "could not write", "POST", "/v1/delete", {"keys": [1]})
    search_once()


def garbage():
    random.seed(1)
    for i in range(200):
        with raw_socket() as s:
            try:
                s.sendall(bytes(random.randrange(256) for _ in range(1 + i * 7)))
            except OSError:
                pass  # it has hung up, as it may
    good("GET", "/v1/info")


def page():
    code, bytes_, answer = request("GET", "/")
    assert code == 200 and b"<canvas" in bytes_
    policy = answer.getheader("Content-Security-Policy")
    assert "default-src 'none'" in policy and "unsafe" not in policy, policy
    assert b"<style" not in bytes_ and b" style=" not in bytes_ and b"http://" not in bytes_.replace(b"http://www.w3.org", b"")
    for path in "/page.js", "/page.css", "/icon.svg":
        assert request("GET", path)[0] == 200
    answer = good("POST", "/v1/explain", {"row": 7, "k": 5, "exact": True})
    assert answer["neighbors"][0]["row"] == 7 and len(answer["exact"]) == 5 and 0 <= answer["recall"] <= 1
    assert abs(sum(bucket["probability"] for bucket in answer["buckets"]) - 1) < 1e-3  # all eight of them
    assert sum(bucket["scanned"] for bucket in answer["buckets"]) == len(answer["scanned"]) >= 1
    rows = [row for bucket in answer["buckets"] for row in bucket["rows"]]
    images = request("GET", "/v1/images?rows=" + ",".join(map(str, rows)))[1]
    assert len(images) == DIM * len(rows)
    code, bytes_, _ = request("POST", "/v1/explain?pictures=1", {"row": 7, "k": 5, "exact": True})
    n = 4 + int.from_bytes(bytes_[:4], "little")
    same = json.loads(bytes_[4:n])
    rows = [one["row"] for one in same["neighbors"] + same["exact"]]
    assert code == 200 and rows == [one["row"] for one in answer["neighbors"] + answer["exact"]]
    assert bytes_[n:] == request("GET", "/v1/images?rows=" + ",".join(map(str, rows)))[1]
    assert len(good("GET", "/v1/map")["buckets"]) == 8


def change():
    assert good("POST", "/v1/add", {"vectors": [ONES], "keys": [5000]}) == {"added": 1, "first_key": 5000, "vectors": 601}
    assert good("POST", "/v1/search", {"vector": ONES, "k": 1})["keys"] == [[5000]]
    raw = struct.pack("<%df" % DIM, *ONES)
    assert good("POST", "/v1/add", raw, media="application/octet-stream")["first_key"] == 5001
    assert good("POST", "/v1/delete", {"keys": [5000, 9]}) == {"keys": 2, "deleted": 2, "vectors": 600}
    assert good("POST", "/v1/search", {"vector": ONES, "k": 1})["keys"] == [[5001]]
    assert good("POST", "/v1/add", {"vectors": [ONES], "keys": ["18446744073709551614"]})["vectors"] == 601
    bad(400, "there are not 1 free keys", "POST", "/v1/add", {"vectors": [ONES]})
    bad(400, "key 0", "POST", "/v1/delete", {"keys": [-1]})


def limits():
    bad(400, "from 1 to 40", "POST", "/v1/search", {"vector": ONES, "k": 41})
    bad(413, "larger than 1048576", "POST", "/v1/search", b" " * (1 << 20) + b"{}")
    bad(400, "more than 1000 vectors", "POST", "/v1/search", {"vectors": [ONES] * 1001})


def crowd():
    """More large bodies at a time than there is room for: some are refused, and make room for the others."""
    sockets, codes = [raw_socket() for _ in range(40)], []
    head = b"POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    for s in sockets:
        s.sendall(head % 1000000)
    for _ in range(100):
        for s in sockets:
            s.sendall(b" " * 10000)
    for s in sockets:
        codes.append(s.recv(65536)[9:12])
        s.close()
    assert set(codes) == {b"400", b"503"} and codes.count(b"400") >= 8, codes


def token(secret):
    assert request("GET", "/")[0] == 200
    bad(401, "token", "GET", "/v1/info")
    bad(401, "token", "POST", "/v1/search", {"vector": ONES})
    bad(401, "token", "GET", "/metrics", headers={"Authorization": "Bearer " + secret + "x"})
    good("GET", "/v1/info", headers={"Authorization": "Bearer " + secret})


def slow():
    """A byte at a time: it is shown out, and others are answered meanwhile."""
    began = time.monotonic()
    with raw_socket() as s:
        s.settimeout(.05)
        while time.monotonic() - began < 15:
            try:
                s.sendall(b"G")
                if s.recv(1) == b"":
                    break
            except socket.timeout:
                pass
            except OSError:
                break
            good("GET", "/v1/info")
    assert time.monotonic() - began < 10


def half_at_the_end(pid):
    """A request that is half sent when the signal comes is answered all the same."""
    body = json.dumps({"vector": ONES}).encode()
    with raw_socket() as s:
        s.sendall(b"POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                  % len(body) + body[:10])
        time.sleep(.3)
        os.kill(int(pid), signal.SIGTERM)
        time.sleep(.4)
        s.sendall(body[10:])
        assert s.recv(65536).startswith(b"HTTP/1.1 200")


globals()[sys.argv[2]](*sys.argv[3:])
