"""rude.py URL SECONDS: 1,000 idle connections, half requests, garbage, and a byte now and then; and one client that
asks properly meanwhile. Fails where that one is not answered, or not within two seconds."""
import http.client
import random
import resource
import socket
import sys
import time
import urllib.parse

url = urllib.parse.urlsplit(sys.argv[1])
end = time.monotonic() + float(sys.argv[2])
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, max(4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
HALF = b"POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n{\"vec"


def connect():
    s = socket.create_connection((url.hostname, url.port), timeout=5)
    s.settimeout(.01)
    return s


def is_open(s):
    try:
        return s.recv(1) != b""
    except socket.timeout:
        return True
    except OSError:
        return False


def say(s, bytes_):
    try:
        s.sendall(bytes_)
    except OSError:
        pass


random.seed(1)
idle, n_closed, worst, n_asked = [], 0, 0, 0
while time.monotonic() < end:
    while len(idle) < 1000 and time.monotonic() < end:
        s = connect()
        say(s, random.choice([b"", b"", b"G", HALF, HALF[:40]]))
        idle.append(s)
    for s in random.sample(idle, 20):
        say(s, b"x")  # a byte of a head or a body, now and then
    for _ in range(20):
        s = connect()
        say(s, bytes(random.randrange(256) for _ in range(random.randrange(2000))))
        s.close()
    before = len(idle)
    for s in random.sample(idle, 60):
        if not is_open(s):
            s.close()
            idle.remove(s)
    n_closed += before - len(idle)
    began = time.monotonic()
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=20)
    connection.request("GET", "/v1/info")
    assert connection.getresponse().read().startswith(b"{")
    connection.close()
    n_asked += 1
    worst = max(worst, time.monotonic() - began)
    time.sleep(.2)
print("rude: %d connections held, %d were shown out, %d proper requests, the slowest in %.0f ms"
      % (len(idle), n_closed, n_asked, worst * 1000))
sys.exit(worst > 2)
