import type { FastifyInstance } from "fastify";
import type { FieldsBeside, IsThere } from "../other-sessions.js";

// biome-ignore lint/suspicious/noTsIgnore: an error is expected only where the other package is not used
/** @ts-ignore: declared by \@fastify/session, where it is used */
type OtherSession = import("fastify").Session;

type HasSecureSession = "encodeSecureSession" extends keyof FastifyInstance ? true : false;

/** What the plugin adds to requests. */
export type RequestFieldsBesideOthers = FieldsBeside<[IsThere<OtherSession>, HasSecureSession]>;
