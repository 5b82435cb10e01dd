// One stream of the services' events and of the calls of AWS's APIs, with role and verdict.

import { h } from "./dom.js";
import { Panel, chip } from "./panel.js";
import { store } from "./store.js";

/** @typedef {import("./types").Entry} Entry */

const KINDS = /** @type {const} */ ({ event: "events", call: "calls", denied: "not granted" });
const MOST_SHOWN = 120;

export class EventsPanel extends Panel {
  static sections = ["events"];
  static heading = "Events and calls";

  constructor() {
    super();
    this.filter = "";
    this.reads = false;
    /** @type {Set<string>} */
    this.hiddenKinds = new Set();
    /** The entries at the time of the pause. @type {Entry[] | null} */
    this.paused = null;
  }

  update() {
    // A pause keeps what is shown, and a reader's place in it.
    if (!this.paused || this.dirty) super.update();
    this.dirty = false;
  }

  draw() {
    this.dirty = true;
    this.update();
  }

  /** @type {boolean} */
  dirty = true;

  note() {
    const total = store.state.events?.total ?? 0;
    return h("small", null, this.paused ? "paused" : `${total.toLocaleString("en-GB")} since the start`);
  }

  commands() {
    return ["localcloud iam", "localcloud status --json | jq .events"];
  }

  body() {
    const all = this.paused ?? store.state.events?.items ?? [];
    const words = this.filter.toLowerCase();
    const shown = all.filter((entry) => !this.hiddenKinds.has(entry.kind) && (this.reads || !entry.reads)
      && `${entry.what} ${entry.text} ${entry.status}`.toLowerCase().includes(words)).slice(-MOST_SHOWN).reverse();
    return [
      h("div", { class: "buttons" },
        h("label", null, "Filter ", h("input", {
          type: "search",
          oninput: (/** @type {InputEvent} */ event) => { this.filter = /** @type {HTMLInputElement} */ (event.target).value; this.draw(); },
        })),
        Object.entries(KINDS).map(([kind, name]) => h("label", { key: kind, class: "pick" }, h("input", {
          type: "checkbox", checked: !this.hiddenKinds.has(kind),
          onchange: () => { if (!this.hiddenKinds.delete(kind)) this.hiddenKinds.add(kind); this.draw(); },
        }), ` ${name}`)),
        h("label", { key: "reads", class: "pick" }, h("input", {
          type: "checkbox", checked: this.reads, onchange: () => { this.reads = !this.reads; this.draw(); },
        }), " calls that only read"),
        h("button", { type: "button", "aria-pressed": String(this.paused !== null), onclick: () => {
          this.paused = this.paused ? null : [...(store.state.events?.items ?? [])];
          this.draw();
        } }, this.paused ? "Go on" : "Pause")),
      shown.length === 0 ? h("p", { class: "empty" }, "Nothing to show.")
        : h("ol", { class: "entries", tabindex: "0", "aria-label": "Events and calls, newest first" }, shown.map((entry) => this.entry(entry))),
    ];
  }

  /** @param {Entry} entry */
  entry(entry) {
    return h("li", { key: entry.number, class: entry.kind },
      h("time", { datetime: entry.at }, entry.at.slice(11, 19)),
      h("span", { class: "what" }, entry.what),
      entry.status && chip(entry.status),
      h("span", { class: "muted" }, entry.text, entry.milliseconds === undefined ? "" : ` · ${entry.milliseconds} ms`));
  }
}
