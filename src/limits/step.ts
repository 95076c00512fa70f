import type { AddressCheck } from "../client/address-check.js";
import { andThen, type MaybePromise, together } from "../core/later.js";
import type { Refusal, StepResult } from "../core/problem.js";
import type { RequestView } from "../core/request-view.js";
import type { InFlight } from "../overload/in-flight.js";
import { type LoadShedder, SHED } from "../overload/shedder.js";
import type { RateLimitRequest } from "./config.js";
import type { LimiterDecision } from "./guarded-store.js";
import type { RateLimiter } from "./limiter.js";
import { mergeOutcomes, outcomeOf, RateLimitOutcome, Verdict } from "./verdict.js";

export { RateLimitOutcome, type RateLimitState } from "./verdict.js";

/** What the limits read of a request on its way, and leave in it. */
export interface LimitedPassage {
  readonly view: RequestView;
  /** A preflight that somebody else is to answer: it takes no quota. */
  readonly isPreflight: boolean;
  /** The verified token. */
  readonly verified: { readonly claims: { readonly sub?: string | undefined } } | undefined;
  /** What the limits decided, when any applied. */
  limits: RateLimitOutcome | undefined;
  /** The path that decides what is excluded; `undefined` when the router may see another. */
  readonly path: string | undefined;
  /** Keeps its places at gates. */
  readonly inFlight: InFlight | undefined;
}

type LimitsStep = (passage: LimitedPassage) => StepResult;

/**
 * The step for limits by client, and for the places of all limits; `undefined` where there is neither.
 *
 * The client's own limits come before the places that all clients share, so that it is the greedy who
 * are refused; but no store is asked for a request that has no place.
 */
export function limitByClient(limiters: readonly RateLimiter[], addresses: AddressCheck): LimitsStep | undefined {
  const limits = new RateLimitStep(limiters.filter(({ config }) => config.keyBy === "client"));
  const shedders = limiters.flatMap(({ shedder }) => shedder ?? []);
  const count = limits.isEmpty ? undefined : countBy(limits, addresses, () => undefined);
  if (shedders.length === 0) return count;
  const shed = (passage: LimitedPassage) => (passage.isPreflight ? undefined : refuseWithoutPlace(passage, shedders));
  if (count === undefined) return shed;
  if (limits.asksStores) return (passage) => shed(passage) ?? count(passage);
  return (passage) => count(passage) ?? shed(passage);
}

/** The step for limits by verified identity; `undefined` where there are none. */
export function limitByIdentity(limiters: readonly RateLimiter[], addresses: AddressCheck): LimitsStep | undefined {
  const limits = new RateLimitStep(limiters.filter(({ config }) => config.keyBy === "identity"));
  return limits.isEmpty ? undefined : countBy(limits, addresses, ({ verified }) => verified?.claims.sub);
}

function countBy(
  limits: RateLimitStep,
  addresses: AddressCheck,
  identityOf: (passage: LimitedPassage) => string | undefined,
): LimitsStep {
  const { countsAddresses, readsPath } = limits;
  const judge = (passage: LimitedPassage, outcome: RateLimitOutcome | undefined) => {
    if (outcome === undefined) return undefined;
    passage.limits = passage.limits === undefined ? outcome : mergeOutcomes(passage.limits, outcome);
    return outcome.refusal;
  };
  return (passage) => {
    if (passage.isPreflight) return undefined;
    const { view } = passage;
    if (countsAddresses) addresses.look(view);
    const outcome = limits.check(view, view.request, identityOf(passage), readsPath ? passage.path : undefined);
    return outcome instanceof Promise ? outcome.then((settled) => judge(passage, settled)) : judge(passage, outcome);
  };
}

/** Refuses a request that there is no place for, and gives it one otherwise. */
function refuseWithoutPlace(passage: LimitedPassage, shedders: readonly LoadShedder[]): Refusal | undefined {
  for (const shedder of shedders) {
    if (!shedder.refuses(passage.view, clientOf(passage, shedder), passage)) continue;
    // Refused requests use nothing up.
    if (passage.limits !== undefined) passage.limits = giveBackOutcome(passage.limits);
    return SHED;
  }
  // Of a limit that was added when the request was on its way already: nothing would give its place back.
  if (passage.inFlight === undefined) return undefined;
  for (const shedder of shedders) passage.inFlight.enter(shedder.gate.enter(clientOf(passage, shedder)));
  return undefined;
}

/** What the limit of a shedder counted the request by; before it was asked, what it will count by. */
function clientOf(passage: LimitedPassage, shedder: LoadShedder): string {
  for (const { limiter, key } of passage.limits?.verdicts ?? []) if (limiter.shedder === shedder) return key;
  return shedder.clientOf(passage.view);
}

/** One limit that applies to a request, with what it is counted by. */
interface Application {
  readonly limiter: RateLimiter;
  readonly key: string;
  readonly cost: number;
}

/** The limits that one step of the pipeline asks: those by client, or those by identity. */
export class RateLimitStep {
  readonly #limiters: readonly RateLimiter[];
  readonly #only: RateLimiter | undefined;
  readonly #readsPath: boolean;
  /** Whether requests are counted by their client's address, or may be. */
  readonly countsAddresses: boolean;

  constructor(limiters: readonly RateLimiter[]) {
    this.#limiters = limiters;
    this.#only = limiters.length === 1 ? limiters[0] : undefined;
    this.countsAddresses = limiters.some(({ config }) => config.key === undefined);
    this.#readsPath = limiters.some(({ readsPath }) => readsPath);
  }

  /** Whether a limit excludes paths, so that `check` must be given the request's. */
  get readsPath(): boolean {
    return this.#readsPath;
  }

  /** Whether a store is asked, which costs a round trip. */
  get asksStores(): boolean {
    return this.#limiters.some(({ local }) => local === undefined);
  }

  /** Whether there is nothing to ask. */
  get isEmpty(): boolean {
    return this.#limiters.length === 0;
  }

  /**
   * Counts a request and says whether it may go on. What one limit took is given back when another
   * refuses, so that a refused request takes nothing.
   *
   * @param view the request
   * @param request the host's request, for `key` and `cost`
   * @param identity the verified `sub`; `undefined` when there is none, or not yet
   * @param path the decoded path, for `exclude`; `undefined` when it cannot be decoded
   * @returns `undefined` when no limit applies; a promise only when a store must be waited for
   */
  check(
    view: RequestView,
    request: RateLimitRequest,
    identity: string | undefined,
    path: string | undefined,
  ): MaybePromise<RateLimitOutcome | undefined> {
    const only = this.#only;
    if (only !== undefined) return this.#checkOne(only, view, request, identity, path);
    const applications: Application[] = [];
    for (const limiter of this.#limiters) {
      const key = limiter.excludes(path) ? undefined : limiter.keyOf(request, view.clientIp, identity);
      if (key !== undefined) applications.push({ limiter, key, cost: limiter.costOf(request) });
    }
    if (applications.length === 0) return undefined;
    return andThen(consumeAll(applications), (verdicts) => report(view, outcomeOf(verdicts)));
  }

  #checkOne(
    limiter: RateLimiter,
    view: RequestView,
    request: RateLimitRequest,
    identity: string | undefined,
    path: string | undefined,
  ): MaybePromise<RateLimitOutcome | undefined> {
    if (limiter.excludes(path)) return undefined;
    const key = limiter.keyOf(request, view.clientIp, identity);
    if (key === undefined) return undefined;
    const cost = limiter.costOf(request);
    const decision = limiter.consume(key, cost);
    if (decision instanceof Promise) {
      return decision.then((settled) => reportOne(view, new Verdict(limiter, key, cost, settled)));
    }
    return reportOne(view, new Verdict(limiter, key, cost, decision));
  }
}

/**
 * Takes from all limits or from none.
 *
 * Memory is looked at first, because it refuses without a round trip. It takes last, at the moment
 * when the stores have answered: what it took could not be given back exactly after a wait, when
 * others have taken since.
 */
function consumeAll(applications: readonly Application[]): MaybePromise<readonly Verdict[]> {
  const inMemory = applications.filter(({ limiter }) => limiter.local !== undefined);
  const inStores = applications.filter(({ limiter }) => limiter.local === undefined);
  if (inStores.length === 0) return consumeInMemory(inMemory);
  const foreseen = peekInMemory(inMemory);
  if (foreseen.some((verdict) => verdict.refuses)) return foreseen;
  const decisions = inStores.map(({ limiter, key, cost }) => limiter.consume(key, cost));
  return andThen(together(decisions), (settled) => {
    const stored = settled
      .map((decision, index) => verdictOf(inStores[index], decision))
      .filter((verdict) => verdict !== undefined);
    if (stored.some((verdict) => verdict.refuses)) return [...giveBack(stored), ...peekInMemory(inMemory)];
    const taken = consumeInMemory(inMemory);
    return taken.some((verdict) => verdict.refuses) ? [...giveBack(stored), ...taken] : [...stored, ...taken];
  });
}

/** Takes from limits in memory, or from none of them when one refuses. */
function consumeInMemory(applications: readonly Application[]): readonly Verdict[] {
  const verdicts: Verdict[] = [];
  for (const { limiter, key, cost } of applications) {
    const decision = limiter.consume(key, cost);
    // A limit in memory answers at once; a promise is not among its answers.
    if (decision instanceof Promise) continue;
    const verdict = new Verdict(limiter, key, cost, decision);
    verdicts.push(verdict);
    if (verdict.refuses) return [...giveBack(verdicts), ...peekInMemory(applications.slice(verdicts.length))];
  }
  return verdicts;
}

/** What limits in memory would say, so that a refusal tells of all of them and of the longest wait. */
function peekInMemory(applications: readonly Application[]): readonly Verdict[] {
  return applications.flatMap(({ limiter, key, cost }) => {
    const decision = limiter.peek(key, cost);
    return decision instanceof Promise ? [] : [new Verdict(limiter, key, cost, decision)];
  });
}

/** Gives back what was taken; the verdicts as they are then. */
function giveBack(verdicts: readonly Verdict[]): readonly Verdict[] {
  return verdicts.map((verdict) => {
    if (!verdict.hasTaken) return verdict;
    const { limiter, key, cost, decision } = verdict;
    void limiter.giveBack(key, cost, decision);
    const now = limiter.local?.peek(key, cost);
    return verdict.withDecision(now ?? { ...decision, remaining: Math.min(decision.limit, decision.remaining + cost) });
  });
}

/**
 * Gives back what the limits of a request took, for one that something else refused.
 *
 * @returns what the limits say then
 */
export function giveBackOutcome(outcome: RateLimitOutcome): RateLimitOutcome {
  return outcomeOf(giveBack(outcome.verdicts));
}

/**
 * Gives back what limits of these names took, because others take their place.
 *
 * @returns what the other limits said; `undefined` when none is left
 */
export function giveBackNamed(
  outcome: RateLimitOutcome,
  names: ReadonlySet<string> | "all",
): RateLimitOutcome | undefined {
  const isNamed = ({ limiter }: Verdict) => names === "all" || names.has(limiter.name);
  if (!outcome.verdicts.some(isNamed)) return outcome;
  giveBack(outcome.verdicts.filter(isNamed));
  const rest = outcome.verdicts.filter((verdict) => !isNamed(verdict));
  return rest.length === 0 ? undefined : outcomeOf(rest);
}

function verdictOf(application: Application | undefined, decision: LimiterDecision): Verdict | undefined {
  return application && new Verdict(application.limiter, application.key, application.cost, decision);
}

function report(view: RequestView, outcome: RateLimitOutcome): RateLimitOutcome {
  for (const verdict of outcome.verdicts) reportVerdict(view, verdict);
  return outcome;
}

function reportOne(view: RequestView, verdict: Verdict): RateLimitOutcome {
  reportVerdict(view, verdict);
  return new RateLimitOutcome([verdict]);
}

function reportVerdict(view: RequestView, { limiter, decision }: Verdict): void {
  if (!decision.isAllowed && decision.isUnavailable !== true) limiter.reportExceeded(view, decision);
}
