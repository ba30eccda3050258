// The live board: figures arrive as server-sent events, read with fetch because EventSource can't send a key.
const STORED = "voz-key";
const TILES = ["volume", "net_sentiment", "nps", "csat", "ces", "complaint_rate", "resolution_rate", "response_rate", "first_response_time", "time_to_resolution"];
const SLOW_MS = 15000;
const $ = (id) => document.getElementById(id);

let catalogue = new Map();
let showing = new AbortController();

// A link may bring the key in its fragment, which browsers never send to a server; then it leaves the address bar.
const brought = new URLSearchParams(location.hash.slice(1)).get("key");
if (brought) {
  sessionStorage.setItem(STORED, brought);
  history.replaceState(null, "", location.pathname);
}

$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(STORED, $("key").value.trim());
  $("key").value = "";
  show();
});
$("forget").addEventListener("click", () => ask("Not connected"));
$("window").addEventListener("change", show);
show();

function ask(why) {
  showing.abort();
  sessionStorage.removeItem(STORED);
  $("state").textContent = why;
  $("ask").hidden = false;
  $("board").hidden = $("forget").hidden = true;
  $("key").focus();
}

async function show() {
  showing.abort();
  showing = new AbortController();
  const { signal } = showing;
  if (!sessionStorage.getItem(STORED)) return ask("Not connected");
  $("ask").hidden = true;
  $("board").hidden = $("forget").hidden = false;
  for (let wait = 500; !signal.aborted; wait = Math.min(2 * wait, 15000)) {
    const slow = new AbortController();
    const both = AbortSignal.any([signal, slow.signal]);
    try {
      catalogue = new Map((await get("v1/kpis/catalogue", both)).items.map((kpi) => [kpi.id, kpi]));
      await Promise.all([
        follow(`v1/stream?window=${$("window").value}&kpi=${TILES}`, tiles, both, () => (wait = 500)),
        follow(`v1/stream?window=${$("window").value}&kpi=net_sentiment,volume&by=channel`, channels, both),
        repeat(slowly, both),
      ]);
    } catch (error) {
      if (signal.aborted) return;
      if (error.status === 401 || error.status === 403) return ask(error.message);
      $("state").textContent = `Not connected: ${error.message}. Trying again.`;
    } finally {
      slow.abort();
    }
    await pause(wait, signal);
  }
}

async function call(path, signal) {
  const response = await fetch(path, { signal, headers: { authorization: `Bearer ${sessionStorage.getItem(STORED)}` } });
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({}));
  throw Object.assign(new Error(problem.detail ?? `status ${response.status}`), { status: response.status });
}

const get = async (path, signal) => (await call(path, signal)).json();

async function follow(path, draw, signal, alive = () => {}) {
  const response = await call(path, signal);
  $("state").textContent = "Live";
  let held = "";
  for await (const text of lines(response.body)) {
    alive();
    held += text;
    const events = held.split("\n\n");
    held = events.pop();
    for (const event of events) {
      const data = event.split("\n").find((line) => line.startsWith("data: "));
      if (data) draw(JSON.parse(data.slice(6)));
    }
  }
  throw new Error("the stream has ended");
}

async function* lines(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) yield part.value;
}

async function repeat(job, signal) {
  while (!signal.aborted) {
    await job(signal);
    await pause(SLOW_MS, signal);
  }
}

// What moves slowly: sparklines and the ranking of friction.
async function slowly(signal) {
  const period = $("window").value;
  friction(await get(`v1/friction?window=${period}`, signal));
  for (const kpi of TILES) {
    const series = await get(`v1/kpis/${kpi}/series?window=${period}`, signal);
    sparkline(kpi, series.points.map((point) => point.groups[0].kpis[kpi].value));
  }
}

function tiles(report) {
  const { kpis } = report.groups[0];
  for (const id of TILES) {
    const kpi = catalogue.get(id);
    const tile = $(`tile-${id}`) ?? $("tiles").appendChild(newTile(kpi));
    const { value, n } = kpis[id];
    tile.querySelector(".value").textContent = shown(value, kpi.unit);
    tile.querySelector(".note").textContent = n ? `of ${n.toLocaleString()}` : "no data in this window";
  }
}

function newTile(kpi) {
  const tile = element("li", "", { id: `tile-${kpi.id}`, title: kpi.definition });
  tile.append(element("h3", kpi.name), element("p", "", { className: "value" }), element("p", "", { className: "note" }));
  return tile;
}

function sparkline(id, values) {
  const tile = $(`tile-${id}`);
  const known = values.filter((value) => value !== null);
  tile?.querySelector("svg")?.remove();
  if (!tile || known.length < 2) return;
  const low = Math.min(...known), high = Math.max(...known);
  const x = (i) => (100 * i) / (values.length - 1);
  const y = (value) => (high === low ? 15 : 28 - (26 * (value - low)) / (high - low));
  // A step without data breaks the line: no data is not 0.
  const path = values.map((v, i) => (v === null ? "" : `${values[i - 1] == null ? "M" : "L"}${x(i)} ${y(v)}`)).join("");
  const svg = draw("svg", { viewBox: "0 0 100 30", preserveAspectRatio: "none", role: "img" });
  svg.setAttribute("aria-label", `Over the window: from ${shown(low, catalogue.get(id).unit)} to ${shown(high, catalogue.get(id).unit)}`);
  svg.append(draw("path", { d: path }));
  tile.append(svg);
}

function channels(report) {
  rows($("channels"), report.groups, ({ dimensions, kpis }) => {
    const { value, n } = kpis.net_sentiment;
    const sign = value > 0 ? "up" : value < 0 ? "down" : "";
    return [dimensions.channel ?? "none", [shown(value, "points"), sign], n.toLocaleString(), kpis.volume.value.toLocaleString()];
  });
}

function friction(report) {
  const share = (figure) => `${figure.count.toLocaleString()} (${Math.round(100 * figure.share)} %)`;
  rows($("friction"), report.items.filter((item) => item.score > 0).slice(0, 8), (item) => [
    item.stage ?? "none", item.topic ?? "none", item.score.toFixed(1), share(item.negative), share(item.complaint), share(item.high_effort),
  ]);
}

function rows(body, items, cells) {
  body.replaceChildren(...items.map((item) => {
    const row = element("tr");
    row.append(...cells(item).map((cell) => (Array.isArray(cell) ? element("td", cell[0], { className: cell[1] }) : element("td", cell))));
    return row;
  }));
  if (items.length) return;
  const row = element("tr");
  row.append(element("td", "Nothing in this window yet.", { className: "empty", colSpan: 9 }));
  body.append(row);
}

function shown(value, unit) {
  if (value === null) return "–";
  if (unit === "seconds") return value < 90 ? `${Math.round(value)} s` : value < 5400 ? `${Math.round(value / 60)} min` : `${(value / 3600).toFixed(1)} h`;
  if (unit === "ratio") return `${(100 * value).toFixed(1)} %`;
  if (unit === "percent") return `${value.toFixed(1)} %`;
  return value.toLocaleString(undefined, { maximumFractionDigits: 1 });
}

const element = (name, text = "", properties = {}) => Object.assign(document.createElement(name), { textContent: text }, properties);

function draw(name, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function pause(ms, signal) {
  return new Promise((done) => {
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", () => { clearTimeout(timer); done(); }, { once: true });
  });
}
