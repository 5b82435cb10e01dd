// The overview in the browser: the newest state of each section, and who shows it.

/** @typedef {import("./types").Overview} Overview */
/** @typedef {import("./types").Entry} Entry */
/** @typedef {"connecting" | "live" | "lost"} Connection */

export const SECTIONS = /** @type {const} */ ([
  "cloud", "approvals", "pipelines", "endpoints", "metrics", "jobs", "drift", "alarms", "events",
  "stacks", "permissions", "loadtests",
]);
const KEPT_EVENTS = 500;
const AGAIN_MILLISECONDS = 1000;

class Store {
  constructor() {
    /** @type {Partial<Overview>} */
    this.state = {};
    /** @type {Connection} */
    this.connection = "connecting";
    /** @type {Set<{sections: Set<string>, update: () => void}>} */
    this.watchers = new Set();
    /** @type {Set<string>} */
    this.changed = new Set();
    this.received = 0;
    this.query = location.search;
    /** @type {EventSource | null} */
    this.source = null;
  }

  /**
   * Call `update` in the frame after one of the sections, or the connection, has changed.
   *
   * @param {string[]} sections
   * @param {() => void} update
   * @returns {() => void} ends it
   */
  watch(sections, update) {
    const watcher = { sections: new Set([...sections, "connection"]), update };
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  }

  /**
   * Listen as long as the page can be seen. A browser has six connections for one address, and each
   * stream takes one of them, so that pages in the background would keep a seventh from loading.
   */
  start() {
    const listen = () => {
      if (document.visibilityState === "visible") this.connect();
      else this.disconnect();
    };
    document.addEventListener("visibilitychange", listen);
    window.addEventListener("pagehide", () => this.disconnect());
    window.addEventListener("pageshow", listen);
    listen();
  }

  disconnect() {
    this.source?.close();
    this.source = null;
  }

  /** Open the stream, which the browser opens again when it ends. */
  connect() {
    if (this.source) return;
    const source = new EventSource(`/_localcloud/stream${this.query}`);
    this.source = source;
    source.onopen = () => this.setConnection("live");
    source.onerror = () => {
      this.setConnection("lost");
      // After a refusal the browser does not try again by itself.
      if (source.readyState === EventSource.CLOSED) {
        this.disconnect();
        setTimeout(() => { if (document.visibilityState === "visible") this.connect(); }, AGAIN_MILLISECONDS);
      }
    };
    for (const name of SECTIONS) {
      source.addEventListener(name, (event) => this.take(name, JSON.parse(event.data)));
    }
  }

  /**
   * @param {typeof SECTIONS[number]} name
   * @param {any} data
   */
  take(name, data) {
    if (name === "cloud") this.received = performance.now();
    if (name === "events") data = this.merge(data);
    /** @type {any} */ (this.state)[name] = data;
    this.note(name);
  }

  /**
   * Add new entries to those that are known, unless those are of another run of the local cloud.
   *
   * @param {Overview["events"]} given
   * @returns {Overview["events"]}
   */
  merge(given) {
    const before = this.state.events;
    const known = before?.run === given.run ? before.items : [];
    const newest = known.at(-1)?.number ?? 0;
    const items = [...known, ...given.items.filter((entry) => entry.number > newest)];
    return { run: given.run, total: given.total, items: items.slice(-KEPT_EVENTS) };
  }

  /** @param {Connection} connection */
  setConnection(connection) {
    if (connection !== this.connection) {
      this.connection = connection;
      this.note("connection");
    }
  }

  /** @param {string} name */
  note(name) {
    if (this.changed.size === 0) requestAnimationFrame(() => this.tell());
    this.changed.add(name);
  }

  tell() {
    const changed = this.changed;
    this.changed = new Set();
    for (const watcher of this.watchers) {
      if ([...changed].some((name) => watcher.sections.has(name))) watcher.update();
    }
  }

  /** @returns {number} AWS time in milliseconds, which may run faster than this machine's */
  now() {
    const cloud = this.state.cloud;
    if (!cloud) return Date.now();
    return Date.parse(cloud.now) + (performance.now() - this.received) * cloud.speed;
  }
}

export const store = new Store();
