// Numbers, times and names for people.

/**
 * @param {number} seconds
 * @returns {string} such as `3 h 12 min`
 */
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${whole % 60} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/**
 * @param {string | null | undefined} stamp
 * @returns {string} such as `30 Nov 23:12:05`
 */
export function time(stamp) {
  if (!stamp) return "–";
  const date = new Date(stamp);
  return `${date.toLocaleDateString("en-GB", { day: "2-digit", month: "short", timeZone: "UTC" })} ${date.toLocaleTimeString("en-GB", { timeZone: "UTC" })}`;
}

/**
 * @param {number | null | undefined} value
 * @param {number} [digits]
 */
export function number(value, digits = 4) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (Number.isInteger(value)) return value.toLocaleString("en-GB");
  return Math.abs(value) >= 1000 ? Math.round(value).toLocaleString("en-GB") : String(Number(value.toFixed(digits)));
}

/** @param {number} value with its sign */
export function signed(value) {
  const text = number(value);
  return value > 0 ? `+${text}` : text.replace("-", "−");
}

/**
 * @param {string} from
 * @param {string} to
 */
export function between(from, to) {
  return (Date.parse(to) - Date.parse(from)) / 1000;
}

/** @param {string} arn its last part */
export function last(arn) {
  return arn.split(/[/:]/).pop() ?? arn;
}

/** @typedef {"good" | "bad" | "busy" | "wait" | "still"} Kind */

/** @type {Record<Kind, string>} */
export const ICONS = { good: "✓", bad: "✕", busy: "◐", wait: "◷", still: "○" };

/**
 * Return the word and the kind of a status, so that nothing is said by colour alone.
 *
 * @param {string | null | undefined} status
 * @returns {{word: string, kind: Kind}}
 */
export function judged(status) {
  const word = status ?? "not run";
  if (/ROLLBACK|fail|ALARM|error|Stopped|denied|not granted|unhealthy|ended/i.test(word)) {
    return { word, kind: "bad" };
  }
  if (/progress|creating|updating|stopping|deleting|rolling|baking|activating|starting/i.test(word)) {
    return { word, kind: "busy" };
  }
  if (/waiting|pending|insufficient/i.test(word)) return { word, kind: "wait" };
  if (/succeed|complete|inservice|^ok$|serving|^2\d\d$|approved/i.test(word)) {
    return { word, kind: "good" };
  }
  if (/^[45]\d\d$/.test(word)) return { word, kind: "bad" };
  return { word, kind: "still" };
}
