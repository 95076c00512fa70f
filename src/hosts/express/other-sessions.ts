import type { SecuredRequest } from "../../policy/request.js";

/*
 * Express' request has one type in a program, and packages for sessions declare its `session` as well. Two that do
 * are an error of the compiler, in files that nobody can mend. So ours is left out where one of the others
 * is: what they declare is looked for by names that only they have. Where those do not exist, the compiler
 * complains, is told not to, and takes `any` for them.
 */

// biome-ignore lint/suspicious/noTsIgnore: an error is expected only where the other package is not used
/** @ts-ignore: declared by \@types/express-session, where it is used */
type ExpressSession = Express.SessionStore;

// biome-ignore lint/suspicious/noTsIgnore: an error is expected only where the other package is not used
/** @ts-ignore: declared by \@types/cookie-session, where it is used */
type CookieSession = CookieSessionInterfaces.CookieSessionObject;

type IsThere<Type> = 0 extends 1 & Type ? false : true;

/** What the middleware adds to requests, without `session` where another package declares one. */
export type RequestFieldsBesideOthers = [IsThere<ExpressSession>, IsThere<CookieSession>] extends [false, false]
  ? SecuredRequest
  : Omit<SecuredRequest, "session">;
