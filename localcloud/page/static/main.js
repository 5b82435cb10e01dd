// The page: its elements, and the stream that feeds them.

import { AlarmsPanel } from "./alarms.js";
import { ApprovalPanel } from "./approval.js";
import { DriftPanel } from "./drift.js";
import { EndpointsPanel } from "./endpoints.js";
import { EventsPanel } from "./events.js";
import { Header } from "./header.js";
import { JobsPanel } from "./jobs.js";
import { LoadTestsPanel } from "./loadtests.js";
import { PipelinePanel } from "./pipeline.js";
import { StacksPanel } from "./stacks.js";
import { store } from "./store.js";

store.start();
customElements.define("lab-header", Header);
customElements.define("lab-approval", ApprovalPanel);
customElements.define("lab-pipeline", PipelinePanel);
customElements.define("lab-endpoints", EndpointsPanel);
customElements.define("lab-jobs", JobsPanel);
customElements.define("lab-drift", DriftPanel);
customElements.define("lab-alarms", AlarmsPanel);
customElements.define("lab-events", EventsPanel);
customElements.define("lab-stacks", StacksPanel);
customElements.define("lab-loadtests", LoadTestsPanel);
