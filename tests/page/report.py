#!/usr/bin/env python3
"""report.py CHROMIUM KEPT [--accept] [--shots FOLDER] PAGE.html...: reports as a browser shows them, light and dark, 1280 and
390 pixels wide.

Of each page in each shape: nothing sticks out sideways, no letter is smaller than 11 pixels, all words and lines stand
out against what is behind them, numbers of an axis are apart, every dot and bar says what it is, no title comes twice, no
JSON is left, what scrolls has room, and the browser complains of nothing and loads nothing. Of a page that KEPT has a picture of (NAME-SCHEME-WIDTH.png)
the first drawing must look like it, block by block: inside a drawing there are no letters, so that fonts do not matter.
--accept writes those pictures; --shots writes the whole pages, to be looked at.

The browser is driven by its own protocol over a pipe (chromium --remote-debugging-pipe): nothing else is needed.
"""
import base64
import json
import os
import struct
import subprocess
import sys
import tempfile
import zlib

SHAPES = [(scheme, width) for scheme in ("light", "dark") for width in (1280, 390)]
BLOCKS = (48, 20)  # a drawing in so many blocks, as it is kept
MOST_OFF, MEAN_OFF = 30, 4  # of 255, by block: a line that is missing gives 52 at least

failures = 0


def check(what, is_true, detail=""):
    global failures
    if not is_true:
        failures += 1
        print("FAILED  %s: %s" % (what, detail))


# ---- the browser ------------------------------------------------------------------------------------


class Browser:
    def __init__(self, path):
        self.folder = tempfile.TemporaryDirectory(prefix="nlsh-chromium")
        to_read, self.to_write = os.pipe()
        self.to_read, to_write = os.pipe()

        def arrange():  # it reads from 3 and writes to 4
            a, b = os.dup(to_read), os.dup(to_write)
            os.dup2(a, 3)
            os.dup2(b, 4)

        self.process = subprocess.Popen(
            [path, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
             "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
             "--remote-debugging-pipe", "--user-data-dir=" + self.folder.name, "about:blank"],
            preexec_fn=arrange, close_fds=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        os.close(to_read)
        os.close(to_write)
        self.number, self.rest, self.events, self.session = 0, b"", [], None

    def read(self):
        while b"\0" not in self.rest:
            more = os.read(self.to_read, 1 << 16)
            if not more:
                raise SystemExit("chromium ended, with %s" % self.process.wait())
            self.rest += more
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to_write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.read()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise SystemExit("%s: %s" % (method, answer["error"]))
                return answer["result"]
            self.events.append(answer)

    def wait(self, method):
        while not any(e.get("method") == method for e in self.events):
            self.events.append(self.read())

    def ask(self, script):
        answer = self.call("Runtime.evaluate", expression="(() => {%s})()" % script, returnByValue=True)
        if "exceptionDetails" in answer:
            raise SystemExit("the test's own script: %s" % answer["exceptionDetails"])
        return answer["result"].get("value")

    def open(self, path):
        self.events = []
        self.call("Page.navigate", url="file://" + os.path.abspath(path))
        self.wait("Page.loadEventFired")

    def begin(self):
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(domain + ".enable")

    def shape(self, scheme, width):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def shot(self, clip=None):
        parameters = {"format": "png", "captureBeyondViewport": True}
        if clip:
            parameters["clip"] = dict(clip, scale=1)
        return base64.b64decode(self.call("Page.captureScreenshot", **parameters)["data"])

    def end(self):
        self.session = None
        self.call("Browser.close")
        self.process.wait()
        self.folder.cleanup()


# ---- pictures ---------------------------------------------------------------------------------------


def read_png(data):
    """Rows of bytes and the bytes a pixel, of a PNG of 8 bits RGB or RGBA."""
    at, packed = 8, b""
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", data[at + 8:at + 18])
        if kind == b"IDAT":
            packed += data[at + 8:at + 8 + length]
        at += length + 12
    n = {2: 3, 6: 4}[colour]
    raw, before, rows = zlib.decompress(packed), bytearray(width * n), []
    for y in range(height):
        kind, row = raw[y * (width * n + 1)], bytearray(raw[y * (width * n + 1) + 1:(y + 1) * (width * n + 1)])
        for i in range(len(row)) if kind else ():  # PNG (RFC 2083), section 6
            left, up = row[i - n] if i >= n else 0, before[i]
            corner = before[i - n] if i >= n else 0
            guess = left + up - corner
            nearest = min((abs(guess - v), k) for k, v in enumerate((left, up, corner)))[1]
            row[i] = (row[i] + (left, up, (left + up) // 2, (left, up, corner)[nearest])[kind - 1]) & 255
        rows.append(row)
        before = row
    return rows, n


def write_png(path, blocks):
    columns, rows = BLOCKS
    raw = b"".join(b"\0" + bytes(v for x in range(columns) for v in blocks[y * columns + x]) for y in range(rows))
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        for kind, data in ((b"IHDR", struct.pack(">IIBBBBB", columns, rows, 8, 2, 0, 0, 0)),
                           (b"IDAT", zlib.compress(raw, 9)), (b"IEND", b"")):
            file.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))


def blocks_of(data):
    """The mean colour of each block of a picture."""
    rows, n = read_png(data)
    columns, lines = BLOCKS
    width, height = len(rows[0]) // n, len(rows)
    out = []
    for y in range(lines):
        for x in range(columns):
            part = [row[n * (x * width // columns):n * ((x + 1) * width // columns)]
                    for row in rows[y * height // lines:(y + 1) * height // lines]]
            size = sum(len(p) // n for p in part)
            out.append([sum(sum(p[c::n]) for p in part) // size for c in range(3)])
    return out


def compare(browser, kept, name, accept):
    if not accept and not os.path.exists(kept):
        return
    box = browser.ask("const b = document.querySelector('.plot').getBoundingClientRect();"
                      "return {x: b.x + scrollX, y: b.y + scrollY, width: b.width, height: b.height}")
    blocks = blocks_of(browser.shot(box))
    if accept:
        write_png(kept, blocks)
        return
    with open(kept, "rb") as file:
        wanted = blocks_of(file.read())
    off = [max(abs(a - b) for a, b in zip(p, q)) for p, q in zip(blocks, wanted)]
    check(name + ": the drawing looks as it was kept", max(off) <= MOST_OFF and sum(off) / len(off) <= MEAN_OFF,
          "most %d, mean %.1f of 255" % (max(off), sum(off) / len(off)))


# ---- the rules --------------------------------------------------------------------------------------

RULES = r"""
const wrong = {};
const tell = (rule, what) => (wrong[rule] = wrong[rule] || []).push(what);
const channel = (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
const colour = (text) => { const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number); return {r, g, b, a}; };
const light = ({r, g, b}) => 0.2126 * channel(r / 255) + 0.7152 * channel(g / 255) + 0.0722 * channel(b / 255);
const behind = (node) => {
  for (let e = node; e; e = e.parentElement) { const c = colour(getComputedStyle(e).backgroundColor); if (c.a === 1) return c; }
  return {r: 255, g: 255, b: 255};
};
const contrast = (text, node) => {
  const [a, b] = [light(colour(text)), light(behind(node))];
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
};
for (const d of document.querySelectorAll('details')) d.open = true;
if (document.scrollingElement.scrollWidth > innerWidth) tell('nothing sticks out sideways', document.scrollingElement.scrollWidth + ' of ' + innerWidth);

const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
let letters = 0;
for (let node; (node = walker.nextNode());) {
  const e = node.parentElement, style = getComputedStyle(e), words = node.textContent.trim();
  if (!words || e.closest('title, defs, style') || style.display === 'none' || !e.getClientRects().length) continue;
  const matrix = e instanceof SVGGraphicsElement ? e.getScreenCTM() : null;
  const size = parseFloat(style.fontSize) * (matrix ? Math.sqrt(Math.abs(matrix.a * matrix.d - matrix.b * matrix.c)) : 1);
  const ink = matrix ? style.fill : style.color;
  letters++;
  if (size < 11) tell('no letter is smaller than 11 pixels', words + ': ' + size);
  if (contrast(ink, e) < 4.5) tell('words have a contrast of 4.5', words + ': ' + contrast(ink, e).toFixed(2));
  if (/[{\[]"/.test(words)) tell('no JSON is left', words.slice(0, 60));
  const box = e.getBoundingClientRect();
  if (!e.closest('.scroll') && (box.left < 0 || box.right > innerWidth)) tell('no word is cut at the edge', words + ': ' + box.left + ' to ' + box.right);
}
if (letters < 10) tell('there are words', letters);

let marks = 0;
for (const e of document.querySelectorAll('.plot use, .plot rect, .plot path')) {
  const style = getComputedStyle(e), is_line = e.tagName === 'path', ink = is_line ? style.stroke : style.fill;
  if (style.opacity === '1' && contrast(ink, e) < 4.5) tell('lines and dots have a contrast of 4.5', e.className.baseVal + ': ' + contrast(ink, e).toFixed(2));
  if (is_line) continue;
  marks++;
  const says = e.querySelector('title');
  if (!says || says.textContent.split('\n').some((line) => !line.trim())) tell('every dot and bar says what it is', e.outerHTML);
}
for (const plot of document.querySelectorAll('.plot')) {
  for (const axis of ['x', 'y']) {
    const boxes = [...plot.querySelectorAll('text.' + axis)].filter((t) => t.textContent && t.getClientRects().length)
      .map((t) => [t.textContent, t.getBoundingClientRect()]);
    if (plot.querySelector('text.x') && boxes.length < 2) tell('an axis has two numbers at least', plot.getAttribute('aria-label'));
    for (let i = 1; i < boxes.length; i++) {
      const [[a, p], [b, q]] = [boxes[i - 1], boxes[i]];
      if (axis === 'x' ? q.left < p.right + 2 : q.bottom > p.top + 3) tell('numbers of an axis are apart', a + ' ' + b);
    }
  }
}
for (const box of document.querySelectorAll('.scroll')) {
  const first = box.querySelector('tbody > tr > :first-child');
  if (first && first.getBoundingClientRect().width > 0.6 * box.clientWidth) tell('what scrolls has room beside what stays', first.textContent.slice(0, 60));
}
const titles = [...document.querySelectorAll('h1, h2, h3')].map((h) => h.textContent);
if (document.querySelectorAll('h1').length !== 1) tell('there is one title', titles);
for (const t of new Set(titles)) if (titles.filter((o) => o === t).length > 1 && document.querySelectorAll('h2[id]').length === 0) tell('a title comes once', t);
const verdict = document.querySelector('.verdict p');
if (!verdict || !/\d/.test(verdict.textContent)) tell('the verdict has numbers', verdict && verdict.textContent);
if (verdict && verdict.getBoundingClientRect().top + scrollY > 450) tell('the verdict is on top', verdict.getBoundingClientRect().top);
for (const d of document.querySelectorAll('details')) d.open = false;
return {wrong, marks};
"""

HOVER = r"""
const dot = document.querySelector('.plot use');
if (!dot) return true;
dot.scrollIntoView({block: 'center'});
const b = dot.getBoundingClientRect(), met = document.elementFromPoint(b.x + b.width / 2, b.y + b.height / 2);
const met_use = met && met.closest('use');
scrollTo(0, 0);
return !!(met_use && met_use.querySelector('title'));
"""


def look_at(browser, page, kept, accept, shots):
    base = os.path.splitext(os.path.basename(page))[0]
    browser.open(page)
    n_marks = 0
    for scheme, width in SHAPES:
        name = "%s, %s, %d wide" % (base, scheme, width)
        browser.shape(scheme, width)
        if shots:
            with open(os.path.join(shots, "%s-%s-%d.png" % (base, scheme, width)), "wb") as file:
                file.write(browser.shot())
        found = browser.ask(RULES)
        for rule, details in found["wrong"].items():
            check("%s: %s" % (name, rule), False, "; ".join(str(d) for d in details[:5]))
        check(name + ": a dot is met by the mouse", browser.ask(HOVER))
        n_marks = found["marks"]
        compare(browser, os.path.join(kept, "%s-%s-%d.png" % (base, scheme, width)), name, accept)
    for event in browser.events:
        if event.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled"):
            check(base + ": the browser does not complain", False, json.dumps(event["params"])[:300])
        if event.get("method") == "Network.requestWillBeSent":
            url = event["params"]["request"]["url"]
            check(base + ": nothing is loaded", url == "file://" + os.path.abspath(page), url[:100])
    print("%-12s %3d dots and bars" % (base, n_marks))


def main():
    arguments, accept, shots = sys.argv[1:], False, None
    chromium, kept, pages = arguments[0], arguments[1], []
    rest = iter(arguments[2:])
    for word in rest:
        if word == "--accept":
            accept = True
        elif word == "--shots":
            shots = next(rest)
        else:
            pages.append(word)
    browser = Browser(chromium)
    browser.begin()
    for page in pages:
        look_at(browser, page, kept, accept, shots)
    browser.end()
    print("%d pages in %d shapes, %d failures" % (len(pages), len(SHAPES), failures))
    sys.exit(failures != 0)


main()
