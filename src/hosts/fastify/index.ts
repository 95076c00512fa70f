import type { FastifyInstance } from "fastify";
import fp from "fastify-plugin";
import { ConfigError } from "../../core/errors.js";
import { read, required } from "../../core/options.js";
import type { Security } from "../../policy/security.js";
import { fieldsOf } from "../fields.js";
import { meetAnsweredPreflights } from "./answered-preflights.js";
import { CORS_PLUGIN } from "./cors-plugin.js";
import { isLevelled } from "./event-log.js";
import { installSecurity } from "./install.js";
import { reportUnlogged } from "./problems.js";
import { addRequestFields } from "./request-fields.js";
import "./types.js";

/** Options of the {@link cello} plugin. */
export interface CelloPluginOptions {
  /** The compiled policy. */
  readonly security: Security;
}

const MISSING = "write fastify.register(cello, { security: new Security({ ... }) })";
const unread = () => undefined;

const READERS = {
  security: required(MISSING, (fields, name) => fields.given(name) as Security | undefined),
  // What `register` itself reads of a plugin's options.
  prefix: unread,
  logLevel: unread,
  logSerializers: unread,
};

/**
 * The security layer as a Fastify plugin, for an instance that exists already.
 *
 * Register it first and wait for it, so that it sees every route:
 *
 * ```ts
 * await fastify.register(cello, { security });
 * fastify.get("/me", (request) => request.claims);
 * ```
 *
 * @throws ConfigError when routes were declared before it: their protection would be missing
 */
export const cello = fp(
  async (fastify: FastifyInstance, options: CelloPluginOptions) => {
    const { security } = read("cello", options, READERS);
    const hasCors = fastify.hasPlugin(CORS_PLUGIN);
    if (hasRoutes(fastify, hasCors)) {
      throw new ConfigError({
        code: "CELLO_TOO_LATE",
        subject: "cello",
        problem: "routes were declared before the plugin was loaded, and would not be protected as they say",
        mend: "write `await fastify.register(cello, { security })` before the first route",
      });
    }
    installSecurity(fastify, () => security);
    if (!isLevelled(fastify.log)) fastify.addHook("onError", reportUnlogged);
    addRequestFields(fastify, fieldsOf(security.policy, true));
    if (hasCors) meetAnsweredPreflights(fastify, security);
  },
  { name: "cello", fastify: "5.x" },
);

/** Whether there are routes, but the one by which the CORS plugin gets preflights of all paths. */
function hasRoutes(fastify: FastifyInstance, hasCors: boolean): boolean {
  const tree = fastify.printRoutes().trim();
  if (!hasCors) return tree !== "(empty tree)";
  const routes = tree.split("\n").filter((line) => /\([A-Z, ]+\)/.test(line));
  return routes.some((line) => !line.endsWith("── * (OPTIONS)"));
}

export default cello;
