import { StoreUnavailableError } from "../core/errors.js";
import type { PathPatterns } from "../core/path-patterns.js";
import { CLIENT_GONE, type Refusal, STORE_UNAVAILABLE, type StepResult } from "../core/problem.js";
import type { RequestView } from "../core/request-view.js";
import type { Cors } from "../cors/cors.js";
import { authenticate, requireGrants } from "../jwt/step.js";
import type { RateLimiter } from "../limits/limiter.js";
import { limitByClient, limitByIdentity } from "../limits/step.js";
import { loadSession } from "../session/step.js";
import type { Passage } from "./passage.js";
import type { Policy } from "./policy.js";
import { meetPreflight } from "./preflights.js";

/** One step: does its part for a request and lets it pass or refuses it. */
export type Step = (passage: Passage) => StepResult;

/** What decides about the requests of a route. */
export interface RouteRules {
  /** Whether preflights are met before everything else; else they are requests like others. */
  readonly meetsPreflights: boolean;
  readonly cors: Cors | undefined;
  readonly limits: readonly RateLimiter[];
  readonly auth: "required" | "optional" | false;
  /** Paths that need no token, where the path decides and not the route alone. */
  readonly excludedPaths: PathPatterns | undefined;
  readonly csrf: "always" | "with-cookie" | "never";
  readonly scopes: readonly string[];
  readonly roles: readonly string[];
}

/**
 * The steps of a route in their order; those that would have nothing to do are left out.
 *
 * Cheap refusals come first: a flood that a limit stops never reaches a signature. The security
 * headers need no step, they are written with the head of every response, refusals included; a
 * session in its cookie needs none either, it is opened when the handler first touches it.
 */
export function compileSteps(policy: Policy, rules: RouteRules): readonly Step[] {
  const { preflights, addressCheck, authenticator: tokens, sessions, csrf } = policy;
  const { limits, auth, scopes, roles, cors } = rules;
  const asksGrants = scopes.length > 0 || roles.length > 0;
  // Browsers send cookies with the requests of other sites too: these are the ones that can be forged.
  const carriesCookie = (view: RequestView) =>
    sessions?.carriesCookie(view) === true || tokens?.carriesCookie(view) === true;
  const steps = [
    rules.meetsPreflights && meetPreflight(preflights, cors),
    limitByClient(limits, addressCheck),
    sessions?.isSynchronous === false && loadSession(sessions),
    auth !== false && authenticate(required(tokens), auth, rules.excludedPaths),
    limitByIdentity(limits, addressCheck),
    rules.csrf !== "never" && csrf.step(rules.csrf, carriesCookie, cors),
    asksGrants && requireGrants(required(tokens), scopes, roles),
  ];
  return Object.freeze(steps.filter((step) => typeof step === "function"));
}

/** A lock whose part is missing must not stand open. */
function required<Part>(part: Part | undefined): Part {
  if (part === undefined) throw new TypeError("a route asks for a protection that is not enabled");
  return part;
}

/**
 * Takes a request through the pipeline of its route: synchronous as long as every step is. A store that does not
 * answer is a refusal, not an error.
 *
 * @returns the refusal to answer with, or `undefined` when the handler may run
 */
export function admit(passage: Passage): StepResult {
  try {
    const result = run(passage, passage.route.steps, 0);
    if (result instanceof Promise) return result.catch(refuseWithoutStore).then((refusal) => passage.decided(refusal));
    if (result !== undefined) passage.inFlight?.noteRefusedAtOnce();
    return passage.decided(result);
  } catch (error) {
    return passage.decided(refuseWithoutStore(error));
  }
}

function run(passage: Passage, steps: readonly Step[], from: number): StepResult {
  // Also after each step that took time: nothing is done for a client that has gone meanwhile.
  if (passage.inFlight?.isGone === true || passage.view.isClientGone === true) return CLIENT_GONE;
  for (let index = from; index < steps.length; index++) {
    const result = steps[index]?.(passage);
    if (result === undefined) continue;
    if (!(result instanceof Promise)) return result;
    return result.then((refusal) => refusal ?? run(passage, steps, index + 1));
  }
  return undefined;
}

function refuseWithoutStore(error: unknown): Refusal {
  if (error instanceof StoreUnavailableError) return STORE_UNAVAILABLE;
  throw error;
}
