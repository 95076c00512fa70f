import type { SecuredRequest } from "../policy/request.js";

/*
 * A host's request has one type in a program, and packages for sessions declare its `session` as well. Two that do
 * are an error of the compiler, in files that nobody can mend. So ours is left out where one of the others is: they
 * are known by names that only they declare. Where such a name does not exist, the compiler complains, is told not
 * to, and takes `any` for it.
 */

/** Whether a type is declared. */
export type IsThere<Type> = 0 extends 1 & Type ? false : true;

/** What the layer adds to requests, without `session` where another package declares one. */
export type FieldsBeside<AreThere extends readonly [boolean, boolean]> = AreThere extends readonly [false, false]
  ? SecuredRequest
  : Omit<SecuredRequest, "session">;
