// The approval, above everything else while one waits: the champion beside the candidate.

import { call } from "./api.js";
import { h } from "./dom.js";
import { duration, number, signed, time } from "./format.js";
import { fact } from "./header.js";
import { Panel, announce, chip, table } from "./panel.js";
import { store } from "./store.js";

/** @typedef {import("./types").Approval} Approval */
/** @typedef {import("./types").Metric} Metric */

const MOST_CHARACTERS = 512;

export class ApprovalPanel extends Panel {
  static sections = ["approvals", "pipelines"];
  static heading = "Approval";

  constructor() {
    super();
    /** The approvals that were shown, by token. @type {Map<string, Approval>} */
    this.shown = new Map();
    /** What was answered here, by token. @type {Map<string, { verdict: string, summary: string }>} */
    this.answered = new Map();
    /** The comments that a person types, by token. @type {Map<string, string>} */
    this.comments = new Map();
    /** What became of approvals that are gone. @type {{one: Approval, text: string, known: boolean}[]} */
    this.gone = [];
    this.timer = 0;
  }

  connectedCallback() {
    super.connectedCallback();
    this.timer = window.setInterval(() => { if (this.shown.size) this.update(); }, 1000);
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    clearInterval(this.timer);
  }

  update() {
    const waiting = store.state.approvals;
    if (waiting) this.follow(waiting);
    for (const entry of this.gone) if (!entry.known) Object.assign(entry, this.outcome(entry.one));
    this.hidden = this.shown.size === 0 && this.gone.length === 0;
    super.update();
  }

  /** Notice approvals that are new, and those that are gone. @param {Approval[]} waiting */
  follow(waiting) {
    const tokens = new Set(waiting.map((one) => one.token));
    for (const [token, one] of this.shown) {
      if (tokens.has(token)) continue;
      this.shown.delete(token);
      const outcome = this.outcome(one);
      this.gone = [...this.gone.slice(-2), { one, ...outcome }];
      announce(outcome.text);
    }
    for (const one of waiting) {
      if (!this.shown.has(one.token)) announce(`${one.pipeline} waits for your approval`);
      this.shown.set(one.token, one);
    }
  }

  /** The answer, as far as it is known: the pipeline's section may come after the approvals'. @param {Approval} one */
  outcome(one) {
    const here = this.answered.get(one.token);
    const pipeline = store.state.pipelines?.items.find((found) => found.name === one.pipeline);
    const stage = pipeline?.stages.find((found) => found.name === one.stage);
    const action = stage?.execution === one.execution
      ? stage.actions.find((found) => found.name === one.action) : undefined;
    const words = { Succeeded: "approved", Failed: "rejected" };
    const verdict = here?.verdict ?? words[/** @type {keyof typeof words} */ (action?.status ?? "")];
    const said = here?.summary ?? action?.error?.message ?? action?.summary;
    const where = here ? "here" : "elsewhere";
    const text = `${one.stage}/${one.action} of execution ${one.execution.slice(0, 8)} was answered ${where}: ${verdict ?? "no longer waiting"}${said ? ` (“${said}”)` : ""}.`;
    return { text, known: verdict !== undefined };
  }

  note() {
    return this.shown.size ? chip("waiting for you") : null;
  }

  commands() {
    return [...this.shown.values()].flatMap((one) => [
      `localcloud approve ${one.pipeline} --summary "…"`,
      `localcloud reject ${one.pipeline} --summary "…"`,
      `localcloud evidence ${one.execution}`,
      `aws codepipeline put-approval-result --pipeline-name ${one.pipeline} --stage-name ${one.stage} --action-name ${one.action} --token ${one.token} --result summary="…",status=Approved`,
    ]);
  }

  body() {
    return [
      this.gone.map((entry) => h("p", { key: `gone ${entry.one.token}`, class: "told" }, entry.text, " ",
        h("button", { type: "button", onclick: () => { this.gone = this.gone.filter((other) => other !== entry); this.update(); } }, "Dismiss"))),
      [...this.shown.values()].map((one) => h("article", { key: one.token, class: "approval", "aria-label": `Approval of ${one.pipeline}` }, this.approval(one))),
    ];
  }

  /** @param {Approval} one */
  approval(one) {
    const evidence = one.evidence;
    const model = evidence?.model;
    return [
      h("h3", null, model ? `Deploy ${model.group} version ${model.version}?` : `${one.pipeline}: ${one.stage}/${one.action}`),
      h("dl", { class: "facts" },
        fact("Execution", h("code", null, one.execution)),
        fact("Waiting", `${duration((store.now() - Date.parse(one.started)) / 1000)} of AWS time`),
        fact("Time left", h("span", null, duration((Date.parse(one.expires) - store.now()) / 1000),
          h("span", { class: "muted" }, ` until ${time(one.expires)}`)))),
      one.problem && h("p", { class: "problem", role: "alert" }, one.problem),
      evidence ? this.evidence(one, evidence) : one.message && h("p", { class: "message" }, one.message),
      this.decision(one),
    ];
  }

  /**
   * @param {Approval} one
   * @param {import("./types").Evidence} evidence
   */
  evidence(one, evidence) {
    const { data, evaluation, rehearsal, training, lineage } = evidence;
    const metrics = evaluation?.metrics ?? [];
    const reference = evaluation?.reference?.metrics ?? [];
    return h("div", { class: "evidence" },
      metrics.length > 0 && compared(`On the new rows (${evaluation?.rows ?? "?"})`, metrics),
      reference.length > 0 && compared(`On the frozen reference rows (${evaluation?.reference?.rows ?? "?"})`, reference),
      metrics.length === 0 && training && compared("Training", Object.entries(training.metrics)
        .map(([metric, candidate]) => ({ metric, candidate, champion: null, interval: null }))),
      one.slices.length > 0 && h("div", null, h("h4", null, "Slices"),
        table("Slices", ["Slice", "Rows", "Champion", "Candidate", "Verdict"], one.slices.map((slice) => [
          slice.name, number(slice.rows), number(slice.champion), number(slice.candidate),
          slice.worse ? chip("worse", "bad") : chip("not worse", "good")]))),
      h("div", { class: "whole" }, h("h4", null, "What is known"), h("dl", { class: "facts column" },
        fact("Data gate", data?.message ?? "–"),
        fact("Evaluation", evaluation?.message ?? "–"),
        fact("Rehearsal", rehearsal?.message ?? "–"),
        fact("Dataset version", h("code", null, lineage?.dataset_version ?? "–")),
        fact("Training job", h("code", null, lineage?.training_job ?? "–")),
        fact("Image", h("code", null, String(lineage?.image_digest ?? "–").slice(0, 19), "…")))),
      flows(rehearsal?.answers),
      this.template(one.deploys));
  }

  /** @param {Approval["deploys"]} deploys */
  template(deploys) {
    if (!deploys) return null;
    const cost = this.cost();
    const { stack, changes, fleets } = deploys;
    return h("div", null, h("h4", null, `Template of ${stack}`),
      deploys.new && h("p", null, "The stack does not exist yet: everything is new."),
      changes === null && h("p", null, "The template could not be read."),
      changes?.length === 0 && h("p", null, "Nothing but the model changes: same instances, same scaling",
        cost ? `, same cost (about ${cost} a month).` : "."),
      !deploys.new && (changes?.length ?? 0) > 0 && table("Changes of the template", ["Where", "Now", "Then"],
        (changes ?? []).map((one) => [one.path, one.before ?? "–", one.after ?? "–"])),
      (changes?.length ?? 0) > 0 && fleets?.then && h("p", null, this.price(fleets.now, fleets.then)));
  }

  /**
   * The price of the endpoint's instances now and after the deployment.
   * @param {import("./types").Fleet | null} now
   * @param {import("./types").Fleet} then
   */
  price(now, then) {
    const costs = (store.state.stacks?.pulumi.items ?? []).map((one) => one.cost).filter(Boolean);
    const found = costs.find((one) => one?.instanceMonth);
    /** @param {import("./types").Fleet} fleet */
    const monthly = (fleet) => (found?.instanceMonth?.[fleet.instanceType] ?? NaN) * fleet.instances;
    /** @param {import("./types").Fleet} fleet */
    const shown = (fleet) => `${fleet.instances} × ${fleet.instanceType}`;
    const unit = `${found?.currency ?? "USD"} a month`;
    if (now && now.instanceType === then.instanceType && now.instances === then.instances) {
      return `Instances: ${shown(now)} as before, at the same price.`;
    }
    const price = monthly(then);
    const text = now ? `Instances: ${shown(now)}, then ${shown(then)}` : `Instances: ${shown(then)}`;
    if (Number.isNaN(price) || (now && Number.isNaN(monthly(now)))) return `${text}. The price list lacks one of these types.`;
    if (!now) return `${text}: ${price.toFixed(2)} ${unit} on AWS.`;
    const more = price - monthly(now);
    const sign = more < 0 ? "−" : "+";
    return `${text}: ${monthly(now).toFixed(2)}, then ${price.toFixed(2)} ${unit} on AWS (${sign}${Math.abs(more).toFixed(2)}).`;
  }

  /** @returns {string} the estimate of the deployed stacks, if there is one */
  cost() {
    const found = (store.state.stacks?.pulumi.items ?? []).map((one) => one.cost).filter(Boolean);
    const total = found.reduce((sum, one) => sum + Number(one?.total ?? 0), 0);
    return found.length ? `${total.toFixed(2)} ${found[0]?.currency ?? "USD"}` : "";
  }

  /** @param {Approval} one */
  decision(one) {
    const comment = this.comments.get(one.token) ?? "";
    const left = MOST_CHARACTERS - [...comment].length;
    const id = `comment-${one.token}`;
    return h("div", { class: "decision" },
      h("label", { for: id }, "Comment ", h("span", { id: `${id}-left`, class: left < 0 ? "bad" : "muted" }, `${left} of ${MOST_CHARACTERS} characters left`)),
      h("textarea", {
        id, rows: "2", "aria-describedby": `${id}-left`,
        oninput: (/** @type {InputEvent} */ event) => {
          this.comments.set(one.token, /** @type {HTMLTextAreaElement} */ (event.target).value);
          this.update();
        },
      }),
      h("div", { class: "buttons" },
        this.sure("Approve", () => this.answer(one, "Approved"), { key: `approve ${one.token}`, class: "good", disabled: left < 0, sure: "Approve: press again to deploy" }),
        this.sure("Reject", () => this.answer(one, "Rejected"), { key: `reject ${one.token}`, class: "bad", disabled: left < 0, sure: "Reject: press again to stop it" })));
  }

  /**
   * @param {Approval} one
   * @param {"Approved" | "Rejected"} status
   */
  async answer(one, status) {
    const summary = this.comments.get(one.token) || status;
    // Before the call, since the stream may tell that the approval is gone before the call returns.
    this.answered.set(one.token, { verdict: status.toLowerCase(), summary });
    try {
      await call("codepipeline", "PutApprovalResult", {
        pipelineName: one.pipeline, stageName: one.stage, actionName: one.action, token: one.token,
        result: { status, summary },
      });
    } catch (error) {
      this.answered.delete(one.token);
      throw error;
    }
    this.comments.delete(one.token);
  }
}

/**
 * @param {string} title
 * @param {Metric[]} metrics
 */
function compared(title, metrics) {
  return h("div", null, h("h4", null, title),
    table(title, ["Metric", "Champion", "Candidate", "Difference", "95 % interval"], metrics.map((one) => [
      one.metric, number(one.champion), number(one.candidate), difference(one),
      one.interval ? `${signed(one.interval[0])} to ${signed(one.interval[1])}` : "–"])));
}

/** @param {Metric} one */
function difference(one) {
  if (one.champion === null || one.candidate === null) return "no champion";
  const change = one.candidate - one.champion;
  if (change === 0) return "equal";
  const better = (change > 0) === (one.higher_is_better ?? true);
  return h("span", { class: better ? "good" : "bad" },
    `${change > 0 ? "▲" : "▼"} ${signed(change)} ${better ? "better" : "worse"}`);
}

/** @param {NonNullable<import("./types").Evidence["rehearsal"]>["answers"]} answers */
function flows(answers) {
  if (!answers?.flows?.length) return null;
  return h("div", null, h("h4", null, "Production's requests that get another answer"),
    table("Different answers", ["Champion", "Candidate", "Rows"],
      answers.flows.map((one) => [one.champion, one.candidate, number(one.rows)])));
}
