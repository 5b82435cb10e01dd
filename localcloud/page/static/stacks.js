// Stacks, what they cost a month on AWS, and the permissions of the roles.

import { h } from "./dom.js";
import { number, time } from "./format.js";
import { Panel, chip, copyButton, table } from "./panel.js";
import { store } from "./store.js";

/** @typedef {import("./types").Stack} Stack */
/** @typedef {import("./types").Deployed} Deployed */

export class StacksPanel extends Panel {
  static sections = ["stacks", "permissions"];
  static heading = "Stacks, cost and permissions";

  commands() {
    return ["localcloud preview dev", "localcloud cost prd", "localcloud iam", "aws cloudformation describe-stacks"];
  }

  body() {
    const { stacks, permissions } = store.state;
    const program = stacks?.pulumi.items ?? [];
    const formation = stacks?.cloudformation.items ?? [];
    return [
      h("h3", null, "Stacks of the program"),
      program.length === 0 ? h("p", { class: "empty" }, "None is deployed. Deploy both with ", h("code", null, "make up"), ".")
        : program.map((one) => this.deployed(one)),
      h("h3", null, "CloudFormation stacks"),
      formation.length === 0 ? h("p", { class: "empty" }, "There is none yet.") : formation.map((one) => this.stack(one)),
      h("h3", null, "Permissions ", permissions?.missing ? chip(`${permissions.missing} not granted`) : permissions?.count ? chip("all granted", "good") : null),
      !permissions?.count ? h("p", { class: "empty" }, "No role has called anything since the start.")
        : table("Roles", ["Role", "Actions", "Calls", "Not granted"], permissions.items.map((role) => [
          role.role.split("/").pop(), number(role.actions), number(role.calls),
          role.missing.count === 0 ? "none" : role.missing.items.map((one) => `${one.action} on ${one.resource}`).join("; ")])),
    ];
  }

  /** @param {Deployed} one */
  deployed(one) {
    const outputs = Object.entries(one.outputs);
    return h("details", { key: one.name, class: "card" },
      h("summary", null, h("strong", null, one.name), ` ${one.resources} resources`,
        one.cost && h("span", null, `, about ${one.cost.total.toFixed(2)} ${one.cost.currency} a month on AWS`)),
      one.cost && table(`Cost of ${one.name}`, ["What", "Quantity", `${one.cost.currency} a month`, "Note"],
        one.cost.items.map((item) => [item.what, `${number(item.quantity)} ${item.unit}`, item.monthly.toFixed(2), item.note ?? ""])),
      one.cost && h("p", { class: "muted" }, `Prices of ${one.cost.priceDate}, ${one.cost.region}. ${one.cost.warning ?? ""}`),
      outputs.length > 0 && table(`Outputs of ${one.name}`, ["Output", "Value", ""],
        outputs.map(([name, value]) => [name, h("code", null, String(value)), copyButton("Copy", String(value), name)])));
  }

  /** @param {Stack} one */
  stack(one) {
    return h("details", { key: one.id, class: "card" },
      h("summary", null, h("strong", null, one.name), " ", chip(one.status), ` ${one.resources} resources`),
      one.reason && h("p", { class: "text" }, one.reason),
      table(`Events of ${one.name}`, ["Time", "Resource", "Status", "Reason"],
        one.events.map((event) => [time(event.at), event.resource, chip(event.status), event.reason ?? ""])),
      Object.keys(one.outputs).length > 0 && table(`Outputs of ${one.name}`, ["Output", "Value", ""],
        Object.entries(one.outputs).map(([name, value]) => [name, h("code", null, value), copyButton("Copy", value, name)])));
  }
}
