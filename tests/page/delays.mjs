/*
 * delays.mjs INDEX NLSH [NLSH...]: from pointer move to painted answer, of one or several programs by turns in one browser: a
 * seven is drawn in each, ROUNDS times (20). Beside that, what the page's main thread worked for each move: its own time,
 * which other processes do not add to. With one program and TRACE=FILE the last drawing is traced, and what the
 * browser's threads spent is printed by name. DARK=1: in dark.
 */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";

const [, , index, ...programs] = process.argv;
const n_rounds = Number(process.env.ROUNDS || 20), trace = process.env.TRACE;
const seven = [[.28, .25], [.45, .24], [.72, .24], [.66, .38], [.58, .55], [.5, .72], [.45, .84]];

function serve(nlsh) {
  const child = spawn(nlsh, ["serve", "-i", index, "--port", "0"], { stdio: ["ignore", "pipe", "inherit"] });
  process.on("exit", () => child.kill("SIGTERM"));
  return new Promise((done, fail) => {
    child.stdout.on("data", (text) => done({ url: String(text).trim(), child }));
    child.on("exit", (code) => fail(new Error(nlsh + " serve ended with " + code)));
  });
}

async function settle(page) {
  const n_answers = () => page.evaluate(() => Number(document.body.dataset.answers || 0));
  for (let before = -1, now = await n_answers(); before !== now; now = await n_answers()) {
    before = now;
    await page.waitForTimeout(250);
  }
}

async function draw(page) {
  await page.bringToFront();
  await page.click("#clear");
  const box = await page.locator("#pad").boundingBox();
  const at = ([x, y]) => [box.x + x * box.width, box.y + y * box.height];
  await page.mouse.move(...at(seven[0]));
  await page.mouse.down();
  for (const point of seven.slice(1)) await page.mouse.move(...at(point), { steps: 20 });
  await page.mouse.up();
  await settle(page);
}

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: ["--no-sandbox"] });
const sides = [];
for (const nlsh of programs) {
  const server = await serve(nlsh);
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, colorScheme: process.env.DARK ? "dark" : "light" });
  const page = await context.newPage();
  await page.goto(server.url);
  await page.waitForSelector("body[data-ready]", { timeout: 20000 });
  await settle(page);
  await draw(page); /* once to warm up */
  const session = await context.newCDPSession(page);
  await session.send("Performance.enable", { timeDomain: "threadTicks" });
  sides.push({ nlsh, server, page, session, all: [], n_moves: 0, work: {} });
}
async function metrics(side) {
  const wanted = ["TaskDuration", "ScriptDuration", "LayoutDuration", "RecalcStyleDuration"];
  const { metrics: all } = await side.session.send("Performance.getMetrics");
  return Object.fromEntries(all.filter((one) => wanted.includes(one.name)).map((one) => [one.name, one.value]));
}
const at = (sorted, share) => sorted[Math.floor(share * (sorted.length - 1))];
for (let round = 0; round < n_rounds; round++) for (const side of sides) {
  await side.page.evaluate(() => { delays.length = 0; });
  const is_traced = trace && round === n_rounds - 1;
  if (is_traced) await browser.startTracing(side.page, { path: trace, screenshots: false, categories: ["toplevel", "blink", "cc", "viz", "gpu", "devtools.timeline", "disabled-by-default-devtools.timeline", "v8"] });
  const before = await metrics(side);
  await draw(side.page);
  const after = await metrics(side);
  for (const name of Object.keys(after)) side.work[name] = (side.work[name] || 0) + after[name] - before[name];
  side.n_moves += 20 * (seven.length - 1);
  if (is_traced) await browser.stopTracing();
  side.all.push(...await side.page.evaluate(() => [...delays]));
}
for (const side of sides) {
  side.all.sort((a, b) => a - b);
  console.log(`${side.nlsh}: median ${at(side.all, .5).toFixed(1)} ms, p95 ${at(side.all, .95).toFixed(1)}, most ${at(side.all, 1).toFixed(1)} of ${side.all.length}`);
  console.log("  main thread, ms a move: " + Object.entries(side.work).map(([name, s]) => name.replace("Duration", "") + " " + (1000 * s / side.n_moves).toFixed(2)).join(", "));
}
for (const side of sides.slice(1))
  console.log(`ratio to the first: median ${(at(side.all, .5) / at(sides[0].all, .5)).toFixed(3)}, p95 ${(at(side.all, .95) / at(sides[0].all, .95)).toFixed(3)}`);
await browser.close();
if (trace) {
  const { traceEvents } = JSON.parse(readFileSync(trace, "utf8")), names = {}, sums = {};
  for (const e of traceEvents) if (e.name === "thread_name" || e.name === "process_name") names[e.name[0] + e.pid + (e.name[0] === "t" ? ":" + e.tid : "")] = e.args.name;
  for (const e of traceEvents) {
    if (e.ph !== "X" || !(e.dur > 0)) continue;
    const what = names["p" + e.pid] + " / " + names["t" + e.pid + ":" + e.tid] + " / " + e.name, sum = sums[what] = sums[what] || { us: 0, n: 0 };
    sum.us += e.dur; sum.n++;
  }
  for (const [what, sum] of Object.entries(sums).sort((a, b) => b[1].us - a[1].us).slice(0, 70))
    console.log((sum.us / 1000).toFixed(1).padStart(9) + " ms " + String(sum.n).padStart(6) + "  " + what);
}
