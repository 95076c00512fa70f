import { type InnerList, type Item, serializeDictionary, Token } from "structured-headers";
import { describe, type Fields, isBag } from "../core/options.js";

/** Feature names, as they stand in the header, and the pages that may use each: `"self"`, `"*"`, origins; `[]` means none. */
export type PermissionsPolicy = Readonly<Record<string, readonly string[]>>;

const FEATURE = /^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/;
/** A serialised origin, or one with a wildcard for its subdomains (section 5.1). */
const ORIGIN = /^https?:\/\/(?:\*\.)?[a-z0-9-]+(?:\.[a-z0-9-]+)*(?::\d{1,5})?$/;

/**
 * A dictionary of structured fields (RFC 9651), for example `geolocation=(), camera=(self "https://a.example")`;
 * section 3.2: one without members is not sent.
 */
export function writePermissionsPolicy(policy: PermissionsPolicy = {}): string | undefined {
  const members = Object.entries(policy).map(([feature, allowed]) => [feature, toMember(allowed)] as const);
  return members.length === 0 ? undefined : serializeDictionary(new Map(members));
}

function toMember(allowed: readonly string[]): Item | InnerList {
  if (allowed[0] === "*") return [new Token("*"), new Map()];
  return [allowed.map((entry): Item => [entry === "self" ? new Token("self") : entry, new Map()]), new Map()];
}

export function readPermissionsPolicy(fields: Fields, name: string): PermissionsPolicy | undefined {
  const given = fields.given(name) ?? undefined;
  if (given === undefined) return undefined;
  if (!isBag(given)) {
    fields.wrongType(name, `must be a record of features, got ${describe(given)}`, "write { camera: [] }");
  }
  const policy: Record<string, readonly string[]> = {};
  for (const [feature, allowed] of Object.entries(given)) {
    if (!FEATURE.test(feature)) {
      const kebab = feature.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
      const mend = FEATURE.test(kebab)
        ? `write "${kebab}"`
        : 'write it as in the header, for example "picture-in-picture"';
      fields.invalid(name, `${JSON.stringify(feature)} is not a feature name`, mend);
    }
    policy[feature] = readAllowList(fields, name, feature, allowed);
  }
  return Object.freeze(policy);
}

function readAllowList(fields: Fields, name: string, feature: string, allowed: unknown): readonly string[] {
  if (!Array.isArray(allowed)) {
    const mend = 'write [] for nobody, or ["self", "https://a.example"]';
    fields.wrongType(name, `"${feature}" must have a list, got ${describe(allowed)}`, mend);
  }
  const list = allowed.map((entry: unknown) => {
    const problem = `"${feature}" has ${describe(entry)}`;
    if (typeof entry !== "string") fields.wrongType(name, problem, 'give "self", "*" or an origin');
    if (entry === "self" || entry === "*" || isOrigin(entry)) return entry;
    return fields.invalid(name, `${problem}, which is not an origin`, allowedMend(entry));
  });
  if (list.includes("*") && list.length > 1) {
    fields.conflict(name, `"${feature}" has "*" beside others`, 'write ["*"] alone, or leave it out');
  }
  return Object.freeze(list);
}

function isOrigin(entry: string): boolean {
  return ORIGIN.test(entry) && Number(/:(\d+)$/.exec(entry)?.[1] ?? 0) <= 65_535;
}

function allowedMend(entry: string): string {
  const bare = entry.replace(/["']/g, "");
  if (bare === "self" && entry !== bare) return 'write "self", without further quotes';
  if (bare === "none") return "write [] for nobody";
  if (bare === "src") return '"src" means something only in the allow attribute of a frame: name the origin';
  if (/^https?:\/\//i.test(entry) && URL.canParse(entry)) return `write "${new URL(entry).origin}"`;
  return 'give "self", "*" or an origin such as "https://a.example"';
}
