import type { FastifyInstance } from "fastify";
import type { SecuredRequest } from "../../policy/request.js";

/*
 * Fastify's request has one type in a program, and plugins for sessions declare its `session` as well. Two that
 * do are an error of the compiler, in files that nobody can mend. So ours is left out where one of the others is:
 * they are known by names that only they declare.
 */

// biome-ignore lint/suspicious/noTsIgnore: an error is expected only where the other package is not used
/** @ts-ignore: declared by \@fastify/session, where it is used */
type OtherSession = import("fastify").Session;

type IsThere<Type> = 0 extends 1 & Type ? false : true;
type HasSecureSession = "encodeSecureSession" extends keyof FastifyInstance ? true : false;

/** What the plugin adds to requests, without `session` where another plugin declares one. */
export type RequestFieldsBesideOthers = [IsThere<OtherSession>, HasSecureSession] extends [false, false]
  ? SecuredRequest
  : Omit<SecuredRequest, "session">;
