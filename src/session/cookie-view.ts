import type { SessionState } from "./state.js";

/** What can be read of a session's cookie; times in milliseconds, as Express' sessions have them. */
export interface SessionCookieView {
  /** How long the session lasts from now on. */
  readonly maxAge: number;
  /** How long it lasted when it began, or was renewed last. */
  readonly originalMaxAge: number;
  /** When the session ends. */
  readonly expires: Date;
}

/**
 * A view of the cookie that throws when something is assigned to it: code for Express' sessions sets
 * `session.cookie.maxAge`, and must not believe that it did.
 */
export function cookieView({ createdAt, expiresAt, keeper }: SessionState): SessionCookieView {
  const view = {
    maxAge: Math.max(0, expiresAt - keeper.now()),
    originalMaxAge: expiresAt - createdAt,
    expires: new Date(expiresAt),
  };
  return new Proxy(view, {
    set(_view, name) {
      throw new TypeError(
        `session.cookie.${String(name)} cannot be assigned: every session has the cookie of its SessionConfig; set "maxAge" and the like there`,
      );
    },
  });
}
