// What the page asks the local cloud to do. Every write carries the page's header.

import { store } from "./store.js";

const HEADERS = { "X-Localcloud-Page": "1" };

/** An answer that is an error, in the local cloud's words. */
export class Refused extends Error {}

/** @returns {string} the account and region of the page's address, as a query */
function scope() {
  const given = new URLSearchParams(store.query);
  const kept = new URLSearchParams();
  for (const name of ["account", "region"]) {
    const value = given.get(name);
    if (value) kept.set(name, value);
  }
  return kept.toString();
}

/**
 * @param {string} path
 * @param {RequestInit} request
 * @returns {Promise<any>} the JSON of the answer
 */
async function send(path, request) {
  let response;
  try {
    response = await fetch(path, { ...request, headers: { ...HEADERS, ...request.headers } });
  } catch {
    throw new Refused("The local cloud does not answer.");
  }
  const text = await response.text();
  /** @type {any} */
  let body = {};
  try {
    body = text ? JSON.parse(text) : {};
  } catch {
    body = { message: text };
  }
  if (!response.ok) {
    const kind = String(body.__type ?? "").split("#").pop();
    throw new Refused([kind, body.message ?? body.Message].filter(Boolean).join(": "));
  }
  return body;
}

/**
 * Call an operation of AWS.
 *
 * @param {string} service
 * @param {string} operation
 * @param {Record<string, any>} parameters
 */
export function call(service, operation, parameters) {
  const body = JSON.stringify(parameters);
  return send(`/_localcloud/call/${service}/${operation}?${scope()}`, { method: "POST", body });
}

/**
 * Put a file into S3.
 *
 * @param {string} bucket
 * @param {string} key
 * @param {Blob} file
 * @returns {Promise<{version: string}>}
 */
export function upload(bucket, key, file) {
  const query = new URLSearchParams({ bucket, key });
  return send(`/_localcloud/upload?${query}&${scope()}`, { method: "PUT", body: file });
}

/** @param {number} seconds AWS seconds */
export function advance(seconds) {
  return send(`/_localcloud/clock?advance_seconds=${seconds}`, { method: "POST" });
}

/**
 * Invoke an endpoint, as any client does.
 *
 * @param {string} endpoint
 * @param {string} body
 * @param {string} contentType
 * @param {string} accept
 * @returns {Promise<{status: number, text: string, milliseconds: number}>}
 */
export async function invoke(endpoint, body, contentType, accept) {
  const began = performance.now();
  const headers = { "Content-Type": contentType, Accept: accept };
  const path = `/endpoints/${encodeURIComponent(endpoint)}/invocations`;
  try {
    const response = await fetch(path, { method: "POST", body, headers });
    const text = await response.text();
    return { status: response.status, text, milliseconds: performance.now() - began };
  } catch {
    throw new Refused("The local cloud does not answer.");
  }
}
