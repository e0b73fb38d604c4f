// One connection of the table. Everything that comes from outside is put in as text, never as markup.

const STATES = {
  valid: { label: "Valid", title: "The stored token has not ended." },
  refused: { label: "Refused", title: "The token endpoint refused; it is not asked again for a while." },
  expired: { label: "Expired", title: "The stored token has ended; the next task asks for a new one." },
  none: { label: "No token", title: "No token is stored; the next task asks for one." },
  unseen: { label: "None here", title: "This store holds no token. One that is kept elsewhere is not visible from here." },
  unavailable: { label: "Store unreachable", title: "The token store does not answer here. Tasks that cannot reach it go on, each with a token of its own." },
  error: { label: "Not readable", title: "The state of this connection cannot be read." },
  pending: { label: "Looking…", title: "There are many connections, or the store is slow: this one comes next." },
};
const MOST_SCOPES = 6;

export const ORDER = Object.keys(STATES);
export const labelOf = (state) => STATES[state].label;

export function duration(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  const two = (number) => String(number).padStart(2, "0");
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${two(s % 60)} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${two(Math.floor((s % 3600) / 60))} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

// Without the smaller unit: "12 min ago" is enough.
const roughly = (seconds) => duration(seconds).split(" ").slice(0, 2).join(" ");

export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export class Row {
  constructor(template, act) {
    this.element = template.content.firstElementChild.cloneNode(true);
    this.parts = Object.fromEntries([...this.element.querySelectorAll("[data-is]")].map((part) => [part.dataset.is, part]));
    for (const action of ["test", "forget"]) this.parts[action].addEventListener("click", () => act(this, action));
    this.parts.dismiss.addEventListener("click", () => this.tell(null));
    this.changedAt = 0;
    this.busy = false;
    this.tell(null);
  }

  update(data, { testsEnabled, shared }) {
    this.data = data;
    this.shared = shared;
    const { parts } = this;
    setText(parts.conn_id, data.conn_id);
    setText(parts.fingerprint, data.fingerprint ?? "");
    setText(parts.made, data.requests_made == null ? "–" : `${data.requests_made.toLocaleString()} made`);
    setText(parts.saved, data.requests_saved == null ? "" : `${data.requests_saved.toLocaleString()} saved`);
    this.showScopes(data.scope ?? "");
    setText(parts.message, data.error ?? data.refusal ?? "");
    parts.test.hidden = parts.forget.hidden = !data.may_edit;
    parts.test.disabled = this.busy || !testsEnabled;
    parts.forget.disabled = this.busy;
    parts.test.title = testsEnabled
      ? "Fetch a new token now, put it in place of the stored one and end a remembered refusal. Costs a token request."
      : "Testing connections is off in this Airflow: [core] test_connection is not Enabled.";
    parts.forget.title = "Forget the stored token and remembered refusals: the next task asks for a new token.";
  }

  showScopes(scope) {
    if (this.scope === scope) return;
    this.scope = scope;
    const all = scope.split(" ").filter(Boolean);
    const chips = all.slice(0, MOST_SCOPES).map((name) => chip(name, name));
    if (all.length > MOST_SCOPES) chips.push(chip(`+${all.length - MOST_SCOPES}`, all.slice(MOST_SCOPES).join(" ")));
    this.parts.scopes.replaceChildren(...chips);
  }

  // What passes with time alone; `now` is the server's clock.
  tick(now) {
    const { data, parts } = this;
    const left = data.expires_at == null ? null : data.expires_at - now;
    const whole = left == null ? 0 : data.expires_at - data.issued_at;
    this.showState(left, now);
    setText(parts.left, left == null ? "–" : left > 0 ? duration(left) : `ended ${roughly(-left)} ago`);
    setText(parts.issued, left == null ? "" : `of ${roughly(whole)}, issued ${roughly(now - data.issued_at)} ago`);
    const share = left == null || whole <= 0 ? 0 : Math.min(1, Math.max(0, left / whole));
    parts.life.dataset.living = left > 0;
    parts.bar.hidden = left == null || left <= 0;
    parts.bar.firstElementChild.style.width = `${(100 * share).toFixed(1)}%`;
    parts.bar.dataset.low = share < 0.1;
    this.showRefusal(now);
  }

  showState(left, now) {
    let { state } = this.data;
    if (state === "refused" && now >= this.data.refused_until) state = left == null ? "none" : "valid";
    if (state === "valid" && left <= 0) state = "expired";
    if (state === "none" && !this.shared) state = "unseen";
    this.state = state;
    this.element.dataset.state = state;
    setText(this.parts.badge, STATES[state].label);
    this.parts.badge.title = STATES[state].title;
  }

  showRefusal(now) {
    const { data, parts } = this;
    parts.refusal.hidden = !data.error && !data.refusal;
    if (data.error || !data.refusal) {
      setText(parts.refused, "");
      return;
    }
    const ago = `${roughly(now - data.refused_at)} ago`;
    const ended = now >= data.refused_until;
    parts.refusal.dataset.ended = ended;
    setText(parts.refused, ended ? `Last refusal ${ago}:` : `Refused ${ago}, not asked again for ${duration(data.refused_until - now)}:`);
  }

  tell(outcome) {
    this.parts.outcome.hidden = outcome == null;
    setText(this.parts.said, outcome?.said ?? "");
    this.parts.outcome.dataset.worked = outcome?.worked ?? "";
  }

  matches(state, words) {
    if (state && this.state !== state) return false;
    const text = `${this.data.conn_id} ${this.data.scope ?? ""}`.toLowerCase();
    return words.every((word) => text.includes(word));
  }
}

function chip(text, title) {
  const element = document.createElement("span");
  element.className = "chip";
  element.textContent = text;
  element.title = title;
  return element;
}
