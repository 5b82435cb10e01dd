// Endpoints: their instances, the traffic of their variants, live figures, scaling, and a request.

import { invoke } from "./api.js";
import { lines } from "./chart.js";
import { h } from "./dom.js";
import { duration, number, time } from "./format.js";
import { fact } from "./header.js";
import { Panel, chip, copyButton } from "./panel.js";
import { store } from "./store.js";

/** @typedef {import("./types").Endpoint} Endpoint */
/** @typedef {import("./types").Variant} Variant */
/** @typedef {import("./types").Instance} Instance */
/** @typedef {{body: string, type: string, accept: string, answer: string}} Trial */

const SHOWN_SECONDS = 900;
const TYPES = ["text/csv", "application/json", "application/jsonlines"];
// More cards than these begin folded, so that a hundred endpoints stay easy to look through.
const MOST_OPEN = 3;

const INVOCATIONS = "SageMakerVariantInvocationsPerInstance";
const CONCURRENT = "SageMakerVariantConcurrentRequestsPerModelHighResolution";

/** The unit of a policy's target. @param {import("./types").Scaling["policies"][0]} policy */
function unit(policy) {
  if (policy.metric === INVOCATIONS) return "invocations a minute";
  return policy.metric === CONCURRENT ? "requests at once" : "of another metric";
}

export class EndpointsPanel extends Panel {
  static sections = ["endpoints", "metrics"];
  static heading = "Endpoints";

  constructor() {
    super();
    /** @type {Map<string, Trial>} */
    this.trials = new Map();
    /** @type {Map<string, boolean>} */
    this.opened = new Map();
    this.timer = 0;
  }

  connectedCallback() {
    super.connectedCallback();
    this.timer = window.setInterval(() => { if (store.state.metrics?.length || this.isMoving()) this.update(); }, 1000);
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    clearInterval(this.timer);
  }

  isMoving() {
    return (store.state.endpoints?.items ?? []).some((one) => one.deployment);
  }

  note() {
    const found = store.state.endpoints;
    if (!found) return null;
    const shown = found.items.length;
    return h("small", null, shown < found.count ? `${shown} of ${found.count}` : String(found.count));
  }

  commands() {
    return (store.state.endpoints?.items ?? []).slice(0, 3).flatMap((one) => [
      `aws sagemaker describe-endpoint --endpoint-name ${one.name}`,
      `localcloud invoke ${one.name} -- "$ROW"`,
    ]);
  }

  body() {
    const found = store.state.endpoints?.items ?? [];
    if (found.length === 0) return h("p", { class: "empty" }, "There is no endpoint yet. The pipeline deploys one after training.");
    return h("div", { class: "endpoints" }, found.map((one, index) => this.endpoint(one, index < MOST_OPEN)));
  }

  /**
   * @param {Endpoint} one
   * @param {boolean} first
   */
  endpoint(one, first) {
    const open = this.opened.get(one.name) ?? first;
    return h("details", {
      key: one.name, class: "card", open,
      ontoggle: (/** @type {Event} */ event) => {
        const now = /** @type {HTMLDetailsElement} */ (event.target).open;
        if (now !== (this.opened.get(one.name) ?? first)) { this.opened.set(one.name, now); this.update(); }
      },
    },
      h("summary", null, h("strong", null, one.name), " ", chip(one.status), " ",
        h("span", { class: "muted" }, one.variants.map((variant) => `${variant.running} of ${variant.desired} instances`).join(", "))),
      open && this.inside(one));
  }

  /** @param {Endpoint} one */
  inside(one) {
    return [
      one.failure && h("p", { class: "problem" }, one.failure),
      one.deployment && this.deployment(one.deployment),
      one.variants.map((variant) => this.variant(one, variant)),
      h("dl", { class: "facts column" },
        one.models.map((model) => [
          fact("Model", h("code", null, model.name)),
          model.package ? fact("Version in the registry", h("code", null, model.package.split("/").slice(-2).join("/"))) : null,
          fact("Model data", h("span", null, h("code", null, model.data ?? "–"), trainedBy(model.data))),
          fact("Instance type", model.instanceType ?? "–")]),
        fact("Configuration", h("code", null, one.config)),
        fact("Last change", time(one.modified))),
      this.trial(one),
    ];
  }

  /** @param {NonNullable<Endpoint["deployment"]>} deployment */
  deployment(deployment) {
    const share = Math.round(deployment.share * 100);
    const since = (store.now() - Date.parse(deployment.started)) / 1000;
    return h("div", { class: "canary" },
      h("p", null, chip(deployment.phase, "busy"), ` The new fleet gets ${share} % of the traffic, for ${duration(since)}.`),
      h("meter", { min: "0", max: "100", value: String(share), "aria-label": "Share of the new fleet in percent" }),
      deployment.variants.map((variant) => h("p", { key: variant.name }, `New ${variant.name}: `, squares(variant.instances, variant.desired))));
  }

  /**
   * @param {Endpoint} endpoint
   * @param {Variant} variant
   */
  variant(endpoint, variant) {
    const live = (store.state.metrics ?? []).find((one) => one.endpoint === endpoint.name.toLowerCase() && one.variant === variant.name);
    const scaling = variant.scaling;
    return h("div", { key: variant.name, class: "variant" },
      h("p", null, h("strong", null, variant.name), variant.shadow ? " (shadow)" : "", ` weight ${number(variant.weight)} `,
        squares(variant.instances, variant.desired),
        scaling && h("span", { class: "muted" }, ` scales from ${scaling.minimum} to ${scaling.maximum}`,
          scaling.policies.map((policy) => policy.target === null ? "" : `, target ${number(policy.target, 1)} ${unit(policy)}`))),
      live ? this.charts(live.points, scaling) : h("p", { class: "muted" }, "No requests in the last quarter of an hour."),
      scaling && scaling.activities.length > 0 && h("details", null,
        h("summary", null, `Scaling activities (${scaling.activities.length})`),
        h("ul", { class: "list" }, scaling.activities.slice(0, 20).map((one) => h("li", { key: one.started + one.description },
          h("time", { datetime: one.started }, time(one.started)), " ", one.description, " ", one.notScaled.length ? chip(`not scaled: ${one.notScaled.join(", ")}`, "still") : chip(one.status),
          h("span", { class: "muted" }, ` ${one.cause}`))))));
  }

  /**
   * @param {import("./types").Point[]} points
   * @param {import("./types").Scaling | null} scaling
   */
  charts(points, scaling) {
    const to = store.now() / 1000;
    const from = Math.max(to - SHOWN_SECONDS, points[0][0] - 60);
    const of = (/** @type {number} */ column) => points.map((point) => /** @type {[number, number]} */ ([point[0], point[column]]));
    const marks = (scaling?.activities ?? []).filter((one) => !one.notScaled.length)
      .map((one) => ({ at: Date.parse(one.started) / 1000, text: one.description }));
    const target = scaling?.policies.find((policy) => policy.metric === INVOCATIONS)?.target ?? null;
    return h("div", { class: "charts" },
      lines({ title: "Requests a second", from, to, marks, series: [{ name: "now", kind: "a", points: of(1) }] }),
      lines({ title: "Latency", unit: " ms", from, to, marks, series: [{ name: "p50", kind: "a", points: of(4) }, { name: "p99", kind: "b", points: of(5) }] }),
      lines({ title: "Invocations per instance and minute", from, to, marks, limit: target, series: [{ name: "now", kind: "a", points: of(2) }] }),
      lines({ title: "Errors", from, to, marks, series: [{ name: "now", kind: "c", points: of(3) }] }));
  }

  /** @param {Endpoint} one */
  trial(one) {
    const trial = this.trials.get(one.name) ?? { body: "", type: TYPES[0], accept: TYPES[1], answer: "" };
    this.trials.set(one.name, trial);
    const id = `try-${one.name}`;
    const address = store.state.cloud?.address ?? location.origin;
    const curl = `curl -s ${address}/endpoints/${one.name}/invocations -H 'Content-Type: ${trial.type}' -H 'Accept: ${trial.accept}' --data-binary ${quoted(trial.body)}`;
    const boto3 = `boto3.client("sagemaker-runtime", endpoint_url="${address}").invoke_endpoint(EndpointName="${one.name}", ContentType="${trial.type}", Accept="${trial.accept}", Body=${JSON.stringify(trial.body)})["Body"].read()`;
    return h("form", {
      class: "trial", "aria-label": `Request to ${one.name}`,
      onsubmit: (/** @type {SubmitEvent} */ event) => { event.preventDefault(); this.run(() => this.send(one, trial)); },
    },
      h("label", { for: id }, "Try a row"),
      h("textarea", { id, rows: "2", placeholder: "5.1,3.5,1.4,0.2", oninput: (/** @type {InputEvent} */ event) => { trial.body = /** @type {HTMLTextAreaElement} */ (event.target).value; } }),
      h("div", { class: "buttons" },
        choice("Content type", TYPES, trial.type, (value) => { trial.type = value; this.update(); }),
        choice("Accept", [...TYPES].sort((a) => (a === trial.accept ? -1 : 1)), trial.accept, (value) => { trial.accept = value; this.update(); }),
        h("button", { type: "submit" }, "Send"),
        copyButton("Copy curl", curl), copyButton("Copy boto3", boto3)),
      h("output", { class: trial.answer ? "answer" : "hidden" }, trial.answer));
  }

  /**
   * @param {Endpoint} one
   * @param {Trial} trial
   */
  async send(one, trial) {
    const found = await invoke(one.name, trial.body, trial.type, trial.accept);
    trial.answer = `${found.status} in ${found.milliseconds.toFixed(1)} ms\n${found.text.slice(0, 4000)}`;
  }
}

/** A link to the training job that made an artifact. @param {string} artifact */
function trainedBy(artifact) {
  const job = store.state.jobs?.training.items.find((one) => one.artifacts === artifact);
  return job ? h("span", null, " ", h("a", { href: `#job-${job.name}` }, "its training job")) : null;
}

/**
 * A square for each instance, with its state in words.
 *
 * @param {Instance[]} instances
 * @param {number} desired
 */
function squares(instances, desired) {
  const missing = Math.max(desired - instances.length, 0);
  const states = [...instances.map((one) => one.state), ...Array(missing).fill("starting")];
  const counted = [...new Set(states)].map((state) => `${states.filter((one) => one === state).length} ${state}`);
  return h("span", { class: "squares" },
    instances.map((one) => h("span", { key: one.number, class: `square ${one.state}`, title: `instance ${one.number}, process ${one.pid}: ${one.state}` })),
    Array.from({ length: Math.min(missing, 40) }, (_, index) => h("span", { key: `m${index}`, class: "square starting", title: "starting" })),
    ` ${counted.join(", ") || "no instance"}`);
}

/**
 * @param {string} name
 * @param {string[]} values
 * @param {string} value
 * @param {(value: string) => void} choose
 */
function choice(name, values, value, choose) {
  return h("label", null, `${name} `,
    h("select", { onchange: (/** @type {Event} */ event) => choose(/** @type {HTMLSelectElement} */ (event.target).value) },
      values.map((one) => h("option", { key: one, value: one, selected: one === value }, one))));
}

/** @param {string} text for a shell */
function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

