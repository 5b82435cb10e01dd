// Small charts as SVG: lines over time, with a threshold and marks, on one time axis.

import { h } from "./dom.js";
import { number } from "./format.js";

/** @typedef {{name: string, points: [number, number][], kind: string}} Series */

const WIDTH = 320;
const HEIGHT = 90;
const LEFT = 44;
const BOTTOM = 16;
const TOP = 6;

/**
 * Lines over time. The text beside it says the same for who does not see it.
 *
 * @param {{title: string, unit?: string, series: Series[], from: number, to: number,
 *   limit?: number | null, marks?: {at: number, text: string}[]}} chart times in epoch seconds
 */
export function lines({ title, unit = "", series, from, to, limit = null, marks = [] }) {
  const values = series.flatMap((one) => one.points.map(([, value]) => value));
  if (limit !== null) values.push(limit);
  const low = Math.min(0, ...values);
  const most = Math.max(...values, low);
  const high = most > low ? most : low + 1;
  const span = Math.max(to - from, 1);
  const x = (/** @type {number} */ at) => LEFT + ((at - from) / span) * (WIDTH - LEFT - 4);
  const y = (/** @type {number} */ value) => TOP + (1 - (value - low) / (high - low)) * (HEIGHT - TOP - BOTTOM);
  const said = series.map((one) => `${one.name} ${number(one.points.at(-1)?.[1], 2)}${unit}`).join(", ");
  return h("figure", { class: "chart" },
    h("figcaption", null, title, h("span", { class: "legend" },
      series.map((one) => h("span", { class: one.kind }, ` ${one.name} ${number(one.points.at(-1)?.[1], 2)}${unit}`)))),
    h("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${title}: ${said || "no data"}` },
      h("line", { class: "axis", x1: LEFT, x2: WIDTH - 4, y1: y(low), y2: y(low) }),
      h("text", { x: LEFT - 4, y: y(high) + 9, "text-anchor": "end" }, number(high, 2)),
      h("text", { x: LEFT - 4, y: y(low), "text-anchor": "end" }, number(low, 2)),
      h("text", { x: LEFT, y: HEIGHT - 3 }, clock(from)),
      h("text", { x: WIDTH - 4, y: HEIGHT - 3, "text-anchor": "end" }, clock(to)),
      limit !== null && h("line", { class: "limit", x1: LEFT, x2: WIDTH - 4, y1: y(limit), y2: y(limit) }),
      marks.filter((mark) => mark.at >= from && mark.at <= to).map((mark) =>
        h("line", { class: "mark", x1: x(mark.at), x2: x(mark.at), y1: TOP, y2: HEIGHT - BOTTOM }, h("title", null, mark.text))),
      series.map((one) => path(one, x, y, from))));
}

/**
 * @param {Series} series
 * @param {(at: number) => number} x
 * @param {(value: number) => number} y
 * @param {number} from
 */
function path(series, x, y, from) {
  const points = series.points.filter(([at]) => at >= from);
  if (points.length === 1) {
    return h("circle", { class: series.kind, cx: x(points[0][0]).toFixed(1), cy: y(points[0][1]).toFixed(1), r: 2.5 });
  }
  const steps = points.map(([at, value], index) => `${index ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`);
  return h("path", { class: series.kind, d: steps.join("") });
}

/** @param {number} seconds */
function clock(seconds) {
  return new Date(seconds * 1000).toISOString().slice(11, 16);
}
