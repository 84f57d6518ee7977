// What the program tells (/v1/events), shown. Text of theirs goes into the page as text only.

import { Plot } from "/plot.js";
import { Table } from "/table.js";

const VIEWS = ["overview", "connections", "servers", "rules", "log"];
const MOST_ENDED = 1000;
const MOST_LINES = 300;

const at = (id) => document.getElementById(id);
const living = new Map();
let ended = [];
let lines = [];
let status = null;
let skew = 0;
let paused = false;
let view = "overview";

// Words and numbers.

function bytes(count) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let step = 0;
  while (count >= 1024 && step < units.length - 1) [count, step] = [count / 1024, step + 1];
  return `${step === 0 || count >= 100 ? Math.round(count) : count.toFixed(1)} ${units[step]}`;
}
const rate = (count) => (count ? `${bytes(count)}/s` : "–");
const millis = (ms) => (ms === null || ms === undefined ? "–" : ms < 10 ? `${ms.toFixed(1)} ms` : ms < 10000 ? `${Math.round(ms)} ms` : `${Math.round(ms / 1000)} s`);
function age(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h ${Math.floor(seconds / 60) % 60} min`;
  return `${Math.floor(seconds / 86400)} d`;
}
const now = () => Date.now() - skew;
const words = (word) => word.replaceAll("_", " ");

// Elements, by their text.
function element(name, text, kind) {
  const made = document.createElement(name);
  if (text !== undefined && text !== null) made.textContent = text;
  if (kind) made.className = kind;
  return made;
}
function facts(list, pairs) {
  const parts = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  list.replaceChildren(...parts.flatMap(([name, value]) => [element("dt", name), element("dd", value)]));
}
function body(table, rows) {
  const made = rows.map((cells) => {
    const row = element("tr");
    row.append(...cells.map((cell) => (Array.isArray(cell) ? element("td", cell[0], cell[1]) : element("td", cell))));
    return row;
  });
  table.tBodies[0].replaceChildren(...made);
}

// Connections.

const way = (c) => (c.server ? `${c.server}${c.session ? ` #${c.session}` : ""}` : c.stages.opened !== null ? "direct" : "");
const stateOf = (c) => (c.state === "ended" ? words(c.outcome ?? "ended") : words(c.state));
const isFailed = (c) => c.failure !== null && c.failure !== undefined;
const client = (c) => (c.process ? `${c.process.name} ` : "") + c.source + (c.user ? ` (${c.user})` : "");
const lasted = (c) => (c.state === "ended" ? (c.stages.total ?? c.age) : now() - c.began);
const columns = [
  { name: "id", title: "No.", text: (c) => String(c.id), order: (c) => c.id, number: true },
  { name: "state", title: "State", text: stateOf, order: stateOf, hint: (c) => c.failure ?? c.remark ?? "" },
  { name: "target", title: "Target", text: (c) => c.target, order: (c) => c.target, hint: (c) => c.remark ?? c.target },
  { name: "rule", title: "Rule", text: (c) => c.rule ?? "(default)", order: (c) => c.rule ?? "" },
  { name: "server", title: "Way", text: way, order: way },
  { name: "source", title: "Client", text: client, order: client },
  { name: "protocol", title: "Protocol", text: (c) => c.protocol, order: (c) => c.protocol },
  { name: "up", title: "Up", text: (c) => rate(c.traffic.up_rate), order: (c) => c.traffic.up_rate, number: true },
  { name: "down", title: "Down", text: (c) => rate(c.traffic.down_rate), order: (c) => c.traffic.down_rate, number: true },
  { name: "age", title: "Age", text: (c) => age(lasted(c)), order: lasted, number: true },
];
const table = new Table(at("table"), columns, {
  label: "Connections",
  open: details,
  end: confirmEnd,
  classes: (c) => `${c.state}${isFailed(c) ? " failed" : ""}`,
});

function drawConnections() {
  const wanted = at("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  const all = at("with-ended").checked ? [...living.values(), ...ended] : [...living.values()];
  const text = (c) => [c.target, c.rule ?? "(default)", way(c), client(c), c.listener, c.protocol, stateOf(c), c.remark, c.failure].join(" ").toLowerCase();
  const found = wanted.length ? all.filter((c) => { const of = text(c); return wanted.every((word) => of.includes(word)); }) : all;
  table.set(found);
  at("shown").textContent = found.length === all.length ? `${all.length}` : `${found.length} of ${all.length}`;
}

function details(c) {
  at("details-title").textContent = `#${c.id} ${c.target}`;
  at("details-remark").textContent = c.failure ?? c.remark ?? "";
  const stages = [["rules", c.stages.decided], ["session", c.stages.waited], ["open", c.stages.opened], ["first byte", c.stages.first_byte]];
  const known = stages.filter(([, ms]) => ms !== null);
  const sum = known.reduce((all, [, ms]) => all + ms, 0);
  at("stages").replaceChildren(...known.map(([name, ms]) => {
    const part = element("span", name);
    part.style.flex = `${Math.max(ms / (sum || 1), 0.02)} 1 0`;
    return part;
  }));
  facts(at("details-facts"), [
    ["State", `${stateOf(c)}, for ${age(c.in_state)}`],
    ["Client", `${c.source}${c.user ? `, user ${c.user}` : ""}`],
    ["Program", c.process ? `${c.process.name}, process ${c.process.pid}` : null],
    ["Came in", `${c.listener}, ${c.protocol}`],
    ["Rule", c.rule ?? "(default)"],
    ["Way", way(c)],
    ["Up", `${bytes(c.traffic.up)}, ${rate(c.traffic.up_rate)}`],
    ["Down", `${bytes(c.traffic.down)}, ${rate(c.traffic.down_rate)}`],
    ["Waits for the client", c.waiting_memory + c.waiting_disk ? bytes(c.waiting_memory + c.waiting_disk) : null],
    ["Waited for the server's window", c.stalled ? millis(c.stalled) : null],
    ["Until the rules had decided", c.stages.decided === null ? null : millis(c.stages.decided)],
    ["Until there was a session", c.stages.waited === null ? null : millis(c.stages.waited)],
    ["Look-up and connect on the far side", c.stages.opened === null ? null : millis(c.stages.opened)],
    ["First byte of the target", c.stages.first_byte === null ? null : millis(c.stages.first_byte)],
    ["All of it", c.stages.total === null ? null : millis(c.stages.total)],
    ["Began", new Date(c.began + skew).toLocaleString()],
  ]);
  at("end").hidden = c.state === "ended";
  at("end").onclick = () => confirmEnd(c);
  if (!at("details").open) at("details").showModal();
}

function confirmEnd(c) {
  if (c.state === "ended") return;
  const dialog = at("confirm");
  at("confirm-text").textContent = `End #${c.id} to ${c.target}? Its client is reset.`;
  dialog.returnValue = "no";
  dialog.onclose = async () => {
    if (dialog.returnValue !== "yes") return;
    at("details").close();
    const answer = await fetch(`/v1/connections/${c.id}`, { method: "DELETE" }).catch(() => null);
    if (!answer || !answer.ok) note("it was not ended", "refused");
  };
  dialog.showModal();
}

// The other views.

function drawOverview() {
  const { connections, traffic } = status;
  const tiles = [
    ["Down", rate(traffic.down_rate)], ["Up", rate(traffic.up_rate)],
    ["Connections", String(connections.relaying + connections.opening + connections.waiting)],
    ["Waiting", String(connections.waiting)], ["Opening", String(connections.opening)],
    ["Failed", String(connections.failed)], ["Received", bytes(traffic.down)], ["Sent", bytes(traffic.up)],
  ];
  at("tiles").replaceChildren(...tiles.map(([name, value]) => {
    const tile = element("div");
    tile.append(element("dt", name), element("dd", value));
    return tile;
  }));
  at("health").replaceChildren(...status.health.map((one) => element("li", `${one.what} ${one.name}: ${one.text}`)));
  body(at("forwards"), status.forwards.map((forward) => [
    { dynamic: "proxy", local: "forward (-L)", remote: "forward (-R)" }[forward.kind] ?? forward.kind,
    [forward.name ?? forward.spec, "name"],
    forward.addresses.join(", ") + (forward.server ? ` on ${forward.server}` : ""),
    [forward.reason ? `${words(forward.state)}: ${forward.reason}` : words(forward.state), forward.state],
    [String(forward.accepted), "n"],
    [forward.suspicious ? String(forward.suspicious) : "–", "n"],
  ]));
  for (const plot of Object.values(plots)) plot.draw();
}

function drawServers() {
  const made = status.servers.map((server) => {
    const box = element("article");
    const title = element("h2", `${server.name} `);
    title.append(element("span", words(server.state), server.state));
    box.append(title);
    const told = [server.reason, server.path_reason, server.next_attempt !== null ? `next attempt in ${age(server.next_attempt)}` : "", server.last_loss ? `lost ${age(server.last_loss.age)} ago: ${server.last_loss.reason}` : ""];
    for (const text of told.filter(Boolean)) box.append(element("p", text));
    const figures = `round trip ${millis(server.round_trip)} · ${rate(server.traffic.down_rate)} down · ${rate(server.traffic.up_rate)} up · ${server.waiting} waiting · ${server.sessions.length}${server.max ? ` of ${server.max}` : ""} sessions`;
    box.append(element("p", figures));
    const holder = element("div", null, "wide");
    const sessions = element("table");
    const head = element("tr");
    head.append(...["Session", "State", "Age", "Round trip", "best", "Channels", "active", "slow clients", "Down", "Up", "Window", "Cipher", "Host key"].map((name) => element("th", name)));
    sessions.createTHead().append(head);
    sessions.append(element("tbody"));
    body(sessions, server.sessions.map((s) => [
      `#${s.id}`, [words(s.state), s.state], age(s.age), millis(s.round_trip), millis(s.best_round_trip), String(s.channels), String(s.active), String(s.slow_readers),
      rate(s.traffic.down_rate), rate(s.traffic.up_rate), bytes(s.window), s.cipher, `${s.host_key_type} ${s.host_key}`,
    ]));
    holder.append(sessions);
    if (server.sessions.length) box.append(holder);
    return box;
  });
  at("servers").replaceChildren(...(made.length ? made : [element("p", "There are no servers.")]));
}

async function drawRules() {
  const answer = await fetch("/v1/rules").catch(() => null);
  if (!answer || !answer.ok) return;
  const { rules } = await answer.json();
  body(at("rule-table"), rules.map((rule) => [
    [rule.name, "name"], rule.action, [String(rule.hits), "n"], [bytes(rule.bytes), "n"],
    rule.last_hit ? `${age(now() - rule.last_hit)} ago` : "–",
  ]));
}

function drawLog() {
  at("lines").replaceChildren(...lines.map(({ time, text, kind }) => {
    const line = element("li", null, kind);
    line.append(element("time", new Date(time).toLocaleTimeString()), document.createTextNode(text));
    return line;
  }));
}

function note(text, kind) {
  lines.unshift({ time: Date.now(), text, kind });
  lines.length = Math.min(lines.length, MOST_LINES);
}

const plots = {
  rates: new Plot(at("plot-rates"), rate),
  trips: new Plot(at("plot-trips"), millis),
  counts: new Plot(at("plot-counts"), (count) => String(Math.round(count))),
};

function measure() {
  const { traffic, connections } = status;
  plots.rates.push({ down: traffic.down_rate, up: traffic.up_rate });
  plots.counts.push({ open: connections.relaying, waiting: connections.waiting + connections.opening });
  plots.trips.push(Object.fromEntries(status.servers.map((server) => [server.name, server.round_trip])));
}

let drawing = false;
function draw() {
  if (paused || drawing || !status) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    const { instance } = status;
    document.title = `${instance.name || "sockeye"} – sockeye`;
    at("name").textContent = instance.name;
    at("about").textContent = `${instance.version} · process ${instance.pid} · up ${age(instance.uptime)}`;
    at("count").textContent = `(${living.size})`;
    ({ overview: drawOverview, connections: drawConnections, servers: drawServers, rules() {}, log: drawLog })[view]();
  });
}

// What is told.

let source = null;
function tell(state, kind) {
  at("state").textContent = state;
  at("state").className = kind;
}
function take(told) {
  switch (told.event) {
    case "reset":
      living.clear();
      for (const c of told.connections) living.set(c.id, c);
      recall();
      // Falls through: the rest is as at each tick.
    case "tick":
      status = told.status;
      skew = Date.now() - (status.instance.started + status.instance.uptime);
      for (const c of told.connections) if (c.state !== "ended") living.set(c.id, c);
      tell(status.state, status.state);
      measure();
      break;
    case "connection_opened":
      living.set(told.connection.id, told.connection);
      break;
    case "connection_closed": {
      const c = told.connection;
      living.delete(c.id);
      ended.unshift(c);
      ended.length = Math.min(ended.length, MOST_ENDED);
      if (isFailed(c)) note(`#${c.id} to ${c.target}: ${c.failure}`, "refused");
      break;
    }
    case "session_up": note(`session ${told.session} of ${told.server} is ready`, "ready"); break;
    case "session_down": note(`session ${told.session} of ${told.server} has ended: ${told.reason}`, told.end); break;
    case "attempt_failed": note(`cannot connect to ${told.server}: ${told.reason}`, "down"); break;
    case "forward": note(`${told.forward.name ?? told.forward.spec}: ${words(told.forward.state)}${told.forward.reason ? `: ${told.forward.reason}` : ""}`, told.forward.state); break;
    case "reloaded": note(told.text, ""); break;
  }
  draw();
}
// Those that ended before we came.
async function recall() {
  const answer = await fetch("/v1/connections?state=ended").catch(() => null);
  if (!answer || !answer.ok) return;
  ended = (await answer.json()).connections.reverse().slice(0, MOST_ENDED);
  draw();
}
function listen() {
  if (source) source.close();
  source = new EventSource("/v1/events");
  source.onmessage = (message) => take(JSON.parse(message.data));
  source.onerror = () => {
    const isOver = source.readyState === EventSource.CLOSED;
    tell(isOver ? "this browser is not let in any more: ask for another link" : "no answer; trying again …", "down");
    if (isOver) setTimeout(listen, 5000);
  };
}
// A page that nobody sees asks for nothing.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) source.close();
  else listen();
});

// What the user does.

function show(name) {
  view = name;
  for (const other of VIEWS) {
    at(other).hidden = other !== name;
    const tab = at(`tab-${other}`);
    tab.setAttribute("aria-selected", other === name);
    tab.tabIndex = other === name ? 0 : -1;
  }
  at(`tab-${name}`).scrollIntoView({ block: "nearest", inline: "nearest" });
  if (location.hash !== `#${name}`) history.replaceState(null, "", `#${name}`);
  if (name === "rules") drawRules();
  draw();
}
setInterval(() => { if (view === "rules" && !paused && !document.hidden) drawRules(); }, 3000);
for (const name of VIEWS) at(`tab-${name}`).addEventListener("click", () => show(name));
document.querySelector("nav").addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  const next = VIEWS[(VIEWS.indexOf(view) + step + VIEWS.length) % VIEWS.length];
  show(next);
  at(`tab-${next}`).focus();
});
window.addEventListener("hashchange", () => { if (VIEWS.includes(location.hash.slice(1))) show(location.hash.slice(1)); });

at("filter").addEventListener("input", draw);
at("filter").addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown" || event.key === "Enter") table.body.focus();
  if (event.key === "Escape") { at("filter").value = ""; draw(); table.body.focus(); }
});
at("with-ended").addEventListener("change", draw);
function pause() {
  paused = !paused;
  at("pause").setAttribute("aria-pressed", paused);
  at("pause").textContent = paused ? "Go on" : "Pause";
  draw();
}
at("pause").addEventListener("click", pause);
function theme(next) {
  if (next) document.documentElement.dataset.theme = next;
  else delete document.documentElement.dataset.theme;
  at("theme").textContent = next ? { light: "Light", dark: "Dark" }[next] : "Theme";
  try { next ? localStorage.setItem("theme", next) : localStorage.removeItem("theme"); } catch { /* it is not kept */ }
  if (status) draw();
}
const nextTheme = () => theme({ undefined: "light", light: "dark", dark: null }[document.documentElement.dataset.theme]);
at("theme").addEventListener("click", nextTheme);
at("help-open").addEventListener("click", () => at("help").showModal());
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.target.matches("input")) return;
  const number = Number(event.key);
  if (number >= 1 && number <= VIEWS.length) show(VIEWS[number - 1]);
  else if (event.key === "/") { show("connections"); at("filter").focus(); }
  else if (event.key === "p") pause();
  else if (event.key === "t") nextTheme();
  else if (event.key === "?") at("help").showModal();
  else return;
  event.preventDefault();
});
try { theme(["light", "dark"].find((known) => known === localStorage.getItem("theme")) ?? null); } catch { /* as the system */ }
show(VIEWS.find((known) => `#${known}` === location.hash) ?? "overview");
listen();
