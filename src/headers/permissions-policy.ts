import { type InnerList, type Item, serializeDictionary, Token } from "structured-headers";
import { type ConfigFields, describe, isBag } from "../core/options.js";
import type { SecurityHeader } from "./security-header.js";

/** Feature names, as they stand in the header, and who may use each: `"self"`, `"*"`, origins; `[]` means nobody. */
export type PermissionsPolicy = Readonly<Record<string, readonly string[]>>;

const FEATURE = /^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/;
/** A serialised origin, or one with a wildcard for its subdomains (section 5.1). */
const ORIGIN = /^https?:\/\/(?:\*\.)?[a-z0-9-]+(?:\.[a-z0-9-]+)*(?::\d{1,5})?$/;

/**
 * `Permissions-Policy` (W3C Permissions Policy): which browser features (camera, geolocation...) the
 * page and its frames may use, so that injected code and embedded sites cannot ask for them.
 *
 * The value is a dictionary of structured fields (RFC 9651), for example
 * `geolocation=(), camera=(self "https://a.example")`.
 */
export const permissionsPolicy: SecurityHeader<{ readonly permissionsPolicy: PermissionsPolicy | undefined }> = {
  name: "Permissions-Policy",
  field: "permissionsPolicy",
  value: (config) => {
    const features = Object.entries(config.permissionsPolicy ?? {});
    // RFC 9651 section 3.2: a dictionary without members is a field that is not sent.
    if (features.length === 0) return undefined;
    return serializeDictionary(new Map(features.map(([feature, allowed]) => [feature, toMember(allowed)])));
  },
};

/** Reads the record; the answer is a frozen copy. */
export function readPermissionsPolicy(fields: ConfigFields): PermissionsPolicy | undefined {
  const given = fields.raw("permissionsPolicy");
  if (given === undefined || given === null) return undefined;
  if (!isBag(given)) {
    refuse(fields, `must be a record of features, got ${describe(given)}`, "write { camera: [] }", "CELLO_WRONG_TYPE");
  }
  const policy: Record<string, readonly string[]> = {};
  for (const [feature, allowed] of Object.entries(given)) {
    if (!FEATURE.test(feature)) {
      const kebab = feature.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
      const mend = FEATURE.test(kebab)
        ? `write "${kebab}"`
        : 'write it as in the header, for example "picture-in-picture"';
      refuse(fields, `${JSON.stringify(feature)} is not a feature name`, mend);
    }
    policy[feature] = readAllowList(fields, feature, allowed);
  }
  return Object.freeze(policy);
}

function readAllowList(fields: ConfigFields, feature: string, allowed: unknown): readonly string[] {
  if (!Array.isArray(allowed)) {
    refuse(
      fields,
      `"${feature}" must have a list, got ${describe(allowed)}`,
      'write [] for nobody, or ["self", "https://a.example"]',
      "CELLO_WRONG_TYPE",
    );
  }
  const list = allowed.map((entry: unknown) => readAllowed(fields, feature, entry));
  if (list.includes("*") && list.length > 1) {
    refuse(fields, `"${feature}" has "*" beside others`, 'write ["*"] alone, or leave it out', "CELLO_CONFLICT");
  }
  return Object.freeze(list);
}

function readAllowed(fields: ConfigFields, feature: string, entry: unknown): string {
  if (typeof entry !== "string") {
    refuse(fields, `"${feature}" has ${describe(entry)}`, 'give "self", "*" or an origin', "CELLO_WRONG_TYPE");
  }
  if (entry === "self" || entry === "*") return entry;
  if (ORIGIN.test(entry) && isPort(entry)) return entry;
  refuse(fields, `"${feature}" has ${describe(entry)}, which is not an origin`, allowedMend(entry));
}

function isPort(origin: string): boolean {
  return Number(/:(\d+)$/.exec(origin)?.[1] ?? 0) <= 65_535;
}

function allowedMend(entry: string): string {
  const bare = entry.replace(/["']/g, "");
  if (bare === "self" && entry !== bare) return 'write "self", without further quotes';
  if (bare === "none") return "write [] for nobody";
  if (bare === "src") return '"src" means something only in the allow attribute of a frame: name the origin';
  if (/^https?:\/\//i.test(entry) && URL.canParse(entry)) return `write "${new URL(entry).origin}"`;
  return 'give "self", "*" or an origin such as "https://a.example"';
}

function toMember(allowed: readonly string[]): Item | InnerList {
  if (allowed[0] === "*") return [new Token("*"), new Map()];
  return [allowed.map((entry): Item => [entry === "self" ? new Token("self") : entry, new Map()]), new Map()];
}

function refuse(
  fields: ConfigFields,
  problem: string,
  mend: string,
  code: "CELLO_INVALID_VALUE" | "CELLO_WRONG_TYPE" | "CELLO_CONFLICT" = "CELLO_INVALID_VALUE",
): never {
  return fields.fail(code, "permissionsPolicy", problem, mend);
}
