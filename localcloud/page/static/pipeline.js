// The pipeline: its executions, its stages as columns, and what can be done with them.

import { call, upload } from "./api.js";
import { h } from "./dom.js";
import { between, duration, time } from "./format.js";
import { Panel, announce, chip } from "./panel.js";
import { store } from "./store.js";

/** @typedef {import("./types").Pipeline} Pipeline */
/** @typedef {import("./types").Stage} Stage */
/** @typedef {import("./types").Action} Action */
/** @typedef {import("./types").Execution} Execution */

const TRIGGERS = {
  CloudWatchEvent: "an event", StartPipelineExecution: "a person", CreatePipeline: "its creation",
  PollForSourceChanges: "polling", WebhookV2: "a push", ManualRollback: "a rollback",
  AutomatedRollback: "a rollback",
};

export class PipelinePanel extends Panel {
  static sections = ["pipelines"];
  static heading = "Pipeline";

  constructor() {
    super();
    this.chosen = "";
    this.replayed = "";
    /** The actions of the execution that is replayed. @type {Stage[] | null} */
    this.columns = null;
    this.seen = "";
    this.uploaded = "";
    this.over = false;
    /** @type {Map<string, string>} */
    this.said = new Map();
    this.timer = 0;
  }

  connectedCallback() {
    super.connectedCallback();
    this.timer = window.setInterval(() => { if (this.isBusy()) this.update(); }, 1000);
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    clearInterval(this.timer);
  }

  isBusy() {
    return this.pipelines().some((one) => one.executions.items.some((run) => run.status === "InProgress"));
  }

  /** @returns {Pipeline[]} the ones with executions in progress first, then by their last change */
  pipelines() {
    const found = [...(store.state.pipelines?.items ?? [])];
    const age = (/** @type {Pipeline} */ one) => one.executions.items[0]?.updated ?? "";
    const weight = (/** @type {Pipeline} */ one) => (one.dataset ? 2 : 0) + Number(one.executions.items[0]?.status === "InProgress");
    return found.sort((a, b) => weight(b) - weight(a) || age(b).localeCompare(age(a)));
  }

  /** @returns {Pipeline | undefined} */
  current() {
    const found = this.pipelines();
    return found.find((one) => one.name === this.chosen) ?? found[0];
  }

  update() {
    this.tell();
    this.follow();
    super.update();
  }

  /** Read the actions of the replayed execution again, if it has changed. */
  follow() {
    const pipeline = this.current();
    const run = pipeline?.executions.items.find((one) => one.id === this.replayed);
    if (!pipeline || !run || run.updated === this.seen) return;
    this.seen = run.updated;
    this.run(() => this.read(pipeline, run));
  }

  /** Say which actions changed their status. */
  tell() {
    for (const pipeline of store.state.pipelines?.items ?? []) {
      for (const stage of pipeline.stages) {
        for (const action of stage.actions) {
          const key = `${pipeline.name}/${stage.name}/${action.name}`;
          const status = action.waits ? "waiting for you" : (action.status ?? "");
          if (this.said.has(key) && this.said.get(key) !== status && status) {
            announce(`${stage.name}, ${action.name}: ${status}`);
          }
          this.said.set(key, status);
        }
      }
    }
  }

  note() {
    const pipeline = this.current();
    return pipeline ? [h("small", null, pipeline.name, " "), chip(pipeline.executions.items[0]?.status)] : null;
  }

  commands() {
    const pipeline = this.current();
    const name = pipeline?.name ?? "NAME";
    const lines = [
      `aws codepipeline get-pipeline-state --name ${name}`,
      `aws codepipeline list-pipeline-executions --pipeline-name ${name}`,
      `aws codepipeline start-pipeline-execution --name ${name}`,
    ];
    if (pipeline?.dataset) {
      lines.push(`aws s3 cp dataset.zip s3://${pipeline.dataset.bucket}/${pipeline.dataset.key}`);
    }
    return lines;
  }

  body() {
    const pipeline = this.current();
    if (!pipeline) {
      return h("p", { class: "empty" }, "There is no pipeline yet. Deploy the lab with ", h("code", null, "make up"), ".");
    }
    const all = this.pipelines();
    const columns = this.replayed && this.columns ? this.columns : pipeline.stages;
    return [
      all.length > 1 && h("div", { class: "choices", role: "group", "aria-label": "Pipelines" },
        all.map((one) => h("button", {
          type: "button", key: one.name, "aria-pressed": String(one === pipeline),
          onclick: () => { this.chosen = one.name; this.live(); },
        }, one.name))),
      h("div", { class: "pipeline" },
        h("div", { class: "runs" },
          h("h3", null, "Executions ", h("small", null, `${pipeline.executions.items.length} of ${pipeline.executions.count}`)),
          this.runs(pipeline), this.drop(pipeline)),
        h("div", { class: "flow" },
          h("div", { class: "buttons" },
            h("p", { class: "grow" }, this.replayed
              ? [`Execution ${this.replayed.slice(0, 8)} as it was. `, h("button", { type: "button", onclick: () => this.live() }, "Back to live")]
              : "Live: each stage shows the execution that entered it last."),
            this.sure("Release change", () => call("codepipeline", "StartPipelineExecution", { name: pipeline.name }), { sure: "Release change: press again to start it" })),
          h("ol", { class: "stages", tabindex: "0", "aria-label": `Stages of ${pipeline.name}` },
            columns.map((stage, index) => this.stage(pipeline, stage, index))))),
    ];
  }

  live() {
    this.replayed = "";
    this.columns = null;
    this.update();
  }

  /** @param {Pipeline} pipeline */
  runs(pipeline) {
    return h("ul", { class: "list", "aria-label": "Executions, newest first" },
      pipeline.executions.items.map((run) => h("li", { key: run.id },
        h("button", {
          type: "button", class: `run ${run.status === "Superseded" ? "struck" : ""}`,
          "aria-pressed": String(this.replayed === run.id),
          onclick: () => this.run(() => this.replay(pipeline, run)),
        },
          h("span", { class: "line" }, chip(run.status), h("code", null, run.id.slice(0, 8)), h("time", { datetime: run.started }, time(run.started))),
          h("span", { class: "muted" }, `by ${TRIGGERS[/** @type {keyof typeof TRIGGERS} */ (run.triggerType)] ?? run.triggerType}`,
            run.revision ? `, version ${run.revision.slice(0, 8)}` : "",
            run.rollback ? ", rolls back" : "", run.statusSummary ? `, ${run.statusSummary}` : "")))));
  }

  /**
   * Show an execution's own actions in the columns.
   *
   * @param {Pipeline} pipeline
   * @param {Execution} run
   */
  async replay(pipeline, run) {
    if (this.replayed === run.id) {
      this.live();
      return;
    }
    await this.read(pipeline, run);
    this.replayed = run.id;
    this.seen = run.updated;
  }

  /**
   * @param {Pipeline} pipeline
   * @param {Execution} run
   */
  async read(pipeline, run) {
    const found = await call("codepipeline", "ListActionExecutions", {
      pipelineName: pipeline.name, filter: { pipelineExecutionId: run.id }, maxResults: 100,
    });
    /** @type {Map<string, any>} */
    const details = new Map();
    for (const one of [...found.actionExecutionDetails].reverse()) details.set(`${one.stageName}/${one.actionName}`, one);
    this.columns = pipeline.stages.map((stage) => {
      const actions = stage.actions.map((action) => {
        const one = details.get(`${stage.name}/${action.name}`);
        const result = one?.output?.executionResult;
        return /** @type {Action} */ ({
          name: action.name, category: action.category, provider: action.provider,
          status: one?.status ?? null, usualSeconds: action.usualSeconds,
          started: one && new Date(one.startTime * 1000).toISOString(),
          changed: one && new Date(one.lastUpdateTime * 1000).toISOString(),
          summary: result?.externalExecutionSummary ?? null, external: result?.externalExecutionId ?? null,
          error: result?.errorDetails ?? null,
        });
      });
      const statuses = actions.map((one) => one.status);
      const status = ["Failed", "InProgress"].find((one) => statuses.includes(one)) ?? (statuses.every((one) => one === "Succeeded") ? "Succeeded" : statuses.find(Boolean) ?? null);
      return { ...stage, status, execution: status ? run.id : null, actions, waiting: [] };
    });
  }

  /** @param {Pipeline} pipeline */
  drop(pipeline) {
    const target = pipeline.dataset;
    if (!target) return null;
    return h("label", {
      class: `drop ${this.over ? "over" : ""}`,
      ondragover: (/** @type {DragEvent} */ event) => { event.preventDefault(); this.over = true; this.update(); },
      ondragleave: () => { this.over = false; this.update(); },
      ondrop: (/** @type {DragEvent} */ event) => {
        event.preventDefault();
        this.over = false;
        this.run(() => this.send(pipeline, event.dataTransfer?.files[0]));
      },
    },
      h("span", null, this.uploaded || `Drop a dataset.zip here, or choose one: it becomes ${target.key}`),
      h("input", {
        type: "file", accept: ".zip,application/zip",
        onchange: (/** @type {Event} */ event) => {
          const input = /** @type {HTMLInputElement} */ (event.target);
          const file = input.files?.[0];
          this.run(() => this.send(pipeline, file)).then(() => { input.value = ""; });
        },
      }));
  }

  /**
   * @param {Pipeline} pipeline
   * @param {File | undefined} file
   */
  async send(pipeline, file) {
    if (!file || !pipeline.dataset) return;
    if (!file.name.endsWith(".zip")) {
      throw new Error(`${file.name} is not a dataset.zip; make one with: python -m model.dataset --csv FILE --label COLUMN --out dataset.zip`);
    }
    this.uploaded = `Uploading ${file.name}…`;
    this.update();
    try {
      const { version } = await upload(pipeline.dataset.bucket, pipeline.dataset.key, file);
      this.uploaded = `Uploaded ${file.name} as version ${version.slice(0, 8)}`;
      announce(this.uploaded);
    } catch (error) {
      this.uploaded = "";
      throw error;
    }
  }

  /**
   * @param {Pipeline} pipeline
   * @param {Stage} stage
   * @param {number} index
   */
  stage(pipeline, stage, index) {
    const old = stage.execution !== null && stage.execution !== pipeline.executions.items[0]?.id && !this.replayed;
    return h("li", { key: stage.name, class: `stage ${old ? "old" : ""}` },
      index > 0 && !this.replayed && this.transition(pipeline, stage),
      h("div", { class: "bar" }, h("h3", null, stage.name), chip(stage.status)),
      stage.execution && h("p", { class: "muted" }, `execution ${stage.execution.slice(0, 8)}`, old ? ", an earlier one" : ""),
      stage.waiting.length > 0 && h("p", null, chip(`${stage.waiting.length} waiting to enter`)),
      stage.actions.map((action) => this.action(action)),
      !this.replayed && stage.execution && h("div", { class: "buttons" },
        stage.status === "Failed" && this.sure("Retry", () => call("codepipeline", "RetryStageExecution", {
          pipelineName: pipeline.name, stageName: stage.name, pipelineExecutionId: stage.execution, retryMode: "FAILED_ACTIONS",
        }), { key: `retry ${pipeline.name} ${stage.name}` }),
        stage.status === "InProgress" && this.sure("Stop", () => call("codepipeline", "StopPipelineExecution", {
          pipelineName: pipeline.name, pipelineExecutionId: stage.execution, abandon: true, reason: "Stopped on the page",
        }), { key: `stop ${pipeline.name} ${stage.name}`, class: "bad" })));
  }

  /**
   * @param {Pipeline} pipeline
   * @param {Stage} stage
   */
  transition(pipeline, stage) {
    const { enabled, reason } = stage.transition;
    const common = { pipelineName: pipeline.name, stageName: stage.name, transitionType: "Inbound" };
    return h("div", { class: `transition ${enabled ? "" : "off"}` },
      h("span", null, enabled ? "→" : `✕ transition disabled${reason ? `: ${reason}` : ""}`),
      enabled
        ? this.sure("Disable transition", () => call("codepipeline", "DisableStageTransition", { ...common, reason: "Disabled on the page" }), { key: `off ${pipeline.name} ${stage.name}` })
        : h("button", { type: "button", onclick: () => this.run(() => call("codepipeline", "EnableStageTransition", common)) }, "Enable transition"));
  }

  /** @param {Action} action */
  action(action) {
    const elapsed = action.started
      ? (action.status === "InProgress" ? (store.now() - Date.parse(action.started)) / 1000 : between(action.started, action.changed ?? action.started))
      : null;
    return h("div", { key: action.name, class: "card" },
      h("div", { class: "bar" }, h("h4", null, action.name), action.waits ? chip("waiting for you") : chip(action.status)),
      h("p", { class: "muted" }, action.provider, elapsed === null ? "" : ` · ${duration(elapsed)}`,
        action.usualSeconds ? ` · usually ${duration(action.usualSeconds)}` : ""),
      action.waits && h("p", null, h("a", { href: "#approval" }, "Decide above")),
      action.error ? h("p", { class: "problem" }, h("strong", null, action.error.code), ` ${action.error.message}`)
        : action.summary && h("p", { class: "text short", title: action.summary }, action.summary),
      link(action));
  }
}

/** @param {Action} action */
function link(action) {
  const id = action.external ?? "";
  const jobs = store.state.jobs;
  if (jobs) {
    const name = [...jobs.training.items, ...jobs.processing.items].find((job) => id.includes(job.name) || (action.summary ?? "").includes(job.name))?.name;
    if (name) return h("p", null, h("a", { href: `#job-${name}` }, "Job and log"));
  }
  if (id.includes(":stack/")) return h("p", null, h("a", { href: "#stacks" }, "Stack"));
  return null;
}
