// Drift: what the model's monitor found, run after run.

import { lines } from "./chart.js";
import { h } from "./dom.js";
import { number } from "./format.js";
import { Panel, chip, table } from "./panel.js";
import { store } from "./store.js";

/** @typedef {import("./types").Drift} Drift */
/** @typedef {[string, number][]} Points */

/** @type {[string, string][]} */
const CHARTS = [
  ["MaximumPsi", "Largest change of a column (PSI)"], ["PredictionPsi", "Change of the predictions (PSI)"],
  ["ConfidencePsi", "Change of the confidence (PSI)"], ["LiveAccuracy", "Live accuracy"],
  ["LiveMeanAbsoluteError", "Live mean absolute error"], ["Rows", "Rows a run"],
];

export class DriftPanel extends Panel {
  static sections = ["drift"];
  static heading = "Drift";

  note() {
    const states = (store.state.drift?.items ?? []).map((one) => newest(one.metrics.Drift));
    const known = states.filter((value) => value !== undefined);
    return known.length === 0 ? null : known.some((value) => value === 1) ? chip("drift", "bad") : chip("no drift", "good");
  }

  commands() {
    return ["localcloud drift --help", "aws cloudwatch list-metrics --namespace MlopsLab/Monitor"];
  }

  body() {
    const found = store.state.drift?.items ?? [];
    if (found.length === 0) return h("p", { class: "empty" }, "The monitor has not run yet. It compares what production is asked with the training data every hour.");
    return found.map((one) => this.endpoint(one));
  }

  /** @param {Drift} one */
  endpoint(one) {
    const all = Object.values(one.metrics).flat().map(([at]) => Date.parse(at) / 1000);
    const [from, to] = [Math.min(...all) - 60, Math.max(...all) + 60];
    const points = (/** @type {Points} */ given) => given.map(([at, value]) => /** @type {[number, number]} */ ([Date.parse(at) / 1000, value]));
    const columns = Object.entries(one.columns);
    return h("article", { key: one.endpoint },
      h("h3", null, one.endpoint, " ", newest(one.metrics.Drift) === 1 ? chip("drift", "bad") : newest(one.metrics.Drift) === 0 ? chip("no drift", "good") : chip("not judged yet"),
        newest(one.metrics.Failed) === 1 && chip("the monitor failed", "bad")),
      h("div", { class: "charts" }, CHARTS.filter(([name]) => one.metrics[name]?.length).map(([name, title]) =>
        lines({ title, from, to, series: [{ name: "now", kind: "a", points: points(one.metrics[name]) }] }))),
      columns.length > 0 && table(`Columns of ${one.endpoint}`, ["Column", "Change (PSI)", "Missing"],
        columns.sort(([, a], [, b]) => (newest(b.Psi) ?? 0) - (newest(a.Psi) ?? 0))
          .map(([name, metrics]) => [name, number(newest(metrics.Psi)), number(newest(metrics.MissingShare))])));
  }
}

/** @param {Points | undefined} points */
function newest(points) {
  return points?.at(-1)?.[1];
}
