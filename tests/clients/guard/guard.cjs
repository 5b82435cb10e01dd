// Refuses every connection that leaves this machine, in the Node process that requires it first.
// Names that stand for this machine are answered with 127.0.0.1, as public DNS and RFC 6761 answer
// them. What is refused is added to the file that NETWORK_GUARD_LOG names, a line each.
"use strict";

const fs = require("node:fs");
const net = require("node:net");

const LOCAL = ["localhost", "localhost.localstack.cloud"];
const connect = net.Socket.prototype.connect;

const isLocalName = (host) => LOCAL.some((name) => host === name || host.endsWith(`.${name}`));
const isLoopback = (host) => /^127\./.test(host) || host === "::1";
const lookup = (_host, options, callback) =>
  options.all
    ? callback(null, [{ address: "127.0.0.1", family: 4 }])
    : callback(null, "127.0.0.1", 4);

net.Socket.prototype.connect = function guarded(...args) {
  const first = Array.isArray(args[0]) ? args[0][0] : args[0];
  const options = typeof first === "object" ? first : { host: args[1] };
  if (options.path === undefined || options.port !== undefined) {
    const host = String(typeof options.host === "string" ? options.host : "localhost").toLowerCase();
    if (net.isIP(host) ? !isLoopback(host) : !isLocalName(host)) {
      fs.appendFileSync(process.env.NETWORK_GUARD_LOG, `${host}\n`);
      process.nextTick(() => this.destroy(new Error(`${host} is not on this machine`)));
      return this;
    }
    if (!net.isIP(host)) options.lookup = lookup;
  }
  return connect.apply(this, args);
};
