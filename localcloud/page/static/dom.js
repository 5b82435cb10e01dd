// Elements from descriptions, updated in place. A text is always a text node, never markup, and an
// element that stays keeps its focus, its selection and what a person typed into it.

/** @typedef {import("./types").VNode} VNode */
/** @typedef {import("./types").Child} Child */

const SVG = "http://www.w3.org/2000/svg";
// What an attribute may not do here: a handler is a property, and a style is set by its properties.
const PROPERTIES = new Set(["value", "checked", "disabled", "open", "selected"]);

/** @type {WeakMap<Node, {tag: string, key: string | number | null, props: Record<string, any>}>} */
const made = new WeakMap();

/**
 * Describe an element.
 *
 * @param {string} tag
 * @param {Record<string, any> | null} [props] attributes; `on…` is a handler, `key` tells siblings apart
 * @param {...Child} children
 * @returns {VNode}
 */
export function h(tag, props, ...children) {
  const { key = null, ...rest } = props ?? {};
  return { tag, key, props: rest, children };
}

/**
 * Make the children of a node those that are described.
 *
 * @param {Element} parent
 * @param {Child} described
 * @param {boolean} [svg] whether the parent is within an SVG
 */
export function render(parent, described, svg = false) {
  const wanted = flat(described);
  /** @type {Map<string, Node>} */
  const keyed = new Map();
  /** @type {Node[]} */
  const others = [];
  for (const node of parent.childNodes) {
    const known = made.get(node);
    if (known && known.key !== null) keyed.set(`${known.tag} ${known.key}`, node);
    else others.push(node);
  }
  /** @type {Node | null} */
  let place = parent.firstChild;
  for (const child of wanted) {
    const node = reuse(child, keyed, others) ?? create(child, svg);
    if (typeof child === "string") {
      if (node.nodeValue !== child) node.nodeValue = child;
    } else {
      update(/** @type {Element} */ (node), child, svg);
    }
    if (node === place) place = place.nextSibling;
    else parent.insertBefore(node, place);
  }
  while (place) {
    const next = place.nextSibling;
    parent.removeChild(place);
    place = next;
  }
}

/**
 * @param {Child} child
 * @returns {(VNode | string)[]}
 */
function flat(child) {
  if (child === null || child === undefined || child === false) return [];
  if (Array.isArray(child)) return child.flatMap(flat);
  return [typeof child === "object" ? child : String(child)];
}

/**
 * @param {VNode | string} child
 * @param {Map<string, Node>} keyed
 * @param {Node[]} others
 */
function reuse(child, keyed, others) {
  if (typeof child === "string") {
    const at = others.findIndex((node) => node.nodeType === Node.TEXT_NODE);
    return at < 0 ? null : others.splice(at, 1)[0];
  }
  if (child.key !== null) {
    const name = `${child.tag} ${child.key}`;
    const found = keyed.get(name);
    keyed.delete(name);
    return found ?? null;
  }
  const at = others.findIndex((node) => made.get(node)?.tag === child.tag);
  return at < 0 ? null : others.splice(at, 1)[0];
}

/**
 * @param {VNode | string} child
 * @param {boolean} svg
 */
function create(child, svg) {
  if (typeof child === "string") return document.createTextNode(child);
  const element =
    svg || child.tag === "svg"
      ? document.createElementNS(SVG, child.tag)
      : document.createElement(child.tag);
  made.set(element, { tag: child.tag, key: child.key, props: {} });
  return element;
}

/**
 * @param {Element} element
 * @param {VNode} described
 * @param {boolean} svg
 */
function update(element, described, svg) {
  const known = made.get(element);
  if (!known) return;
  for (const name of Object.keys(known.props)) {
    if (!(name in described.props)) set(element, name, null);
  }
  for (const [name, value] of Object.entries(described.props)) {
    if (known.props[name] !== value) set(element, name, value);
  }
  known.props = described.props;
  // The children of an element of our own are its own business.
  if (!described.tag.includes("-")) {
    render(element, described.children, svg || described.tag === "svg");
  }
}

/**
 * @param {Element} element
 * @param {string} name
 * @param {any} value
 */
function set(element, name, value) {
  if (name.startsWith("on") || PROPERTIES.has(name)) {
    /** @type {any} */ (element)[name] = value ?? (name.startsWith("on") ? null : false);
  } else if (value === null || value === undefined || value === false) {
    element.removeAttribute(name);
  } else {
    element.setAttribute(name, value === true ? "" : String(value));
  }
}
