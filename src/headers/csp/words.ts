import { isHttpToken } from "../../core/options.js";
import { refuse, shown } from "./refuse.js";
import { NONE, readWord } from "./sources.js";

/** Directives that are not lists of sources: each has its own grammar. */

/** The tokens of the `sandbox` attribute (HTML, "The `iframe` element"). */
const SANDBOX_TOKENS: readonly string[] = [
  "allow-downloads",
  "allow-forms",
  "allow-modals",
  "allow-orientation-lock",
  "allow-pointer-lock",
  "allow-popups",
  "allow-popups-to-escape-sandbox",
  "allow-presentation",
  "allow-same-origin",
  "allow-scripts",
  "allow-storage-access-by-user-activation",
  "allow-top-navigation",
  "allow-top-navigation-by-user-activation",
  "allow-top-navigation-to-custom-protocols",
];

/** URI reference: absolute with http(s), or a path of this origin; RFC 3986 without `;`, `,` and `'`. */
const REPORT_URI = /^(?:https?:\/\/[a-z0-9\-._[\]:]+|(?=\/(?!\/)))(?:[a-z0-9\-._~!$&()*+=:@/?]|%[0-9a-f]{2})*$/i;

/** tt-policy-name of the Trusted Types specification. */
const POLICY_NAME = /^[A-Za-z0-9\-#=_/@.%]+$/;

/** `sandbox`: any of HTML's tokens; none at all is the full sandbox. */
export function readSandbox(method: string, tokens: readonly unknown[]): readonly string[] {
  return tokens.map((token) => {
    const word = readWord(method, token);
    if (!SANDBOX_TOKENS.includes(word)) {
      refuse(method, `${shown(word)} is not a sandbox token`, `its tokens are ${SANDBOX_TOKENS.join(", ")}`);
    }
    return word;
  });
}

/** `report-to`: the name of one reporting endpoint. */
export function readReportTo(method: string, names: readonly unknown[]): readonly string[] {
  if (names.length !== 1) {
    refuse(method, `takes one name, got ${names.length}`, "name one of the reportingEndpoints");
  }
  const name = readWord(method, names[0]);
  if (!isHttpToken(name)) {
    refuse(method, `${shown(name)} is not a token`, 'name one of the reportingEndpoints, for example "csp"');
  }
  return [name];
}

/** `report-uri`: URLs, or paths of this origin. */
export function readReportUri(method: string, uris: readonly unknown[]): readonly string[] {
  if (uris.length === 0) refuse(method, "was called without a URL", 'give one, for example "/csp-reports"');
  return uris.map((uri) => {
    const word = readWord(method, uri);
    if (!REPORT_URI.test(word)) {
      refuse(method, `${shown(word)} is not a URL`, 'write "https://..." or a path such as "/csp-reports"');
    }
    return word;
  });
}

/** `require-trusted-types-for`: only `'script'` is defined. */
export function readTrustedTypesSinks(method: string, sinks: readonly unknown[]): readonly string[] {
  if (sinks.length === 0) refuse(method, "was called without a value", `write ${method}("'script'")`);
  return sinks.map((sink) => {
    const word = readWord(method, sink);
    if (word !== "'script'") refuse(method, `${shown(word)} is not defined`, `write ${method}("'script'")`);
    return word;
  });
}

/** `trusted-types`: policy names, `*`, `'allow-duplicates'`, or `'none'`. */
export function readTrustedTypes(method: string, names: readonly unknown[]): readonly string[] {
  if (names.length === 0) {
    refuse(method, "was called without a policy name", `write ${method}("'none'") to allow no policy`);
  }
  return names.map((name) => {
    const word = readWord(method, name);
    if (word === "*" || word === "'allow-duplicates'" || word === NONE) return word;
    if (word === "allow-duplicates" || word === "none") {
      refuse(method, `${shown(word)} without quotes is read as a policy name`, `write "'${word}'"`);
    }
    if (!POLICY_NAME.test(word)) {
      refuse(method, `${shown(word)} is not a policy name`, "use letters, digits and - # = _ / @ . %");
    }
    return word;
  });
}

/** `webrtc`: `'allow'` or `'block'`. */
export function readWebrtc(method: string, values: readonly unknown[]): readonly string[] {
  const [value] = values;
  if (values.length !== 1 || (value !== "'allow'" && value !== "'block'")) {
    refuse(method, "takes one of two values", `write ${method}("'allow'") or ${method}("'block'")`);
  }
  return [value];
}

/** `upgrade-insecure-requests`: it takes nothing. */
export function readNothing(method: string, values: readonly unknown[]): readonly string[] {
  if (values.length > 0) refuse(method, "takes no sources", `write ${method}()`);
  return [];
}
