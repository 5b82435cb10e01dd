// Jobs: their metrics, steps and logs, and two of them side by side.

import { call } from "./api.js";
import { h } from "./dom.js";
import { between, duration, number, time } from "./format.js";
import { fact } from "./header.js";
import { Panel, chip, table } from "./panel.js";
import { store } from "./store.js";

/** @typedef {import("./types").Job} Job */
/** @typedef {"training" | "processing" | "tuning" | "transform"} Kind */
/** @typedef {{at: number, text: string}} Line */

/** @type {Record<Kind, string>} */
const KINDS = { training: "Training", processing: "Processing", tuning: "Tuning", transform: "Transform" };
const MOST_LINES = 300;
const FOLLOW_MILLISECONDS = 2000;

export class JobsPanel extends Panel {
  static sections = ["jobs"];
  static heading = "Jobs";

  constructor() {
    super();
    /** @type {Kind} */
    this.kind = "training";
    /** @type {Set<string>} */
    this.opened = new Set();
    /** @type {Set<string>} */
    this.compared = new Set();
    /** @type {Map<string, Line[]>} */
    this.logs = new Map();
    /** @type {Map<string, string>} */
    this.searches = new Map();
    this.onhash = () => this.follow();
    this.timer = 0;
    this.reading = false;
  }

  connectedCallback() {
    super.connectedCallback();
    window.addEventListener("hashchange", this.onhash);
    this.timer = window.setInterval(() => this.followLogs(), FOLLOW_MILLISECONDS);
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    window.removeEventListener("hashchange", this.onhash);
    clearInterval(this.timer);
  }

  /** Read the logs again that are open, of jobs that run; they have no section of the overview. */
  async followLogs() {
    const running = (store.state.jobs?.[this.kind].items ?? []).filter((job) => job.status === "InProgress");
    if (running.length === 0 || this.reading) return;
    this.reading = true;
    try {
      for (const job of running) {
        if (job.logGroup && this.opened.has(job.name) && this.logs.has(job.name)) await this.read(job, job.logGroup);
      }
    } catch {
      // The connection says what is wrong, and the next round tries again.
    } finally {
      this.reading = false;
    }
    this.update();
  }

  /** Open the job that a link of the page names. */
  follow() {
    const name = decodeURIComponent(location.hash.replace(/^#job-/, ""));
    for (const kind of /** @type {Kind[]} */ (Object.keys(KINDS))) {
      if (store.state.jobs?.[kind].items.some((job) => job.name === name)) {
        this.kind = kind;
        this.opened.add(name);
        this.update();
        document.getElementById(`job-${name}`)?.scrollIntoView();
      }
    }
  }

  note() {
    const jobs = store.state.jobs;
    return jobs ? h("small", null, Object.values(jobs).reduce((sum, one) => sum + one.count, 0)) : null;
  }

  commands() {
    const name = store.state.jobs?.training.items[0]?.name ?? "NAME";
    return ["localcloud logs /aws/sagemaker/TrainingJobs --follow", `aws sagemaker describe-training-job --training-job-name ${name}`];
  }

  body() {
    const jobs = store.state.jobs;
    if (!jobs) return null;
    const shown = jobs[this.kind];
    return [
      h("div", { class: "choices", role: "group", "aria-label": "Kinds of jobs" },
        (/** @type {Kind[]} */ (Object.keys(KINDS))).map((kind) => h("button", {
          type: "button", key: kind, "aria-pressed": String(kind === this.kind),
          onclick: () => { this.kind = kind; this.update(); },
        }, `${KINDS[kind]} ${jobs[kind].count}`))),
      this.comparison(shown.items),
      shown.items.length === 0
        ? h("p", { class: "empty" }, `There is no ${KINDS[this.kind].toLowerCase()} job yet.`)
        : h("ul", { class: "list" }, shown.items.map((job) => this.job(job))),
      shown.items.length < shown.count && h("p", { class: "muted" }, `The newest ${shown.items.length} of ${shown.count}.`),
    ];
  }

  /** @param {Job} job */
  job(job) {
    const open = this.opened.has(job.name);
    const took = job.started ? duration(job.ended ? between(job.started, job.ended) : (store.now() - Date.parse(job.started)) / 1000) : "";
    return h("li", { key: job.name, id: `job-${job.name}` },
      h("div", { class: "line" },
        this.kind === "training" && h("label", { class: "pick" },
          h("input", { type: "checkbox", checked: this.compared.has(job.name), onchange: () => { this.pick(job.name); } }),
          h("span", { class: "hidden" }, `compare ${job.name}`)),
        h("button", {
          type: "button", class: "grow name", "aria-expanded": String(open),
          onclick: () => { if (open) this.opened.delete(job.name); else this.opened.add(job.name); this.update(); },
        }, job.name),
        chip(job.status), h("span", { class: "muted" }, took), h("time", { datetime: job.created }, time(job.created))),
      job.failure && h("p", { class: "problem" }, job.failure),
      !job.failure && job.message && h("p", { class: "text" }, job.message),
      job.metrics && Object.keys(job.metrics).length > 0 && h("p", { class: "muted" },
        Object.entries(job.metrics).map(([name, value]) => `${name} ${number(value)}`).join(", ")),
      open && this.inside(job));
  }

  /** @param {string} name */
  pick(name) {
    if (this.compared.has(name)) this.compared.delete(name);
    else this.compared.add(name);
    if (this.compared.size > 2) this.compared.delete([...this.compared][0]);
    this.update();
  }

  /** @param {Job} job */
  inside(job) {
    return h("div", { class: "inside" },
      job.secondary && h("p", null, job.secondary.map((step) =>
        `${step.status}${step.end ? ` ${duration(between(step.start, step.end))}` : ""}`).join(" → ")),
      h("dl", { class: "facts column" },
        Object.entries(job.hyperparameters ?? {}).map(([name, value]) => fact(name, h("code", null, value))),
        job.artifacts ? fact("Artifacts", h("code", null, job.artifacts)) : null),
      job.candidates && this.candidates(job),
      job.status === "InProgress" && (this.kind === "training" || this.kind === "processing") && h("div", { class: "buttons" },
        this.sure("Stop the job", () => call("sagemaker", this.kind === "training" ? "StopTrainingJob" : "StopProcessingJob",
          this.kind === "training" ? { TrainingJobName: job.name } : { ProcessingJobName: job.name }), { key: `stop ${job.name}`, class: "bad" })),
      job.logGroup && this.log(job, job.logGroup));
  }

  /** @param {Job} job */
  candidates(job) {
    const found = [...(job.candidates ?? [])].sort((a, b) => (b.value ?? -Infinity) - (a.value ?? -Infinity));
    return table(`Candidates of ${job.name}`, ["Training job", "Status", job.objective ?? "objective", "Hyperparameters"],
      found.map((one) => [one.name, chip(one.status), number(one.value), Object.entries(one.hyperparameters).map(([name, value]) => `${name}=${value}`).join(", ")]));
  }

  /**
   * @param {Job} job
   * @param {string} group
   */
  log(job, group) {
    const known = this.logs.get(job.name);
    const search = this.searches.get(job.name) ?? "";
    const lines = (known ?? []).filter((line) => line.text.toLowerCase().includes(search.toLowerCase()));
    return h("div", { class: "log" },
      h("div", { class: "buttons" },
        h("button", { type: "button", onclick: () => this.run(() => this.read(job, group)) }, known ? "Read the log again" : "Show the log"),
        known && h("label", null, "Search ", h("input", {
          type: "search",
          oninput: (/** @type {InputEvent} */ event) => { this.searches.set(job.name, /** @type {HTMLInputElement} */ (event.target).value); this.update(); },
        })),
        known && h("span", { class: "muted" }, `${lines.length} of ${known.length} lines`)),
      known && h("pre", { tabindex: "0", "aria-label": `Log of ${job.name}` },
        lines.map((line) => `${new Date(line.at).toISOString().slice(11, 19)}  ${line.text}`).join("\n") || "no lines"));
  }

  /**
   * @param {Job} job
   * @param {string} group
   */
  async read(job, group) {
    /** @type {Line[]} */
    let lines = [];
    let token;
    do {
      const found = await call("logs", "FilterLogEvents", {
        logGroupName: group, logStreamNamePrefix: `${job.name}/`, ...(token ? { nextToken: token } : {}),
      });
      lines.push(...found.events.map((/** @type {any} */ event) => ({ at: event.timestamp, text: event.message })));
      lines = lines.slice(-MOST_LINES);
      token = found.nextToken;
    } while (token);
    this.logs.set(job.name, lines);
  }

  /** @param {Job[]} jobs */
  comparison(jobs) {
    const chosen = jobs.filter((job) => this.compared.has(job.name));
    if (this.kind !== "training") return null;
    if (chosen.length !== 2) {
      return this.compared.size === 1 ? h("p", { class: "muted" }, "Tick another job to compare the two.") : null;
    }
    const [a, b] = chosen;
    const names = (/** @type {"metrics" | "hyperparameters"} */ part) => [...new Set([...Object.keys(a[part] ?? {}), ...Object.keys(b[part] ?? {})])];
    return h("div", null, h("h3", null, "Side by side"), table("Two jobs", ["", a.name, b.name, "Difference"], [
      ...names("metrics").map((name) => {
        const [one, two] = [a.metrics?.[name], b.metrics?.[name]];
        return [name, number(one), number(two), one === undefined || two === undefined ? "–" : number(one - two)];
      }),
      ...names("hyperparameters").map((name) => {
        const [one, two] = [a.hyperparameters?.[name], b.hyperparameters?.[name]];
        return [name, one ?? "–", two ?? "–", one === two ? "equal" : "different"];
      }),
    ]));
  }
}
