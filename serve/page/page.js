/*
 * page.js - draws what a search did. One question is under way at a time; what happens meanwhile is asked for together
 * when its answer is there, so the page is never behind by more than two answers. The exact answer takes the server a
 * hundred times as long, so it is asked for beside that, and painted when it comes.
 *
 * A browser without a graphics card paints a frame in 5 to 10 ms, most of it by the number of its layers and by what is laid
 * out anew. So a list's pictures are one canvas, on which those that changed are drawn; what is laid out keeps its size;
 * nothing asks for a layout while one draws; and words, which nobody reads ten times a second, follow at their own pace.
 */
"use strict";

const $ = (id) => document.getElementById(id);
const RECALLS = [.5, .6, .7, .8, .85, .9, .925, .95, .97, .98, .99, .995, .999];
const K = 10, N_BUCKETS = 10;
/* An exact search of so many values takes some 20 ms: beyond, it is not asked for before the pen rests. */
const LARGE = 4e8, REST_MS = 200;
/* Of others it is asked for five times a second at most: it takes the time of what is painted first. */
const EXACT_MS = 200;
const WORDS_MS = 150; /* between two times that sentences and names are written */

let info, map, token = sessionStorage.getItem("token");
let query = null; /* {row}, {vector: Float32Array}, or {is_drawn: true}, which gets its vector when it is asked for */
let file = 0, state = 0; /* of the index, as answers have them */

/* ---- asking the server ---- */

class Refused extends Error {}

async function ask(path, options = {}) {
  const headers = { ...options.headers };
  if (token) headers.Authorization = "Bearer " + token;
  const answer = await fetch(path, { ...options, headers });
  if (answer.ok) return answer;
  let words = {};
  try { words = await answer.json(); } catch { /* not ours */ }
  const error = new Refused(words.error || "The server answered " + answer.status);
  error.code = answer.status;
  error.hint = words.hint;
  throw error;
}

function trouble(error) {
  const is_lost = !(error instanceof Refused);
  if (is_lost) console.error(error);
  $("trouble").textContent = is_lost ? "The server does not answer. Is it still running?"
    : error.message + (error.hint ? ": " + error.hint : "");
  $("trouble").hidden = false;
}

/* ---- pictures ---- */

const pictures = new Map(); /* row -> bytes */

async function fetch_pictures(rows) {
  const missing = [...new Set(rows)].filter((row) => !pictures.has(row)).slice(0, 1000);
  if (!info.image || missing.length === 0) return;
  const bytes = new Uint8Array(await (await ask("v1/images?rows=" + missing.join())).arrayBuffer());
  if (pictures.size > 20000) pictures.clear();
  missing.forEach((row, i) => pictures.set(row, bytes.subarray(i * info.dim, (i + 1) * info.dim)));
}

/* Ink on paper: a value is how much ink there is. Small canvases that are written as bytes are quickest where no graphics
 * card has them. A missing picture is blank. */
function paint(canvas, ...all) {
  const [w, h] = info.image, n = all.length;
  if (canvas.width !== n * w || canvas.height !== h) {
    canvas.width = n * w;
    canvas.height = h;
  }
  const context = canvas.getContext("2d", { willReadFrequently: true }), image = context.createImageData(n * w, h);
  const to = new Uint32Array(image.data.buffer);
  all.forEach((bytes, at) => {
    for (let y = 0, i = 0; bytes && y < h; y++)
      for (let j = y * n * w + at * w, end = j + w; j < end; j++) to[j] = inks[bytes[i++]];
  });
  context.putImageData(image, 0, 0);
}

/* The pictures of a list's items, on one canvas over it. An item has a box for them, whose place is asked for when the
 * list's size has changed: repaint(). */
class Sheet {
  constructor(list) {
    this.list = list;
    this.canvas = document.createElement("canvas");
    this.canvas.className = "sheet";
    this.canvas.setAttribute("aria-hidden", "true");
    list.before(this.canvas);
    this.context = this.canvas.getContext("2d", { willReadFrequently: true });
    this.small = document.createElement("canvas");
    this.boxes = [];
    this.drawn = []; /* what stands in each box */
  }

  place() {
    const scale = window.devicePixelRatio || 1, all = this.list.getBoundingClientRect();
    this.canvas.width = Math.round(all.width * scale);
    this.canvas.height = Math.round(all.height * scale);
    this.boxes = [...this.list.children].map((item) => {
      const box = item.pictures.getBoundingClientRect();
      const edge = item.button ? 2 : 0; /* its frame */
      return [box.left - all.left + edge, box.top - all.top + edge, box.width - 2 * edge, box.height - 2 * edge].map((x) => Math.round(x * scale));
    });
    this.drawn = [];
  }

  /* Side by side in the item's box, as large as they fit. */
  draw(i, rows, alpha = 1) {
    const what = file + ":" + alpha + ":" + rows.join(), box = this.boxes[i];
    if (!box || this.drawn[i] === what) return;
    const all = rows.map((row) => pictures.get(row)), [w, h] = info.image, [x, y, width, height] = box;
    const scale = Math.min(width / (w * Math.max(1, rows.length)), height / h);
    this.drawn[i] = all.includes(undefined) ? null : what;
    this.context.clearRect(x, y, width, height);
    if (rows.length === 0) return;
    paint(this.small, ...all);
    this.context.imageSmoothingEnabled = scale < 1;
    this.context.globalAlpha = alpha;
    this.context.drawImage(this.small, x, y + Math.round((height - h * scale) / 2), Math.round(rows.length * w * scale), Math.round(h * scale));
  }
}

const sheets = {};
for (const id of ["found", "exact", "buckets"]) sheets[id] = new Sheet($(id));

/* ---- numbers in words ---- */

const count = (n) => n.toLocaleString("en");
const time = (us) => us < 10 ? us.toFixed(1) + "\u00a0µs" : us < 10000 ? count(Math.round(us)) + "\u00a0µs" : (us / 1000).toFixed(1) + "\u00a0ms";
const percent = (x) => x >= .1 ? (100 * x).toFixed(0) + "\u00a0%" : x >= .001 ? (100 * x).toFixed(1) + "\u00a0%" : x > 0 ? "<\u00a00.1\u00a0%" : "0\u00a0%";
const short = (x) => Math.abs(x) < 1e-9 ? "0" : Math.abs(x) >= 1000 ? count(Math.round(x)) : Number(x.toPrecision(4)).toString();
const recall_text = () => RECALLS[$("recall").value].toString().slice(1);

/* ---- lists ---- */

function child(parent, name, class_name) {
  const made = document.createElement(name);
  if (class_name) made.className = class_name;
  parent.append(made);
  return made;
}

function resize(list, n, make) {
  while (list.children.length > n) list.lastChild.remove();
  while (list.children.length < n) list.append(make());
}

/* Where it changes something only: a text that is set again is laid out again. */
function write(element, text) {
  if (element.text === text) return;
  element.text = text;
  element.textContent = text;
}

function new_neighbour() {
  const item = document.createElement("li"), button = child(item, "button");
  button.type = "button";
  item.button = item.pictures = button;
  item.small = child(item, "small");
  button.addEventListener("click", () => look_for({ row: item.row }));
  return item;
}

function show_neighbours(id, neighbours) {
  const list = $(id);
  resize(list, neighbours.length, new_neighbour);
  neighbours.forEach((one, i) => {
    const item = list.children[i], is_missed = one.found === false;
    item.row = one.row;
    item.one = one;
    if (item.is_missed !== is_missed) item.className = is_missed ? "miss" : "";
    item.is_missed = is_missed;
    if (info.image) sheets[id].draw(i, [one.row]);
    else write(item.button, String(one.key));
    write(item.small, is_missed ? "missed" : short(one.distance));
  });
}

function name_neighbours(list) {
  for (const { button, one, is_missed } of list.children) {
    const said = ", distance " + short(one.distance) + ", bucket " + one.bucket;
    button.title = "key " + one.key + said;
    button.setAttribute("aria-label", "Key " + one.key + said + (is_missed ? ", missed" : "") + ". Search for it");
  }
}

function new_bucket() {
  const item = document.createElement("li");
  item.name = child(item, "button", "name");
  item.name.type = "button";
  item.name.addEventListener("click", () => { if (item.bucket.rows.length) look_for({ row: item.bucket.rows[0] }); });
  item.bar = child(item, "span", "bar");
  item.percent = child(item, "span", "percent");
  item.pictures = child(item, "span", info.image ? "some" : "vectors");
  item.said = child(item, "span", "state");
  return item;
}

function show_bucket(i, bucket, most) {
  const item = $("buckets").children[i];
  item.bucket = bucket;
  if (item.is_on !== bucket.scanned) item.className = bucket.scanned ? "on" : "";
  item.is_on = bucket.scanned;
  write(item.name, (bucket.scanned ? "● " : "○ ") + bucket.bucket);
  item.bar.style.backgroundSize = (100 * bucket.probability / most).toFixed(1) + "% 100%";
  write(item.percent, percent(bucket.probability));
  write(item.said, bucket.scanned ? "scanned" : "skipped");
  if (info.image) sheets.buckets.draw(i, bucket.rows, bucket.scanned ? 1 : .55);
  else write(item.pictures, count(bucket.vectors) + " vectors");
}

function name_buckets() {
  for (const item of $("buckets").children) {
    item.name.title = count(item.bucket.vectors) + " vectors";
    item.name.setAttribute("aria-label", "Bucket " + item.bucket.bucket + ". Search for a vector out of it");
    item.setAttribute("aria-label", "Bucket " + item.bucket.bucket + ", probability " + percent(item.bucket.probability) + ", " +
      count(item.bucket.vectors) + " vectors, " + item.said.text);
  }
}

function show_buckets(answer) {
  const shown = answer.buckets.slice(0, N_BUCKETS), most = Math.max(shown[0].probability, 1e-9);
  resize($("buckets"), shown.length, new_bucket);
  shown.forEach((bucket, i) => show_bucket(i, bucket, most));
}

/* ---- the map ---- */

const colours = {};

const inks = new Uint32Array(256); /* a pixel of so much ink, as ImageData has it on little-endian machines, which browsers run on */

function read_colours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["ink", "light", "dim", "card", "miss"]) colours[name] = style.getPropertyValue("--" + name).trim();
  const ink = matchMedia("(prefers-color-scheme: dark)").matches ? 0xffffff : 0;
  for (let value = 0; value < 256; value++) inks[value] = (value << 24 | ink) >>> 0;
}

/* To ask for a width lays the page out anew, so it is asked for when it has changed: repaint(). */
function fit_canvas(canvas) {
  const side = Math.round(canvas.clientWidth * (window.devicePixelRatio || 1));
  if (canvas.width !== side || canvas.height !== side) canvas.width = canvas.height = side;
}

/* From what the means take up to the whole canvas, with a margin; a query may lie in that. */
const map_place = (side, x, y) => [side * (.5 + .43 * (x - map.x) / map.half), side * (.5 - .43 * (y - map.y) / map.half)];

function dot(context, side, bucket, scale) {
  const [x, y] = map_place(side, bucket[0], bucket[1]);
  context.beginPath();
  context.arc(x, y, side * scale * Math.sqrt(bucket[2] / map.most), 0, 2 * Math.PI);
  context.fill();
}

/* All dots, unlit, are drawn when the map or its size is new. */
function draw_dots() {
  const side = $("map").width;
  map.size = Math.min(.016, .16 / Math.sqrt(map.buckets.length));
  map.dots = document.createElement("canvas");
  map.dots.width = map.dots.height = side;
  const context = map.dots.getContext("2d", { willReadFrequently: true });
  context.fillStyle = colours.dim;
  for (const bucket of map.buckets) if (bucket) dot(context, side, bucket, map.size);
}

function show_map(answer) {
  const canvas = $("map"), side = canvas.width, context = canvas.getContext("2d", { willReadFrequently: true });
  if (side === 0) return; /* hidden */
  if (!map.dots || map.dots.width !== side) draw_dots();
  context.clearRect(0, 0, side, side);
  context.drawImage(map.dots, 0, 0);
  if (!answer) return;
  context.fillStyle = colours.light;
  for (const i of answer.scanned) if (map.buckets[i]) dot(context, side, map.buckets[i], answer.scanned.length > 64 ? map.size : map.size * 1.25);
  const inside = (at) => Math.min(.97 * side, Math.max(.03 * side, at));
  const [x, y] = map_place(side, answer.at[0], answer.at[1]).map(inside), r = side * .022;
  context.strokeStyle = colours.card;
  for (const width of [.012, .005]) {
    context.lineWidth = side * width;
    context.beginPath();
    context.arc(x, y, r, 0, 2 * Math.PI);
    context.stroke();
    context.strokeStyle = colours.miss;
  }
}

async function load_map() {
  map = await (await ask("v1/map")).json();
  const there = map.buckets.filter((bucket) => bucket);
  const range = (i) => there.reduce(([least, most], bucket) => [Math.min(least, bucket[i]), Math.max(most, bucket[i])], [Infinity, -Infinity]);
  const [left, right] = range(0), [bottom, top] = range(1);
  map.most = Math.max(1, range(2)[1]);
  map.x = (left + right) / 2;
  map.y = (bottom + top) / 2;
  map.half = Math.max(right - left, top - bottom, .01) / 2;
}

$("map").addEventListener("click", (event) => {
  const box = $("map").getBoundingClientRect();
  let best = null, least = Infinity;
  for (const bucket of map.buckets) {
    if (!bucket || bucket[3] === undefined) continue;
    const [x, y] = map_place(box.width, bucket[0], bucket[1]);
    const far = Math.hypot(x - event.clientX + box.left, y - event.clientY + box.top);
    if (far < least) { least = far; best = bucket; }
  }
  if (best) look_for({ row: best[3] });
});

/* ---- the answer ---- */

let last_answer = null, live_timer = 0;

function sentence(answer) {
  const share = answer.candidates / Math.max(1, answer.vectors);
  return ["Looked at ", count(answer.candidates), " of " + count(answer.vectors) + " vectors, " + percent(share) +
    ", and took ", time(answer.microseconds.search), "."];
}

let last_exact = null;
let exact_us = 0; /* of the last exact search: it hardly depends on the query */

function show_cost(answer) {
  $("share").style.backgroundSize = 100 * answer.candidates / Math.max(1, answer.vectors) + "% 100%";
  write($("n-time"), time(answer.microseconds.search));
  write($("n-scanned"), count(answer.candidates));
  write($("n-buckets"), count(answer.scanned.length) + " / " + count(info.buckets.count));
}

function say_cost(answer) {
  $("sentence").replaceChildren(...sentence(answer).map((part, i) => {
    if (i !== 1 && i !== 3) return part;
    const bold = document.createElement("b");
    bold.textContent = part;
    return bold;
  }));
  if (exact_us) {
    $("sentence").append(" Looking at all of them takes " + time(exact_us) + ", " +
      count(Math.max(1, Math.round(exact_us / answer.microseconds.search))) + " times as long.");
  }
  const n = info.buckets.count, n_skipped = n - answer.scanned.length;
  $("skipped").textContent = n_skipped > 0 ? "Skipped: " + count(n_skipped) + " of " + count(n) + " buckets."
    : "All " + count(n) + " buckets were scanned.";
  $("map").setAttribute("aria-label", "Map of " + count(map.buckets.length) + " buckets, " + count(answer.scanned.length) + " of them scanned");
}

/* What is shown of an answer before is left until this one is there: it would only flicker. */
function show_exact(answer) {
  const n = answer.exact.length;
  exact_us = answer.microseconds.exact;
  last_exact = answer.exact;
  show_neighbours("exact", answer.exact);
  write($("n-recall"), Math.round(answer.recall * n) + " / " + n);
  words_later();
}

/* Spoken once things rest: a pen in motion would never let it finish. */
function say_later(answer) {
  clearTimeout(live_timer);
  live_timer = setTimeout(() => {
    $("live").textContent = sentence(answer).join("") + " Nearest: key " + (answer.neighbors[0] ? answer.neighbors[0].key : "none") +
      (answer.exact ? ". " + Math.round(answer.recall * answer.exact.length) + " of " + answer.exact.length + " true neighbours found." : ".");
  }, 700);
}

let words_timer = 0;

/* What is for reading, and for who hears it. */
function words_later() {
  if (words_timer) return;
  words_timer = setTimeout(() => {
    words_timer = 0;
    if (!last_answer) return;
    say_cost(last_answer);
    name_neighbours($("found"));
    name_neighbours($("exact"));
    name_buckets();
    if (delays.length) say_delays();
  }, WORDS_MS);
}

function show(answer) {
  last_answer = answer;
  $("trouble").hidden = true;
  if (answer.exact) show_exact(answer);
  show_cost(answer);
  show_neighbours("found", answer.neighbors);
  show_buckets(answer);
  show_map(answer);
  words_later();
  say_later(answer);
  document.body.dataset.answers = Number(document.body.dataset.answers || 0) + 1;
}

/* ---- one question at a time ---- */

let is_busy = false, is_due = false;
let is_exact_busy = false, exact_of = null, exact_timer = 0; /* exact_of: what was last asked for exactly */
let moved_at = 0; /* when the first thing happened that is not painted yet */
const delays = [];

function explain_request(exact) {
  const recall = RECALLS[$("recall").value];
  if (query.is_drawn && !query.vector) paint($("seen"), query.vector = raster.picture());
  if (query.vector)
    return ["v1/explain?pictures=1&k=" + K + "&recall=" + recall + "&exact=" + exact,
      { method: "POST", headers: { "Content-Type": "application/octet-stream" }, body: query.vector }];
  return ["v1/explain?pictures=1", { method: "POST", headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ row: query.row, k: K, recall, exact }) }];
}

/* Where another index has come to its place, the page begins anew. */
async function refresh_info() {
  const now = await (await ask("v1/info")).json();
  if (now.dim !== info.dim || String(now.image) !== String(info.image)) {
    location.reload();
    await new Promise(() => {});
  }
  info = now;
  show_about();
}

/* A state of the index that is new may hold other vectors; a file that was replaced has other buckets, too. */
async function follow(answer) {
  if (answer.file !== file) await load_map();
  if (answer.state !== state) {
    pictures.clear();
    await refresh_info();
  }
  state = answer.state;
  file = answer.file;
}

/* Where the index has pictures, those of the neighbours come behind the JSON: explain.c. */
async function read_answer(answered) {
  if (answered.headers.get("Content-Type") === "application/json") return answered.json();
  const bytes = await answered.arrayBuffer();
  const n = new DataView(bytes).getUint32(0, true), answer = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 4, n)));
  answer.shown = [...answer.neighbors, ...(answer.exact || [])].map((one, i) => [one.row, new Uint8Array(bytes, 4 + n + i * info.dim, info.dim)]);
  return answer;
}

async function question(exact) {
  const answer = await read_answer(await ask(...explain_request(exact)));
  if (answer.file !== file || answer.state !== state) await follow(answer);
  if (answer.shown) {
    if (pictures.size > 20000) pictures.clear();
    for (const [row, bytes] of answer.shown) pictures.set(row, bytes);
  }
  return answer;
}

/* Of buckets that were not seen before they come a moment later. */
async function fetch_samples(answer) {
  const rows = [].concat(...answer.buckets.slice(0, N_BUCKETS).map((bucket) => bucket.rows));
  if (!info.image || rows.every((row) => pictures.has(row))) return;
  await fetch_pictures(rows);
  if (last_answer) show_buckets(last_answer);
}

const painted = () => new Promise((done) => requestAnimationFrame(() => {
  const channel = new MessageChannel(); /* behind this frame's paint */
  channel.port1.onmessage = done;
  channel.port2.postMessage(0);
}));

function note_delay(began) {
  delays.push(performance.now() - began);
  if (delays.length > 200) delays.shift();
}

function say_delays() {
  const sorted = [...delays].sort((a, b) => a - b), p95 = sorted[Math.floor(.95 * (sorted.length - 1))];
  $("foot").textContent = "From your move to the picture: " + delays[delays.length - 1].toFixed(0) + " ms; 95 % of the last " +
    delays.length + " within " + p95.toFixed(0) + " ms.";
}

function failed(error) {
  if (error.code === 401) need_token();
  else trouble(error);
}

let exact_at = 0;

function plan_exact() {
  const now = performance.now(), is_large = info.vectors * info.dim > LARGE;
  clearTimeout(exact_timer);
  exact_timer = setTimeout(answer_exactly, is_large ? REST_MS : Math.max(0, exact_at + EXACT_MS - now));
}

async function answer_all() {
  is_busy = true;
  while (is_due && query) {
    const began = moved_at;
    is_due = false;
    moved_at = 0;
    try {
      const answer = await question(false);
      show(answer);
      if (began) painted().then(() => note_delay(began)); /* the next question need not wait for that */
      fetch_samples(answer).catch(failed);
      plan_exact();
    } catch (error) {
      if (error.code === 400) await refresh_info().catch(trouble); /* another index may refuse what this one took */
      if (error.code === 400 && query && query.tries > 0) at_random(0, query.tries - 1);
      else failed(error);
    }
  }
  is_busy = false;
}

/* What is wanted now, as one thing to compare: a recall changes what of the exact answer was found. */
const wanted = () => query && { query, recall: $("recall").value };
const is_same = (a, b) => a && b && a.query === b.query && a.recall === b.recall;

async function answer_exactly() {
  if (is_exact_busy || !query || is_same(exact_of, wanted())) return;
  const asked = exact_of = wanted();
  is_exact_busy = true;
  exact_at = performance.now();
  try {
    const answer = await question(true);
    if (is_same(asked, wanted()) && !is_due) show(answer);
    else if (query) show_exact(answer);
  } catch (error) { failed(error); }
  is_exact_busy = false;
  if (query && !is_same(exact_of, wanted())) plan_exact();
}

/* began: an event's timeStamp, where one is to be measured from. */
function due(began = 0) {
  is_due = true;
  if (began && !moved_at) moved_at = began;
  if (!is_busy) answer_all();
}

function look_for(wanted, began = 0) {
  query = wanted;
  if (wanted.row !== undefined) {
    $("row").value = wanted.row;
    if (info.image) pad.show_row(wanted.row).catch(trouble);
  }
  due(began);
}

/* Rows that were deleted have numbers, too: another is tried then. */
function at_random(began = 0, tries = 8) {
  look_for({ row: Math.floor(Math.random() * (info.vectors + info.deleted)), tries }, began);
}

/* ---- the drawing pad ---- */

const pad = {
  canvas: $("pad"), context: $("pad").getContext("2d", { willReadFrequently: true }), strokes: [], margin: 0,
  box: null, /* where it is on the screen, while one draws: to ask lays the page out */
  done: 0, frame: 0, /* points of the last stroke that are on the canvas; the frame in which the others come there */
  pen: { x: .5, y: .5, is_down: false }, /* the keyboard's */
  is_shown: false, /* a row's picture is on the pad */

  n_points() { return this.strokes.length ? this.strokes[this.strokes.length - 1].length : 0; },

  width() { return 2.3 / 28; }, /* of a stroke, as MNIST's are, by the pad's side */

  clear() {
    this.strokes = [];
    this.is_shown = false;
    this.pen.is_down = false;
    $("pad-hint").hidden = false;
    this.draw();
    paint($("seen"), undefined);
  },

  /* from: of the last stroke only what comes behind so many points. */
  line(context, side, from = 0) {
    context.lineCap = context.lineJoin = "round";
    for (const stroke of from ? this.strokes.slice(-1) : this.strokes) {
      const points = from ? stroke.slice(from - 1) : stroke;
      context.beginPath();
      context.moveTo(points[0].x * side, points[0].y * side);
      for (const p of points) context.lineTo(p.x * side, p.y * side + (stroke.length === 1 ? .001 * side : 0));
      context.stroke();
    }
  },

  draw() {
    const { context, canvas: { width: side } } = this;
    context.clearRect(0, 0, side, side);
    context.strokeStyle = colours.ink;
    context.lineWidth = this.width() * side;
    this.line(context, side);
    this.done = this.n_points();
    if (document.activeElement !== this.canvas || !this.by_keys) return;
    context.beginPath();
    context.arc(this.pen.x * side, this.pen.y * side, side * .03, 0, 2 * Math.PI);
    context.lineWidth = side * .008;
    context.strokeStyle = this.pen.is_down ? colours.miss : colours.light;
    context.stroke();
  },

  /* In the next frame, what was added to the stroke. */
  draw_later() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      if (this.is_shown || this.strokes.length === 0) return;
      if (this.by_keys || this.done === 0) this.draw();
      else this.line(this.context, this.canvas.width, this.done);
      this.done = this.n_points();
    });
  },

  async show_row(row) {
    this.strokes = [];
    this.is_shown = true;
    $("pad-hint").hidden = true;
    await fetch_pictures([row]);
    if (!this.is_shown) return;
    const [w, h] = info.image, small = document.createElement("canvas"), side = this.canvas.width;
    paint(small, pictures.get(row));
    paint($("seen"), pictures.get(row));
    const context = this.context, scale = side / Math.max(w, h);
    context.clearRect(0, 0, side, side);
    context.imageSmoothingEnabled = false;
    context.drawImage(small, (side - w * scale) / 2, (side - h * scale) / 2, w * scale, h * scale);
    context.globalCompositeOperation = "source-in"; /* the ink's colour on light and on dark */
    context.fillStyle = colours.ink;
    context.fillRect(0, 0, side, side);
    context.globalCompositeOperation = "source-over";
  },
};

/* The drawing as the index has its pictures: of their size, and by their middle if that is wanted. Strokes are drawn
 * four times as large, with soft edges, and averaged. */
const raster = {
  OVER: 4,

  box() {
    let left = 1, top = 1, right = 0, bottom = 0;
    for (const stroke of pad.strokes) for (const p of stroke) {
      left = Math.min(left, p.x); right = Math.max(right, p.x);
      top = Math.min(top, p.y); bottom = Math.max(bottom, p.y);
    }
    return { x: (left + right) / 2, y: (top + bottom) / 2, side: Math.max(right - left, bottom - top) };
  },

  /* Which part of the pad becomes which part of the picture: scale, and the place of the pad's corner, in pixels. */
  frame(w, h) {
    const side = Math.min(w, h), middle = { scale: side, x: (w - side) / 2, y: (h - side) / 2 };
    if (!$("fit").checked) return middle;
    const box = this.box(), inner = side - 2 * pad.margin - pad.width() * side;
    const scale = Math.min(inner / Math.max(box.side, .05), 2.5 * side);
    return { scale, x: w / 2 - box.x * scale, y: h / 2 - box.y * scale };
  },

  ink(w, h, frame) {
    const over = this.OVER, wide = w * over;
    if (!this.context || this.context.canvas.width !== wide || this.context.canvas.height !== h * over) {
      const canvas = document.createElement("canvas");
      canvas.width = wide;
      canvas.height = h * over;
      this.context = canvas.getContext("2d", { willReadFrequently: true });
    }
    const context = this.context;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, wide, h * over);
    context.setTransform(over, 0, 0, over, frame.x * over, frame.y * over);
    context.lineWidth = pad.width() * Math.min(w, h);
    pad.line(context, frame.scale);
    const large = context.getImageData(0, 0, wide, h * over).data, ink = new Float32Array(w * h);
    for (let y = 0, from = 3; y < h * over; y++)
      for (let to = Math.floor(y / over) * w, end = to + w; to < end; to++)
        for (let x = 0; x < over; x++, from += 4) ink[to] += large[from];
    return ink.map((sum) => Math.min(255, Math.round(1.15 * sum / (over * over))));
  },

  /* MNIST's digits lie by their centre of mass; pictures that fill their frame do not. */
  picture() {
    const [w, h] = info.image, frame = this.frame(w, h);
    let ink = this.ink(w, h, frame);
    if (!$("fit").checked || pad.margin < 2) return ink;
    let sum = 0, x = 0, y = 0;
    ink.forEach((value, i) => { sum += value; x += value * (i % w + .5); y += value * (Math.floor(i / w) + .5); });
    if (sum > 0) ink = this.ink(w, h, { scale: frame.scale, x: frame.x + w / 2 - x / sum, y: frame.y + h / 2 - y / sum });
    return ink;
  },
};

function drawn(began) {
  $("pad-hint").hidden = true;
  pad.draw_later();
  look_for({ is_drawn: true }, began);
}

function begin_stroke(p) {
  if (pad.is_shown) pad.clear();
  pad.strokes.push([p]);
  pad.done = 0;
}

function place_of(event) {
  const box = pad.box = pad.box || pad.canvas.getBoundingClientRect();
  return { x: Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)), y: Math.min(1, Math.max(0, (event.clientY - box.top) / box.height)) };
}
addEventListener("scroll", () => { pad.box = null; }, { passive: true });

let stroke_of = null; /* the pointer that draws */

pad.canvas.addEventListener("pointerdown", (event) => {
  if (stroke_of !== null || event.button !== 0) return;
  stroke_of = event.pointerId;
  pad.by_keys = false;
  pad.box = null;
  pad.canvas.setPointerCapture(event.pointerId);
  begin_stroke(place_of(event));
  drawn(event.timeStamp);
});
/* Where there is pointerrawupdate, a move is told when it comes and not with the next frame: half a frame earlier. */
pad.canvas.addEventListener("onpointerrawupdate" in window ? "pointerrawupdate" : "pointermove", (event) => {
  if (stroke_of !== event.pointerId || pad.strokes.length === 0) return;
  const events = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
  pad.strokes[pad.strokes.length - 1].push(...(events.length ? events : [event]).map(place_of));
  drawn(event.timeStamp);
});
for (const name of ["pointerup", "pointercancel"])
  pad.canvas.addEventListener(name, (event) => { if (stroke_of === event.pointerId) stroke_of = null; });

const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

pad.canvas.addEventListener("keydown", (event) => {
  const step = STEPS[event.key], pen = pad.pen;
  if (!step && event.key !== " " && event.key !== "Backspace") return;
  event.preventDefault();
  pad.by_keys = true;
  if (event.key === "Backspace") { clear(); return; }
  if (event.key === " ") {
    const goes_down = !pen.is_down;
    if (goes_down) begin_stroke({ x: pen.x, y: pen.y });
    pen.is_down = goes_down;
    $("live").textContent = pen.is_down ? "Pen down" : "Pen up";
  } else {
    pen.x = Math.min(1, Math.max(0, pen.x + step[0] * .04));
    pen.y = Math.min(1, Math.max(0, pen.y + step[1] * .04));
    if (pen.is_down) pad.strokes[pad.strokes.length - 1].push({ x: pen.x, y: pen.y });
  }
  if (pen.is_down) drawn(event.timeStamp);
  else if (!pad.is_shown) pad.draw();
});
for (const name of ["focus", "blur"]) pad.canvas.addEventListener(name, () => { if (!pad.is_shown) pad.draw(); });

function clear() {
  pad.clear();
  query = null;
}

/* ---- the other controls ---- */

$("clear").addEventListener("click", clear);
$("random").addEventListener("click", (event) => at_random(event.timeStamp));
$("fit").addEventListener("change", (event) => { if (pad.strokes.length) drawn(event.timeStamp); });
$("recall").addEventListener("input", (event) => {
  show_recall();
  due(event.timeStamp);
});

function show_recall() {
  $("recall-value").textContent = recall_text();
  $("recall").setAttribute("aria-valuetext", recall_text());
}

$("pick-row").addEventListener("submit", (event) => {
  event.preventDefault();
  look_for({ row: Number($("row").value) }, event.timeStamp);
});

$("pick-text").addEventListener("submit", (event) => {
  event.preventDefault();
  const values = $("text").value.replace(/[[\]{}()]/g, " ").split(/[\s,;]+/).filter((word) => word !== "").map(Number);
  const bad = values.findIndex((value) => !Number.isFinite(value));
  $("text-wrong").textContent = bad >= 0 ? "Value " + (bad + 1) + " is no number."
    : values.length !== info.dim ? "These are " + count(values.length) + " values; a vector has " + count(info.dim) + "." : "";
  if ($("text-wrong").textContent) return;
  if (info.image) {
    pad.clear();
    $("pad-hint").hidden = true;
    paint($("seen"), Uint8ClampedArray.from(values));
  }
  look_for({ vector: Float32Array.from(values) }, event.timeStamp);
});

function need_token() {
  $("main").hidden = true;
  $("token").hidden = false;
  $("token-text").focus();
}

$("token").addEventListener("submit", (event) => {
  event.preventDefault();
  token = $("token-text").value.trim();
  sessionStorage.setItem("token", token);
  $("token").hidden = true;
  begin();
});

/* ---- beginning ---- */

/* How wide a margin the index's own pictures have: the median of some of them. */
async function measure_margin() {
  const [w, h] = info.image, rows = [];
  for (let i = 0; i < 64; i++) rows.push(Math.floor(i * info.vectors / 64));
  await fetch_pictures(rows);
  const margins = rows.map((row) => {
    const bytes = pictures.get(row);
    let left = w, top = h, right = 0, bottom = 0;
    bytes.forEach((value, i) => {
      if (value < 32) return;
      left = Math.min(left, i % w); right = Math.max(right, i % w);
      top = Math.min(top, Math.floor(i / w)); bottom = Math.max(bottom, Math.floor(i / w));
    });
    return Math.max(0, Math.min(left, top, w - 1 - right, h - 1 - bottom));
  }).sort((a, b) => a - b);
  pad.margin = margins[32];
}

function show_about() {
  const each = info.image ? info.image.join(" × ") + " pictures" : info.dim + " values each";
  $("about").textContent = count(info.vectors) + " vectors, " + each + ", in " + count(info.buckets.count) + " buckets";
}

function show_info() {
  show_about();
  $("draw").hidden = !info.image;
  if (info.image) document.body.style.setProperty("--shape", info.image.join("/"));
  $("clear").hidden = !info.image;
  $("pick").open = !info.image;
  for (const id of ["found", "exact"]) $(id).classList.toggle("plain", !info.image);
  $("text-label").textContent = count(info.dim) + " values, separated by commas or spaces";
  $("row").placeholder = "0 to " + (info.vectors - 1);
}

/* When sizes or colours are new. */
function repaint() {
  read_colours();
  if (!info) return;
  pad.box = null;
  fit_canvas($("pad"));
  fit_canvas($("map"));
  if (info.image) for (const sheet of Object.values(sheets)) sheet.place();
  if (pad.is_shown && query && query.row !== undefined) pad.show_row(query.row);
  else if (info.image) pad.draw();
  if (query && query.vector && info.image) paint($("seen"), query.vector);
  if (map) {
    map.dots = null;
    show_map(last_answer);
  }
  if (!last_answer) return;
  show_neighbours("found", last_answer.neighbors);
  show_buckets(last_answer);
  if (last_exact) show_neighbours("exact", last_exact);
}

async function begin() {
  try {
    info = await (await ask("v1/info")).json();
    await load_map();
    file = map.file;
    state = info.state;
    show_info();
    $("main").hidden = false;
    show_recall();
    repaint();
    if (info.image && info.vectors > 0) await measure_margin();
    if (info.image) pad.clear();
    if (info.vectors > 0) at_random();
    document.body.dataset.ready = "1";
  } catch (error) {
    if (error.code === 401) need_token();
    else trouble(error);
  }
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
const resized = new ResizeObserver(repaint);
for (const id of ["map", "pad", "found", "exact", "buckets"]) resized.observe($(id));
begin();
