// Alarms: the state of each, as a band over time and in words.

import { h } from "./dom.js";
import { duration, number, time } from "./format.js";
import { Panel, chip } from "./panel.js";
import { store } from "./store.js";

/** @typedef {import("./types").Alarm} Alarm */

/** @type {Record<string, string>} */
const SIGNS = {
  GreaterThanThreshold: ">", GreaterThanOrEqualToThreshold: "≥", LessThanThreshold: "<", LessThanOrEqualToThreshold: "≤",
};

export class AlarmsPanel extends Panel {
  static sections = ["alarms"];
  static heading = "Alarms";

  note() {
    const found = store.state.alarms;
    if (!found?.count) return null;
    return found.inAlarm ? chip(`${found.inAlarm} in ALARM`) : chip("none in alarm", "good");
  }

  commands() {
    return ["aws cloudwatch describe-alarms", "aws cloudwatch describe-alarm-history"];
  }

  body() {
    const found = store.state.alarms;
    if (!found?.items.length) return h("p", { class: "empty" }, "There is no alarm yet.");
    return [
      h("ul", { class: "list" }, found.items.map((one) => this.alarm(one))),
      found.items.length < found.count && h("p", { class: "muted" }, `${found.items.length} of ${found.count}.`),
    ];
  }

  /** @param {Alarm} one */
  alarm(one) {
    const neutral = one.neutral && one.state === "ALARM";
    const condition = one.rule ?? (one.metric ? `${one.metric} ${SIGNS[one.comparison ?? ""] ?? one.comparison ?? ""} ${number(one.threshold)}` : "metric math");
    const newest = one.datapoints.filter((value) => value !== null).slice(-5).map((value) => number(value, 2)).join(", ");
    return h("li", { key: one.name },
      h("div", { class: "line" }, h("strong", { class: "grow name" }, one.name),
        neutral ? chip("low traffic, may scale in", "still") : chip(one.state),
        one.since && h("span", { class: "muted" }, `for ${duration((store.now() - Date.parse(one.since)) / 1000)}`)),
      band(one),
      h("p", { class: "muted" }, condition, newest ? `; newest datapoints ${newest}` : "",
        one.actions.length ? `; triggers ${one.actions.map((arn) => arn.split(/[/:]/).pop()).join(", ")}` : ""),
      one.state === "ALARM" && !neutral && h("p", { class: "text" }, one.reason));
  }
}

/** A band of the latest states, to scale. @param {Alarm} one */
function band(one) {
  const now = store.now();
  const changes = one.changes.map((change) => ({ ...change, ms: Date.parse(change.at) }));
  if (changes.length === 0) return null;
  const from = changes[0].ms;
  const span = Math.max(now - from, 1);
  const said = changes.map((change) => `${change.state} since ${time(change.at)}`).join(", ");
  return h("svg", { class: "band", viewBox: "0 0 1000 10", preserveAspectRatio: "none", role: "img", "aria-label": said },
    changes.map((change, index) => {
      const end = changes[index + 1]?.ms ?? now;
      return h("rect", { key: change.at, class: one.neutral ? "still" : change.state === "ALARM" ? "bad" : change.state === "OK" ? "good" : "still",
        x: ((change.ms - from) / span * 1000).toFixed(1), width: Math.max((end - change.ms) / span * 1000, 2).toFixed(1), y: 0, height: 10 });
    }));
}
