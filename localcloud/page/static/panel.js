// A panel: a heading, its JSON and its commands, and a view that is drawn when a section changes.

import { h, render } from "./dom.js";
import { ICONS, judged } from "./format.js";
import { store } from "./store.js";

/** @typedef {import("./types").Child} Child */

const SURE_MILLISECONDS = 4000;

/** Say something to a screen reader. @param {string} text */
export function announce(text) {
  const region = document.getElementById("announcements");
  if (region) region.textContent = text;
}

/**
 * A status as icon, word and colour.
 *
 * @param {string | null | undefined} status
 * @param {import("./format.js").Kind} [kind] instead of the one that the word has
 */
export function chip(status, kind = judged(status).kind) {
  return h("span", { class: `chip ${kind}` },
    h("span", { "aria-hidden": "true" }, ICONS[kind]), ` ${judged(status).word}`);
}

/**
 * A table that scrolls by itself when it is too wide.
 *
 * @param {string} label
 * @param {Child[]} heads
 * @param {Child[][]} rows
 */
export function table(label, heads, rows) {
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label },
    h("table", null,
      h("thead", null, h("tr", null, heads.map((head) => h("th", { scope: "col" }, head)))),
      h("tbody", null, rows.map((row) => h("tr", null, row.map((cell) => h("td", null, cell)))))));
}

export class Panel extends HTMLElement {
  /** The sections that are shown. @type {string[]} */
  static sections = [];
  static heading = "";

  constructor() {
    super();
    /** @type {() => void} */
    this.end = () => {};
    /** @type {Map<string, number>} */
    this.asked = new Map();
    this.problem = "";
  }

  connectedCallback() {
    const kind = /** @type {typeof Panel} */ (this.constructor);
    this.end = store.watch(kind.sections, () => this.update());
    this.update();
  }

  disconnectedCallback() {
    this.end();
  }

  update() {
    render(this, this.view());
  }

  /** @returns {Child} */
  view() {
    const kind = /** @type {typeof Panel} */ (this.constructor);
    const id = `${this.localName}-heading`;
    return h("section", { class: "panel", "aria-labelledby": id },
      h("div", { class: "bar" },
        h("h2", { id }, kind.heading, " ", this.note()),
        h("div", { class: "tools" },
          h("button", { type: "button", onclick: () => this.showJson() }, "as JSON",
            h("span", { class: "hidden" }, `: ${kind.heading}`)),
          h("button", { type: "button", onclick: () => this.showCli() }, "as CLI",
            h("span", { class: "hidden" }, `: ${kind.heading}`)))),
      this.problem && h("p", { class: "problem", role: "alert" }, this.problem),
      this.body());
  }

  /** What stands beside the heading. @returns {Child} */
  note() {
    return null;
  }

  /** @returns {Child} */
  body() {
    return null;
  }

  /** The commands that show or do the same. @returns {string[]} */
  commands() {
    return ["localcloud status --json"];
  }

  showJson() {
    const kind = /** @type {typeof Panel} */ (this.constructor);
    const shown = Object.fromEntries(
      kind.sections.map((name) => [name, /** @type {any} */ (store.state)[name]]));
    showText(`${kind.heading} as JSON`, JSON.stringify(shown, null, 2));
  }

  showCli() {
    const kind = /** @type {typeof Panel} */ (this.constructor);
    const address = store.state.cloud?.address ?? location.origin;
    const lines = [`export AWS_ENDPOINT_URL=${address}`, ...this.commands()];
    showText(`${kind.heading} as CLI`, lines.join("\n"));
  }

  /**
   * A button that acts when it is pressed a second time.
   *
   * @param {string} name
   * @param {() => Promise<any>} act
   * @param {{class?: string, key?: string, sure?: string, disabled?: boolean}} [more]
   */
  sure(name, act, more = {}) {
    const key = more.key ?? name;
    const asked = (this.asked.get(key) ?? 0) > performance.now();
    return h("button", {
      type: "button",
      key: `sure ${key}`,
      class: `${more.class ?? ""} ${asked ? "asked" : ""}`,
      disabled: more.disabled ?? false,
      onclick: () => {
        if (asked) {
          this.asked.delete(key);
          this.run(act);
          return;
        }
        this.asked.set(key, performance.now() + SURE_MILLISECONDS);
        announce(`${name}: press again to confirm`);
        setTimeout(() => this.update(), SURE_MILLISECONDS + 50);
        this.update();
      },
    }, asked ? (more.sure ?? `${name}: press again`) : name);
  }

  /** @param {() => Promise<any>} act */
  async run(act) {
    this.problem = "";
    try {
      await act();
    } catch (error) {
      this.problem = error instanceof Error ? error.message : String(error);
    }
    this.update();
  }
}

/**
 * Show a text that can be copied.
 *
 * @param {string} title
 * @param {string} text
 */
export function showText(title, text) {
  const dialog = document.createElement("dialog");
  const close = () => dialog.close();
  dialog.setAttribute("aria-label", title);
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) close(); });
  render(dialog, h("div", { class: "sheet" },
    h("div", { class: "bar" }, h("h2", null, title),
      h("div", { class: "tools" }, copyButton("Copy", text),
        h("button", { type: "button", onclick: close }, "Close"))),
    h("pre", { tabindex: "0" }, text)));
  document.body.append(dialog);
  dialog.showModal();
}

/**
 * @param {string} name
 * @param {string} text
 * @param {string} [what] is copied, for who does not see where the button is
 */
export function copyButton(name, text, what = "") {
  return h("button", {
    type: "button",
    onclick: async (/** @type {MouseEvent} */ event) => {
      const button = /** @type {HTMLButtonElement} */ (event.currentTarget);
      try {
        await navigator.clipboard.writeText(text);
        announce("copied");
        button.classList.add("done");
        setTimeout(() => button.classList.remove("done"), 1200);
      } catch {
        announce("the browser refused to copy");
      }
    },
  }, name, what && h("span", { class: "hidden" }, ` ${what}`));
}
