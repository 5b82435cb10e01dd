/** The overview, as `/_localcloud/overview` has it. Checked by tsc; not sent to a browser. */

export interface Counted<T> { count: number; items: T[] }

export interface Cloud {
  account: string; region: string; address: string; version: string;
  now: string; speed: number; iam: string; unhealthy: Counted<string>;
}

export interface Metric {
  metric: string; candidate: number | null; champion: number | null;
  interval: [number, number] | null; higher_is_better?: boolean;
}

export interface Evidence {
  model?: { group: string; version: number };
  verdicts?: string[];
  data?: { made: boolean; message: string; dataset?: { rows?: Record<string, number>; name?: string } };
  evaluation?: {
    made: boolean; message: string; verdict?: string; rows?: number; metrics?: Metric[];
    reference?: { metrics?: Metric[]; rows?: number } | null;
  };
  rehearsal?: {
    made: boolean; message: string;
    answers?: { rows: number; different: number; flows: { champion: string; candidate: string; rows: number }[] } | null;
  };
  training?: { metric: string; score: string; metrics: Record<string, number>; hyperparameters: Record<string, string>; instance_type: string };
  lineage?: Record<string, unknown> & { dataset_version?: string; training_job?: string; image_digest?: string; commit?: string };
}

export interface Slice { name: string; rows: number; candidate: number; champion: number | null; p_value: number | null; worse: boolean }

export interface Approval {
  pipeline: string; stage: string; action: string; execution: string; token: string;
  started: string; expires: string; message: string | null; link: string | null;
  evidence: Evidence | null; problem: string | null; slices: Slice[];
  deploys: { stack: string; new: boolean; changes: { path: string; before: string | null; after: string | null }[] | null; fleets: { now: Fleet | null; then: Fleet | null } | null } | null;
}

export interface Fleet { instanceType: string; instances: number }

export interface Action {
  name: string; category: string; provider: string; status: string | null; usualSeconds?: number | null;
  started?: string; changed?: string; summary?: string | null; external?: string | null;
  waits?: boolean; error?: { code: string; message: string } | null;
}

export interface Stage {
  name: string; transition: { enabled: boolean; reason: string | null }; waiting: string[];
  status: string | null; execution: string | null; actions: Action[];
}

export interface Execution {
  id: string; number: number; status: string; statusSummary: string | null; stopReason: string | null;
  triggerType: string; triggerDetail: string; started: string; updated: string;
  revision: string | null; stage: string; rollback: string | null;
}

export interface Pipeline {
  name: string; mode: string; version: number; dataset: { bucket: string; key: string } | null;
  stages: Stage[]; executions: Counted<Execution>;
}

export interface Instance { number: number; pid: number; state: string }

export interface Scaling {
  minimum: number; maximum: number;
  policies: { name: string; type: string; target: number | null; metric: string | null }[];
  activities: { started: string; status: string; description: string; cause: string; notScaled: string[] }[];
}

export interface Variant {
  name: string; weight: number; shadow: boolean; desired: number; running: number;
  instances: Instance[]; scaling: Scaling | null;
}

export interface Endpoint {
  name: string; arn: string; status: string; failure: string | null; config: string;
  created: string; modified: string; captures: boolean; variants: Variant[];
  models: { name: string; image: string; data: string; package: string | null; instanceType: string }[];
  deployment: { config: string; phase: string; share: number; started: string; variants: { name: string; desired: number; running: number; instances: Instance[] }[] } | null;
}

/** epoch seconds, requests a second, invocations per instance and minute, errors, p50 and p99 in ms */
export type Point = [number, number, number, number, number, number];
export interface Live { endpoint: string; variant: string; points: Point[] }

export interface Job {
  name: string; status: string; created: string; started: string | null; ended: string | null;
  failure: string | null; message: string | null; logGroup: string | null;
  secondary?: { status: string; start: string; end: string | null }[];
  metrics?: Record<string, number>; hyperparameters?: Record<string, string>; artifacts?: string | null;
  objective?: string; children?: number;
  candidates?: { name: string; status: string; value: number | null; hyperparameters: Record<string, string> }[];
}

export interface Drift {
  endpoint: string; metrics: Record<string, [string, number][]>;
  columns: Record<string, Record<string, [string, number][]>>;
}

export interface Alarm {
  name: string; state: string; reason: string; since: string | null; metric: string | null;
  namespace: string | null; dimensions: Record<string, string>; comparison: string | null;
  threshold: number | null; rule: string | null; description: string | null; actions: string[];
  neutral: boolean; datapoints: (number | null)[]; changes: { at: string; state: string }[];
}

export interface Entry {
  number: number; at: string; kind: "event" | "call" | "denied"; scope: string; what: string;
  text: string; status: string; milliseconds?: number; reads?: boolean;
}

export interface Stack {
  name: string; id: string; status: string; reason: string | null; created: string; updated: string | null;
  resources: number; outputs: Record<string, string>;
  events: { at: string; resource: string; type: string; status: string; reason: string | null }[];
}

export interface Deployed {
  name: string; resources: number; outputs: Record<string, unknown>;
  cost: { total: number; currency: string; region: string; priceDate: string; warning?: string; instanceMonth?: Record<string, number>; items: { what: string; quantity: number; unit: string; unitPrice: number; monthly: number; note?: string }[] } | null;
}

export interface Role {
  role: string; actions: number; calls: number; last: string;
  missing: Counted<{ action: string; resource: string; count: number }>;
}

export interface Overview {
  cloud: Cloud; approvals: Approval[]; pipelines: Counted<Pipeline>; endpoints: Counted<Endpoint>;
  metrics: Live[]; jobs: Record<"training" | "processing" | "tuning" | "transform", Counted<Job>>;
  drift: Counted<Drift>; alarms: Counted<Alarm> & { inAlarm: number };
  events: { run: string; total: number; items: Entry[] };
  stacks: { cloudformation: Counted<Stack>; pulumi: Counted<Deployed> };
  permissions: Counted<Role> & { missing: number };
  loadtests: Counted<Record<string, any> & { at: string }>;
}

export type Child = VNode | string | number | null | undefined | false | Child[];
export interface VNode { tag: string; key: string | number | null; props: Record<string, any>; children: Child[] }
