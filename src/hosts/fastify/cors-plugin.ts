import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { CorsBehind } from "../settle.js";

/** The plugin whose fields reach our refusals too. */
export const CORS_PLUGIN = "@fastify/cors";

/** The hooks that it can be told to work in. Those for what is sent see refusals anyway. */
const EARLY_HOOKS = ["onRequest", "preParsing", "preValidation", "preHandler", "preSerialization"];

/** A hook as Fastify calls it: with or without a payload before the callback. */
type Hook = (...args: readonly unknown[]) => unknown;

/** One hook of the plugin, and where it was added. */
interface Noted {
  readonly instance: FastifyInstance;
  readonly hook: Hook;
}

/** What the plugin does to a request: sets its fields, and answers it or goes on. */
export type AskCors = (request: FastifyRequest, reply: FastifyReply, next: () => void) => void;

/**
 * Remembers the hooks of `@fastify/cors`, which stand behind ours: a request that we refuse never comes to
 * them, and its page could not read why it was refused.
 */
export class CorsPluginHooks {
  readonly #noted: Noted[] = [];

  /** @param fastify the instance on which hooks are added from now on */
  constructor(fastify: FastifyInstance) {
    const noted = this.#noted;
    const { addHook } = fastify;
    const noting: FastifyInstance["addHook"] = function (this: FastifyInstance, ...rest: unknown[]) {
      const [name, hook] = rest;
      if (isHook(hook) && EARLY_HOOKS.some((early) => early === name) && isInsidePlugin(this, hook)) {
        noted.push({ instance: this, hook });
      }
      return Reflect.apply(addHook, this, rest);
    };
    fastify.addHook = noting;
  }

  /** What the plugin does to the requests of an instance's routes; `undefined` when it is not there. */
  of(instance: FastifyInstance): AskCors | undefined {
    // Fastify makes the instance of a plugin's own scope from the one around it.
    const last = this.#noted.findLast((one) => one.instance === instance || isAround(one.instance, instance));
    return last && ((request, reply, next) => callHook(last, request, reply, next));
  }
}

/** Fastify writes down the plugin that it is loading, and the plugin adds its hook first of all. */
function isInsidePlugin(instance: FastifyInstance, hook: Hook): boolean {
  return instance.pluginName.split(" -> ").at(-1) === CORS_PLUGIN && hook.name === "handleCors";
}

function isAround(outer: FastifyInstance, inner: FastifyInstance): boolean {
  return Object.prototype.isPrototypeOf.call(outer, inner);
}

function callHook({ instance, hook }: Noted, request: FastifyRequest, reply: FastifyReply, next: () => void): void {
  const payload = hook.length > 3 ? [null] : [];
  Reflect.apply(hook, instance, [request, reply, ...payload, next]);
}

function isHook(value: unknown): value is Hook {
  return typeof value === "function";
}

/** The plugin for one request, as it stands behind our hook. */
export function behindPlugin(ask: AskCors, request: FastifyRequest, reply: FastifyReply): CorsBehind {
  return {
    answer: (next) => ask(request, reply, next),
    setFields: (done) => setCorsFields(ask, request, reply, done),
  };
}

/**
 * Lets the plugin set its fields on a reply, and nothing more: what it would send is not sent.
 *
 * @param done called when the fields are there
 */
function setCorsFields(ask: AskCors, request: FastifyRequest, reply: FastifyReply, done: () => void): void {
  const silent: FastifyReply = Object.create(reply, {
    send: {
      value: () => {
        done();
        return silent;
      },
    },
  });
  ask(request, silent, done);
}
