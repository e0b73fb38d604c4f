// Asks for the state of all tokens every few seconds while the page is seen, and lets the seconds pass in between.

import { ORDER, Row, duration, labelOf, setText } from "./row.js";

const EVERY_MS = 5000;
const SOON_MS = 1000;
const REQUEST_TIMEOUT_MS = 20000;
const ACTION_TIMEOUT_MS = 120000;

const by = (id) => document.getElementById(id);
const rows = new Map();
const shown = { state: null, words: [] };
const settings = { testsEnabled: false, shared: false };
const clock = { offset: 0, updatedAt: 0 };
let timer = null;
let refreshing = false;

// The server's clock: that of this machine may be wrong.
const now = () => clock.offset + performance.now() / 1000;

async function refresh() {
  clearTimeout(timer);
  if (document.hidden || refreshing) return;
  refreshing = true;
  const began = performance.now();
  let pause = EVERY_MS;
  try {
    const response = await fetch("tokens", { headers: { Accept: "application/json" }, signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) });
    if (response.status === 401 || response.status === 403) {
      live("ended", response.status === 401 ? "Signed out: reload the page" : "You may no longer see connections: reload the page");
      return;
    }
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    const data = await response.json();
    clock.offset = data.now - performance.now() / 1000;
    clock.updatedAt = performance.now();
    live("live", "Live");
    show(data, began);
    if (data.connections.some(({ state }) => state === "pending")) pause = SOON_MS;
  } catch {
    live("lost", "Airflow does not answer; trying again");
  } finally {
    refreshing = false;
  }
  timer = setTimeout(refresh, pause);
}

function show(data, began) {
  settings.testsEnabled = data.tests_enabled;
  settings.shared = data.store.shared;
  showStore(data.store);
  const present = new Set(data.connections.map(({ conn_id: id }) => id));
  for (const [id, row] of rows) {
    if (!present.has(id)) {
      row.element.remove();
      rows.delete(id);
    }
  }
  let last = by("table").tHead;
  for (const connection of data.connections) {
    let row = rows.get(connection.conn_id);
    if (!row) {
      row = new Row(by("row"), act);
      rows.set(connection.conn_id, row);
    }
    // What was asked for before a button was pressed is older than what the button brought.
    if (row.changedAt <= began) row.update(connection, settings);
    if (last.nextElementSibling !== row.element) last.after(row.element);
    last = row.element;
  }
  by("empty").hidden = rows.size > 0;
  by("table").hidden = by("tools").hidden = rows.size === 0;
  by("page").setAttribute("aria-busy", "false");
  tick();
}

function showStore(store) {
  by("store").hidden = false;
  by("store").dataset.works = store.works;
  setText(by("where"), store.where ?? "");
  setText(by("prefix"), store.prefix ? `prefix ${store.prefix}` : "");
  setText(by("reach"), store.works ? store.reach : "not reachable from here");
  setText(by("note"), store.works || !store.where ? store.note : `${store.note} It does not answer now; Airflow looks again within half a minute.`);
}

function tick() {
  const seconds = now();
  for (const row of rows.values()) row.tick(seconds);
  filter();
  const ageMs = performance.now() - clock.updatedAt;
  if (by("live").dataset.state === "live") setText(by("live"), ageMs < 2 * EVERY_MS ? "Live" : `${duration(ageMs / 1000)} old`);
}

function live(state, text) {
  by("live").dataset.state = state;
  setText(by("live"), text);
}

function filter() {
  const counts = new Map([[null, rows.size]]);
  let matching = 0;
  for (const row of rows.values()) {
    counts.set(row.state, (counts.get(row.state) ?? 0) + 1);
    const matches = row.matches(shown.state, shown.words);
    row.element.hidden = !matches;
    matching += matches;
  }
  if (!counts.has(shown.state)) shown.state = null;
  by("none-match").hidden = matching > 0 || rows.size === 0;
  for (const button of by("filters").children) {
    const state = button.dataset.state || null;
    button.hidden = !counts.get(state);
    button.setAttribute("aria-pressed", state === shown.state);
    setText(button.lastElementChild, String(counts.get(state) ?? 0));
  }
}

async function act(row, action) {
  const { conn_id: id } = row.data;
  const button = row.parts[action];
  const label = button.textContent;
  row.busy = true;
  row.tell(null);
  row.update(row.data, settings);
  button.textContent = action === "test" ? "Testing…" : "Forgetting…";
  try {
    const response = await fetch(`${action}/${encodeURIComponent(id)}`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Requested-With": "airflow-oauth2-tokens" },
      body: "{}",
      signal: AbortSignal.timeout(ACTION_TIMEOUT_MS),
    });
    const answer = await response.json();
    if (response.ok) row.data = answer.connection;
    row.tell(response.ok ? answer : { worked: false, said: String(answer.detail) });
  } catch {
    row.tell({ worked: false, said: "Airflow did not answer." });
  }
  row.busy = false;
  row.changedAt = performance.now();
  button.textContent = label;
  row.update(row.data, settings);
  tick();
}

function makeFilters() {
  for (const state of [null, ...ORDER]) {
    const button = document.createElement("button");
    const count = document.createElement("b");
    button.type = "button";
    button.dataset.state = state ?? "";
    button.append(state ? labelOf(state) : "All", " ", count);
    button.addEventListener("click", () => {
      shown.state = shown.state === state ? null : state;
      filter();
    });
    by("filters").append(button);
  }
  by("search").addEventListener("input", ({ target }) => {
    shown.words = target.value.toLowerCase().split(/\s+/).filter(Boolean);
    filter();
  });
}

makeFilters();
document.addEventListener("visibilitychange", refresh);
setInterval(() => document.hidden || tick(), 1000);
refresh();
