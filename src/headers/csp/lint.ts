import type { CheckerFunction } from "csp_evaluator/dist/checks/checker.js";
import {
  checkRequiresTrustedTypesForScripts,
  checkStrictDynamic,
  checkStrictDynamicNotStandalone,
} from "csp_evaluator/dist/checks/strictcsp_checks.js";
import type { Csp } from "csp_evaluator/dist/csp.js";
import { CspEvaluator, DEFAULT_CHECKS } from "csp_evaluator/dist/evaluator.js";
import { Finding, Severity, Type } from "csp_evaluator/dist/finding.js";
import { CspParser } from "csp_evaluator/dist/parser.js";
import { getHostname, getSchemeFreeUrl, matchWildcardUrls } from "csp_evaluator/dist/utils.js";
import { describe } from "../../core/options.js";
import { BREADTH_CHECKS, findLost } from "./breadth.js";
import { refuse } from "./refuse.js";
import { NONCE_SLOT, SOURCE_KEYWORDS } from "./sources.js";

/**
 * How bad a finding is.
 *
 * - `high`: the policy does not stop script injection.
 * - `syntax`: browsers ignore this part.
 * - `medium`: a weakness that needs a further condition.
 * - `low`: a weakness in some applications, or a stricter form that exists.
 * - `info`: worth knowing.
 */
export type CspSeverity = "high" | "syntax" | "medium" | "low" | "info";

/** A weakness of a policy. */
export interface CspFinding {
  readonly severity: CspSeverity;
  /** The directive as it stands in the header, for example `script-src`. */
  readonly directive: string;
  /** The source that is the reason; absent when the directive as a whole is, or is missing. */
  readonly value?: string;
  readonly description: string;
}

const SEVERITIES: ReadonlyMap<Severity, CspSeverity> = new Map([
  [Severity.HIGH, "high"],
  [Severity.SYNTAX, "syntax"],
  [Severity.MEDIUM, "medium"],
  [Severity.HIGH_MAYBE, "low"],
  [Severity.STRICT_CSP, "low"],
  [Severity.MEDIUM_MAYBE, "low"],
  [Severity.INFO, "info"],
  [Severity.NONE, "info"],
]);
const WORST_FIRST: readonly CspSeverity[] = ["high", "syntax", "medium", "low", "info"];

/**
 * The evaluator has two more checks, which ask for 'unsafe-inline' and https: as fallbacks for
 * browsers that know no nonces. Those of today all do, and the advice reads as a weakening.
 */
const STRICTNESS_CHECKS: readonly CheckerFunction[] = [
  checkStrictDynamic,
  checkStrictDynamicNotStandalone,
  checkRequiresTrustedTypesForScripts,
];

const CODE_DIRECTIVE = /^(?:default-src|(?:script|style)-src(?:-elem|-attr)?)$/;
const CODE_KEYWORD = /^'(?:unsafe-(?:inline|eval|hashes)|strict-dynamic|wasm-unsafe-eval)'$/;

/** A nonce of the builder that is not `CSP.NONCE` is the same in every response: anyone can read it there. */
export const staticNonceFindings: CheckerFunction = (csp) =>
  everyValue(csp, ([directive, value]) =>
    value.startsWith("'nonce-") && !value.includes(LINTED_NONCE)
      ? [
          new Finding(
            Type.STATIC_NONCE,
            "This nonce is the same in every response, so that injected code can carry it. Use CSP.NONCE.",
            Severity.HIGH,
            directive,
            value,
          ),
        ]
      : [],
  );

/** The evaluator reads nonces as base64, so the slot is filled for it with one that nobody has. */
const LINTED_NONCE = "CELLO+NONCE+SLOT+AAAAA==";

/**
 * The weaknesses of a policy, worst first: those of scripts, which csp_evaluator knows, and besides them
 * inline styles, sources and gaps that let in every site, and what browsers do not read.
 *
 * @param policy the value of a Content-Security-Policy header
 * @param further checks for this kind of policy
 */
export function lintPolicy(policy: string, ...further: readonly CheckerFunction[]): readonly CspFinding[] {
  if (typeof policy !== "string") {
    refuse("lint", `takes the policy as text, got ${describe(policy)}`, "give a header's value", "CELLO_WRONG_TYPE");
  }
  const parsed = new CspParser(policy.replaceAll(NONCE_SLOT, LINTED_NONCE)).csp;
  const unreadable = removeUnreadable(parsed);
  const findings = new CspEvaluator(parsed).evaluate(
    [...STRICTNESS_CHECKS, checkStyles, checkIneffectiveKeywords, ...further],
    DEFAULT_CHECKS,
  );
  const broad = BREADTH_CHECKS.flatMap((check) => check(parsed)).filter((one) => !isAmong(findings, one));
  return Object.freeze(
    [...findLost(policy), ...unreadable, ...findings, ...broad]
      .filter((finding) => !isKnownKeyword(finding))
      .map(toFinding)
      .sort((a, b) => WORST_FIRST.indexOf(a.severity) - WORST_FIRST.indexOf(b.severity)),
  );
}

function toFinding(finding: Finding): CspFinding {
  return Object.freeze({
    severity: SEVERITIES.get(finding.severity) ?? "info",
    directive: finding.directive,
    ...(finding.value === undefined ? {} : { value: finding.value.replaceAll(LINTED_NONCE, NONCE_SLOT) }),
    description: finding.description.replaceAll(LINTED_NONCE, NONCE_SLOT),
  });
}

/** Whether the evaluator has found the same, which it then judges with more knowledge. */
function isAmong(findings: readonly Finding[], { type, directive, value }: Finding): boolean {
  return findings.some(
    (other) => other.type === type && other.directive === directive && other.value?.toLowerCase() === value,
  );
}

/** The evaluator's list of keywords is older than ours. */
function isKnownKeyword(finding: Finding): boolean {
  return finding.type === Type.INVALID_KEYWORD && SOURCE_KEYWORDS.has(finding.value?.toLowerCase() ?? "");
}

/** Takes out the values on which the evaluator throws; in a list of sources they are findings. */
function removeUnreadable(csp: Csp): Finding[] {
  const findings: Finding[] = [];
  for (const [directive, values] of Object.entries(csp.directives)) {
    const unreadable = values?.filter((value) => !isReadable(value)) ?? [];
    if (unreadable.length === 0) continue;
    csp.directives[directive] = values?.filter((value) => !unreadable.includes(value));
    if (!directive.endsWith("-src") && directive !== "frame-ancestors" && directive !== "base-uri") continue;
    for (const value of unreadable) {
      findings.push(new Finding(Type.INVALID_KEYWORD, `${value} is not a source.`, Severity.SYNTAX, directive, value));
    }
  }
  return findings;
}

function isReadable(value: string): boolean {
  try {
    getHostname(value);
    matchWildcardUrls(`//${getSchemeFreeUrl(value)}`, []);
    return true;
  } catch {
    return false;
  }
}

/** Injected styles read the page's secrets (attribute selectors) and draw over it. */
function checkStyles(csp: Csp): Finding[] {
  const directive = csp.getEffectiveDirective("style-src");
  const values = csp.directives[directive] ?? [];
  const isReplaced = values.some((value) => /^'(?:nonce|sha(?:256|384|512))-/.test(value));
  if (!values.includes("'unsafe-inline'") || isReplaced) return [];
  const description = "'unsafe-inline' allows injected styles, which can read values of the page and cover it.";
  return [new Finding(Type.STYLE_UNSAFE_INLINE, description, Severity.MEDIUM_MAYBE, directive, "'unsafe-inline'")];
}

function checkIneffectiveKeywords(csp: Csp): Finding[] {
  return everyValue(csp, ([directive, value]) =>
    CODE_KEYWORD.test(value) && !CODE_DIRECTIVE.test(directive)
      ? [new Finding(Type.IGNORED, `${value} has no effect in ${directive}.`, Severity.INFO, directive, value)]
      : [],
  );
}

function everyValue(csp: Csp, check: (entry: readonly [directive: string, value: string]) => Finding[]): Finding[] {
  return Object.entries(csp.directives).flatMap(([directive, values]) =>
    (values ?? []).flatMap((value) => check([directive, value])),
  );
}
