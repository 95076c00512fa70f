import type { TokenRejection } from "../core/events.js";
import { CLIENT_GONE, type Refusal } from "../core/problem.js";
import { isPreflight } from "../cors/preflight.js";
import type { VerifiedToken } from "../jwt/authenticator.js";
import { giveBackOutcome, mergeOutcomes, type RateLimitOutcome, type RateLimitStep } from "../limits/step.js";
import { type LoadShedder, SHED } from "../overload/shedder.js";
import type { SecuredRequest } from "./passage.js";
import type { SecurityPolicy } from "./security-policy.js";

/** What a step says: `undefined` lets the request pass. A promise only where a store must be asked. */
export type StepResult = Refusal | undefined | Promise<Refusal | undefined>;

/** One step: does its part for a request and lets it pass or refuses it. */
export type Step = (request: SecuredRequest) => StepResult;

/**
 * The order of the pipeline, with the steps left out that nothing was enabled for.
 *
 * Cheap refusals come first: a flood that a limit stops never reaches a signature. The security
 * headers need no step, they are written with the head of every response, refusals included; a
 * session in its cookie needs none either, it is opened when the handler first touches it.
 */
export function compileSteps(security: SecurityPolicy): readonly Step[] {
  const steps: Step[] = [meetPreflight, limitClient];
  if (security.sessions !== undefined && !security.sessions.isSynchronous) steps.push(loadSession);
  if (security.authenticator !== undefined) steps.push(authenticate);
  steps.push(limitIdentity);
  if (security.csrf !== undefined) steps.push(checkOrigin);
  if (security.authenticator !== undefined) steps.push(checkGrants);
  return Object.freeze(steps);
}

/** The steps for what a route adds behind a middleware that has let its request pass. */
export function compileAddedSteps(security: SecurityPolicy): readonly Step[] {
  const steps: Step[] = [limitClient];
  if (security.authenticator !== undefined) steps.push(authenticate);
  steps.push(limitIdentity);
  if (security.csrf !== undefined) steps.push(checkOrigin);
  if (security.authenticator !== undefined) steps.push(checkGrants);
  return Object.freeze(steps);
}

/**
 * Takes a request through the steps until one refuses it; synchronous as long as every step is.
 *
 * @returns the refusal to answer with, or `undefined` when the handler may run
 */
export function admit(steps: readonly Step[], request: SecuredRequest, from = 0): StepResult {
  // Also after each step that took time: nothing is done for a client that has gone meanwhile.
  if (request.isClientGone) return CLIENT_GONE;
  for (let index = from; index < steps.length; index++) {
    const result = steps[index]?.(request);
    if (result === undefined) continue;
    if (!(result instanceof Promise)) return result;
    return result.then((refusal) => refusal ?? admit(steps, request, index + 1));
  }
  return undefined;
}

/**
 * A browser asks before it sends a request that a page of another origin made, and sends no credentials
 * with the question: it needs no token and takes no quota, only its own bound. Anybody can send what looks
 * like a preflight, so where it is not answered here it passes only where no handler for other methods stands.
 */
function meetPreflight(request: SecuredRequest): StepResult {
  const { view, route, security } = request;
  if (!isPreflight(view) || (route.cors === undefined && !route.admitsPreflights)) return undefined;
  const refusal = security.preflights.refuse(view);
  if (refusal !== undefined || route.cors !== undefined) return refusal ?? route.cors?.preflight(view);
  request.isPreflight = true;
  return undefined;
}

/**
 * The client's own limits come before the places that all clients share, so that it is the greedy who
 * are refused; but no store is asked for a request that has no place.
 */
function limitClient(request: SecuredRequest): StepResult {
  if (request.isPreflight) return undefined;
  const { clientLimits, shedders, shedsBeforeLimits } = request.route;
  if (shedders.length === 0) return checkLimits(request, clientLimits, undefined);
  if (shedsBeforeLimits) return shed(request) ?? checkLimits(request, clientLimits, undefined);
  return checkLimits(request, clientLimits, undefined) ?? shed(request);
}

/** Refuses a request that there is no place for, and gives it one otherwise. */
function shed(request: SecuredRequest): Refusal | undefined {
  const { shedders } = request.route;
  for (const shedder of shedders) {
    if (!shedder.refuses(request.view, clientOf(request, shedder), request)) continue;
    // Refused requests use nothing up.
    if (request.limits !== undefined) request.limits = giveBackOutcome(request.limits);
    return SHED;
  }
  for (const shedder of shedders) request.enter(shedder.gate.enter(clientOf(request, shedder)));
  return undefined;
}

/** What the limit of a shedder counted the request by; before it was asked, what it will count by. */
function clientOf(request: SecuredRequest, shedder: LoadShedder): string {
  for (const { limiter, key } of request.limits?.verdicts ?? []) if (limiter.shedder === shedder) return key;
  return shedder.clientOf(request.view);
}

function limitIdentity(request: SecuredRequest): StepResult {
  if (request.isPreflight) return undefined;
  return checkLimits(request, request.route.identityLimits, request.verified?.claims.sub);
}

function checkLimits(request: SecuredRequest, limits: RateLimitStep, identity: string | undefined): StepResult {
  if (limits.isEmpty) return undefined;
  if (limits.countsAddresses) request.security.addressCheck.look(request.view);
  const path = limits.readsPath ? request.path : undefined;
  const outcome = limits.check(request.view, request.view.request, identity, path);
  if (outcome instanceof Promise) return outcome.then((settled) => applyLimits(request, settled));
  return applyLimits(request, outcome);
}

function applyLimits(request: SecuredRequest, outcome: RateLimitOutcome | undefined): Refusal | undefined {
  if (outcome === undefined) return undefined;
  request.limits = request.limits === undefined ? outcome : mergeOutcomes(request.limits, outcome);
  return outcome.refusal;
}

/** A session in an asynchronous store is loaded before the handler, because reading it is not. */
function loadSession(request: SecuredRequest): StepResult {
  const opened = request.openSession();
  if (!(opened instanceof Promise)) {
    request.openedSession = opened;
    return undefined;
  }
  return opened.then((session) => {
    request.openedSession = session;
    return undefined;
  });
}

function authenticate(request: SecuredRequest): StepResult {
  const { authenticator } = request.security;
  if (authenticator === undefined || request.verified !== undefined || request.auth === false) return undefined;
  const answer = authenticator.authenticate(request.view);
  if (answer instanceof Promise) return answer.then((settled) => judgeToken(request, settled));
  return judgeToken(request, answer);
}

function judgeToken(request: SecuredRequest, answer: VerifiedToken | TokenRejection | undefined): Refusal | undefined {
  const { authenticator } = request.security;
  if (answer === undefined) {
    return request.auth === "required" && !request.isPreflight ? authenticator?.missing : undefined;
  }
  if (answer === "keys_unavailable") return authenticator?.unavailable;
  if (answer === "revocations_unavailable") return authenticator?.revocationsUnavailable;
  if (typeof answer === "string") return authenticator?.invalid;
  request.verified = answer;
  return undefined;
}

function checkOrigin(request: SecuredRequest): StepResult {
  const { csrf } = request.security;
  if (csrf === undefined || request.route.csrf === "never" || !csrf.concerns(request.view)) return undefined;
  const carriesCookie = carriesCredentialCookie(request);
  if (!carriesCookie && request.route.csrf === "with-cookie") return undefined;
  return csrf.allows(request.view, carriesCookie, request.route.cors) ? undefined : csrf.refusal;
}

/** Browsers send cookies with the requests of other sites too: these are the ones that can be forged. */
function carriesCredentialCookie({ security, view }: SecuredRequest): boolean {
  return security.sessions?.carriesCookie(view) === true || security.authenticator?.carriesCookie(view) === true;
}

function checkGrants(request: SecuredRequest): StepResult {
  const { scopes, roles, insufficientScope } = request.route;
  if (insufficientScope === undefined) return undefined;
  const token = request.verified;
  if (token === undefined) return request.security.authenticator?.missing;
  const hasScopes = scopes.every((scope) => token.scopes.has(scope));
  const hasRole = roles.length === 0 || roles.some((role) => token.roles.has(role));
  return hasScopes && hasRole ? undefined : insufficientScope;
}
