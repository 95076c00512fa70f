import type { CheckerFunction } from "csp_evaluator/dist/checks/checker.js";
import type { Csp } from "csp_evaluator/dist/csp.js";
import { Finding, Severity, Type } from "csp_evaluator/dist/finding.js";

/** Directives to which `default-src` is no fallback (CSP3 section 6.1.3), and what happens without them. */
const WITHOUT_FALLBACK: Readonly<Record<string, string>> = {
  "frame-ancestors": "any site may frame the page and trick its users into clicks (unless X-Frame-Options forbids it)",
  "form-action": "an injected form may send what users type, passwords among it, to any site",
  "base-uri": "an injected <base> may turn the page's relative URLs to any site",
};

/** What a foreign source in a directive can do: covering the page, framing it, running code. */
const FAR_REACHING =
  /^(?:default-src|style-src(?:-elem|-attr)?|frame-src|child-src|worker-src|frame-ancestors|form-action|base-uri|script-src(?:-elem|-attr)?|object-src)$/;

const TAKES_SOURCES = /^(?:[a-z]+-src(?:-elem|-attr)?|frame-ancestors|form-action|base-uri)$/;

/** Content that comes in the URL itself, and shows only what the page could show anyhow. */
const HARMLESS_INLINE = /^(?:img|font|media)-src (?:data|blob):$/;

const SCHEME = /^[a-z][a-z0-9+.-]*:$/;
const ANY_HOST = /^(?:[a-z][a-z0-9+.-]*:\/\/)?\*(?::\*)?$/;

/** What csp_evaluator leaves out, because it looks at scripts alone. */
export const BREADTH_CHECKS: readonly CheckerFunction[] = [
  checkMissing,
  checkBroadSources,
  checkContradictions,
  checkStyleHashes,
  checkSandbox,
];

function checkMissing(csp: Csp): Finding[] {
  return Object.entries(WITHOUT_FALLBACK).flatMap(([directive, consequence]) =>
    Object.hasOwn(csp.directives, directive)
      ? []
      : [finding(Type.MISSING_DIRECTIVES, `${directive} is missing: ${consequence}.`, Severity.MEDIUM, directive)],
  );
}

/** `*` and whole schemes allow every site, in whatever directive they stand. */
function checkBroadSources(csp: Csp): Finding[] {
  return sourcesOf(csp).flatMap(([directive, source]) => {
    const isScheme = SCHEME.test(source);
    if (!isScheme && !ANY_HOST.test(source)) return [];
    const type = isScheme ? Type.PLAIN_URL_SCHEMES : Type.PLAIN_WILDCARD;
    return [finding(type, broadness(directive, source), severityOf(directive, source), directive, source)];
  });
}

function broadness(directive: string, source: string): string {
  if (source === "data:" || source === "blob:") return `${source} allows content that an injection brings along.`;
  return `${source} allows every site in ${directive}, also one of an attacker. Name the hosts.`;
}

function severityOf(directive: string, source: string): Severity {
  if (HARMLESS_INLINE.test(`${directive} ${source}`)) return Severity.INFO;
  return FAR_REACHING.test(directive) ? Severity.MEDIUM : Severity.MEDIUM_MAYBE;
}

/** Sources that say the opposite of each other: one of them is ignored, and not the one that was meant. */
function checkContradictions(csp: Csp): Finding[] {
  return Object.entries(csp.directives).flatMap(([directive, values = []]) => {
    if (!TAKES_SOURCES.test(directive) || values.length < 2) return [];
    const lower = values.map((value) => value.toLowerCase());
    if (lower.includes("'none'")) {
      const description = "'none' is ignored beside other sources.";
      return [finding(Type.IGNORED, description, Severity.SYNTAX, directive, "'none'")];
    }
    if (!lower.includes("*")) return [];
    return values
      .filter((value) => value.toLowerCase() === "'self'" || /^(?:https?|wss?):/i.test(value))
      .map((value) => finding(Type.IGNORED, `${value} restricts nothing beside *.`, Severity.INFO, directive, value));
  });
}

function checkStyleHashes(csp: Csp): Finding[] {
  return sourcesOf(csp).flatMap(([directive, source]) =>
    directive.startsWith("style-src") && source === "'unsafe-hashes'"
      ? [
          finding(
            Type.SCRIPT_UNSAFE_HASHES,
            "'unsafe-hashes' lets an injection use the styles of other elements' attributes.",
            Severity.MEDIUM_MAYBE,
            directive,
            source,
          ),
        ]
      : [],
  );
}

/** A frame that may run scripts of its own origin can take its sandbox away (HTML, the iframe element). */
function checkSandbox(csp: Csp): Finding[] {
  const tokens = csp.directives.sandbox ?? [];
  if (!tokens.includes("allow-scripts") || !tokens.includes("allow-same-origin")) return [];
  const description = "allow-scripts together with allow-same-origin lets the page leave its sandbox.";
  return [finding(Type.IGNORED, description, Severity.MEDIUM, "sandbox", "allow-same-origin")];
}

/**
 * What is lost when a policy is read: of a directive that stands twice browsers take the first (CSP3
 * section 2.2.1), and a comma begins another policy.
 */
export function findLost(policy: string): Finding[] {
  const findings: Finding[] = [];
  if (policy.includes(",")) {
    findings.push(
      finding(
        Type.MISSING_SEMICOLON,
        "A comma begins another policy. Write ; between directives.",
        Severity.SYNTAX,
        "",
      ),
    );
  }
  const seen = new Set<string>();
  for (const part of policy.split(";")) {
    const name = part.trim().split(/\s+/, 1)[0]?.toLowerCase() ?? "";
    if (name === "") continue;
    if (seen.has(name)) {
      const description = `${name} stands here again, and browsers read only the first. Put all sources into one.`;
      findings.push(finding(Type.IGNORED, description, Severity.SYNTAX, name));
    }
    seen.add(name);
  }
  return findings;
}

function sourcesOf(csp: Csp): (readonly [directive: string, source: string])[] {
  return Object.entries(csp.directives).flatMap(([directive, values = []]) =>
    TAKES_SOURCES.test(directive) ? values.map((value) => [directive, value.toLowerCase()] as const) : [],
  );
}

function finding(type: Type, description: string, severity: Severity, directive: string, value?: string): Finding {
  return new Finding(type, description, severity, directive, value);
}
