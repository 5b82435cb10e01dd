// The header: whose cloud this is, its time, its address, and whatever is unhealthy.

import { advance } from "./api.js";
import { h, render } from "./dom.js";
import { Panel, announce, copyButton } from "./panel.js";
import { store } from "./store.js";

const WORDS = { connecting: "connecting", live: "live", lost: "connection lost, trying again" };

export class Header extends Panel {
  static sections = ["cloud", "approvals", "alarms"];

  constructor() {
    super();
    this.timer = 0;
    this.said = "";
    this.advancing = "";
  }

  connectedCallback() {
    super.connectedCallback();
    this.timer = window.setInterval(() => this.update(), 1000);
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    clearInterval(this.timer);
  }

  update() {
    if (this.said !== store.connection) {
      if (this.said) announce(WORDS[store.connection]);
      this.said = store.connection;
    }
    render(this, this.view());
  }

  view() {
    const { cloud, approvals = [], alarms } = store.state;
    const now = new Date(store.now());
    document.title = approvals.length ? `(${approvals.length}) localcloud` : "localcloud";
    const unhealthy = cloud?.unhealthy.items ?? [];
    return [
      h("div", { class: "top" },
        h("h1", null, "localcloud ", h("small", null, cloud ? `v${cloud.version}` : "")),
        h("p", { class: `state ${store.connection}`, role: "status" },
          h("span", { "aria-hidden": "true" }, store.connection === "live" ? "● " : "○ "),
          WORDS[store.connection]),
        approvals.length > 0 && h("a", { class: "jump", href: "#approval" },
          approvals.length === 1 ? "1 approval waits for you" : `${approvals.length} approvals wait for you`),
        (alarms?.inAlarm ?? 0) > 0 && h("a", { class: "jump bad", href: "#alarms" },
          alarms?.inAlarm === 1 ? "1 alarm" : `${alarms?.inAlarm} alarms`)),
      cloud && h("dl", { class: "facts wide" },
        fact("Account", cloud.account), fact("Region", cloud.region),
        fact("Permissions", { log: "recorded", enforce: "enforced", off: "not checked" }[cloud.iam] ?? cloud.iam),
        fact("Address", h("span", null, h("code", null, cloud.address), " ",
          copyButton("Copy exports", exports(cloud)))),
        fact("Time", h("span", { class: "clock" },
          h("time", { datetime: now.toISOString() }, now.toISOString().slice(0, 19).replace("T", " "), " UTC"),
          h("span", { class: "muted" }, cloud.speed === 1 ? " real time" : ` ×${cloud.speed}`),
          " ", this.step("+15 min", 900), " ", this.step("+1 h", 3600)))),
      this.problem && h("p", { class: "problem", role: "alert" }, this.problem),
      unhealthy.length > 0 && h("div", { class: "problem", role: "alert" },
        h("strong", null, "Unhealthy"), h("ul", null, unhealthy.map((text) => h("li", null, text)))),
    ];
  }

  /**
   * @param {string} name
   * @param {number} seconds
   */
  step(name, seconds) {
    return h("button", {
      type: "button",
      disabled: this.advancing !== "",
      onclick: () => this.run(async () => {
        this.advancing = name;
        this.update();
        try {
          await advance(seconds);
        } finally {
          this.advancing = "";
        }
      }),
    }, this.advancing === name ? "advancing…" : name, h("span", { class: "hidden" }, " of AWS time"));
  }
}

/**
 * @param {string} name
 * @param {import("./types").Child} value
 */
export function fact(name, value) {
  return h("div", null, h("dt", null, name), h("dd", null, value));
}

/** @param {import("./types").Cloud} cloud */
function exports(cloud) {
  return [
    `export AWS_ENDPOINT_URL=${cloud.address}`,
    `export AWS_ACCESS_KEY_ID=${cloud.account}`,
    "export AWS_SECRET_ACCESS_KEY=localcloud",
    `export AWS_DEFAULT_REGION=${cloud.region}`,
  ].join("\n");
}
