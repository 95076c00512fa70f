import { createHash } from "node:crypto";
import type { App, AppRequest } from "cello";

/** What tokens and sessions of this app hold. */
export interface DemoTypes {
  readonly claims: {
    readonly sub: string;
    readonly name: string;
    readonly scope: string;
    readonly roles: readonly string[];
  };
  readonly session: {
    readonly userId: string;
    /** Where to go after signing in. */
    readonly next: string;
    readonly pagesSeen: number;
  };
}

export type DemoApp = App<DemoTypes>;
export type DemoSession = AppRequest<DemoTypes>["session"];

/** Pages are for browsers, who come with a session: the app asks for tokens everywhere else. */
export const PAGE = { auth: false } as const;

/** A field of a parsed form or JSON body; empty when it is not there or not text. */
export function textField(body: unknown, name: string): string {
  if (typeof body !== "object" || body === null) return "";
  const value: unknown = Reflect.get(body, name);
  return typeof value === "string" ? value : "";
}

/** Tells sessions apart without showing the id, which is as good as a password. */
export function fingerprint(session: DemoSession): string {
  return createHash("sha256").update(session.id).digest("hex").slice(0, 12);
}
