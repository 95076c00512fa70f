import type { FieldsBeside, IsThere } from "../other-sessions.js";

// biome-ignore lint/suspicious/noTsIgnore: an error is expected only where the other package is not used
/** @ts-ignore: declared by \@types/express-session, where it is used */
type ExpressSession = Express.SessionStore;

// biome-ignore lint/suspicious/noTsIgnore: an error is expected only where the other package is not used
/** @ts-ignore: declared by \@types/cookie-session, where it is used */
type CookieSession = CookieSessionInterfaces.CookieSessionObject;

/** What the middleware adds to requests. */
export type RequestFieldsBesideOthers = FieldsBeside<[IsThere<ExpressSession>, IsThere<CookieSession>]>;
