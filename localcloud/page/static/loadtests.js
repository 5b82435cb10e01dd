// Load tests: the summaries that the load generator has sent.

import { h } from "./dom.js";
import { number, time } from "./format.js";
import { Panel, chip, table } from "./panel.js";
import { store } from "./store.js";

export class LoadTestsPanel extends Panel {
  static sections = ["loadtests"];
  static heading = "Load tests";

  commands() {
    return ["python -m loadtest run --help", "python -m loadtest run --test small"];
  }

  body() {
    const found = store.state.loadtests?.items ?? [];
    if (found.length === 0) {
      return h("p", { class: "empty" }, "None has run yet. Start one with ", h("code", null, "python -m loadtest run"), ".");
    }
    return table("Load tests", ["When", "Endpoint", "Requests", "Failures", "Requests/s", "p99", "Verdict", "Report"], found.map((one) => [
      time(one.at), one.endpoint ?? "–", number(one.requests), number(one.failures), number(one.rps, 1),
      one.p99_ms === undefined || one.p99_ms === null ? "–" : `${number(one.p99_ms, 1)} ms`,
      one.passed === undefined || one.passed === null ? "–" : one.passed ? chip("passed", "good") : chip("failed"),
      h("code", null, one.report ?? "–")]));
  }
}
