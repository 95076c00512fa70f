import type { AddressCheck } from "../client/address-check.js";
import type { MaybePromise } from "../core/later.js";
import type { Refusal, StepResult } from "../core/problem.js";
import type { RequestView } from "../core/request-view.js";
import type { InFlight } from "../overload/in-flight.js";
import { type LoadShedder, SHED } from "../overload/shedder.js";
import type { RateLimitRequest } from "./config.js";
import type { RateLimiter } from "./limiter.js";
import { LimitsVerdict, Verdict } from "./verdict.js";

/** What the limits read of a request on its way, and leave in it. */
export interface LimitedPassage {
  readonly view: RequestView;
  /** A preflight that somebody else is to answer: it takes no quota. */
  readonly isPreflight: boolean;
  /** The verified token. */
  readonly verified: { readonly claims: { readonly sub?: string | undefined } } | undefined;
  /** What the limits decided, when any applied. */
  limits: LimitsVerdict | undefined;
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
  const judge = (passage: LimitedPassage, verdict: LimitsVerdict | undefined) => {
    if (verdict === undefined) return undefined;
    passage.limits = passage.limits?.and(verdict) ?? verdict;
    return verdict.refusal;
  };
  return (passage) => {
    if (passage.isPreflight) return undefined;
    const { view } = passage;
    if (countsAddresses) addresses.look(view);
    const verdict = limits.check(view, view.request, identityOf(passage), readsPath ? passage.path : undefined);
    return verdict instanceof Promise ? verdict.then((settled) => judge(passage, settled)) : judge(passage, verdict);
  };
}

/** Refuses a request that there is no place for, and gives it one otherwise. */
function refuseWithoutPlace(passage: LimitedPassage, shedders: readonly LoadShedder[]): Refusal | undefined {
  for (const shedder of shedders) {
    if (!shedder.refuses(passage.view, clientOf(passage, shedder), passage)) continue;
    // Refused requests use nothing up.
    passage.limits = passage.limits?.giveBack();
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

/** The limits that one step of the pipeline asks: those by client, or those by identity. */
export class RateLimitStep {
  readonly #limiters: readonly RateLimiter[];
  /** Whether there is nothing to ask. */
  readonly isEmpty: boolean;
  /** Whether requests are counted by their client's address, or may be. */
  readonly countsAddresses: boolean;
  /** Whether a limit excludes paths, so that `check` must be given the request's. */
  readonly readsPath: boolean;
  /** Whether a store is asked, which costs a round trip. */
  readonly asksStores: boolean;

  constructor(limiters: readonly RateLimiter[]) {
    this.#limiters = limiters;
    this.isEmpty = limiters.length === 0;
    this.countsAddresses = limiters.some(({ config }) => config.key === undefined);
    this.readsPath = limiters.some(({ readsPath }) => readsPath);
    this.asksStores = limiters.some(({ counts }) => !counts.isLocal);
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
  ): MaybePromise<LimitsVerdict | undefined> {
    const verdicts: Verdict[] = [];
    for (const limiter of this.#limiters) {
      const key = limiter.excludes(path) ? undefined : limiter.keys.keyOf(request, view.clientIp, identity);
      if (key !== undefined) verdicts.push(new Verdict(limiter, key, limiter.keys.costOf(request)));
    }
    if (verdicts.length === 0) return undefined;
    if (!this.asksStores) {
      takeInMemory(verdicts);
      return report(view, verdicts);
    }
    const taken = takeAll(verdicts);
    return taken instanceof Promise ? taken.then((settled) => report(view, settled)) : report(view, taken);
  }
}

/**
 * Takes from all limits or from none.
 *
 * Memory is looked at first, because it refuses without a round trip. It takes last, at the moment
 * when the stores have answered: what it took could not be given back exactly after a wait, when
 * others have taken since.
 */
function takeAll(verdicts: readonly Verdict[]): MaybePromise<readonly Verdict[]> {
  const inMemory = verdicts.filter(({ limiter }) => limiter.counts.isLocal);
  const inStores = verdicts.filter(({ limiter }) => !limiter.counts.isLocal);
  for (const verdict of inMemory) verdict.peek();
  if (inMemory.some(({ refuses }) => refuses)) return inMemory;
  const waits = inStores.map((verdict) => verdict.take()).filter((wait) => wait !== undefined);
  const finish = (): readonly Verdict[] => {
    const isRefused = inStores.some(({ refuses }) => refuses);
    if (isRefused) for (const verdict of inMemory) verdict.peek();
    else takeInMemory(inMemory);
    if (isRefused || inMemory.some(({ refuses }) => refuses)) for (const verdict of inStores) verdict.giveBack();
    return [...inStores, ...inMemory];
  };
  return waits.length === 0 ? finish() : Promise.all(waits).then(finish);
}

/** Takes from limits in memory, or from none of them when one refuses: then each tells what it would say. */
function takeInMemory(verdicts: readonly Verdict[]): void {
  for (let index = 0; index < verdicts.length; index++) {
    const verdict = verdicts[index];
    // A limit in memory answers at once.
    void verdict?.take();
    if (verdict?.refuses !== true) continue;
    for (const earlier of verdicts.slice(0, index)) earlier.giveBack();
    for (const later of verdicts.slice(index + 1)) later.peek();
    return;
  }
}

function report(view: RequestView, verdicts: readonly Verdict[]): LimitsVerdict {
  const verdict = new LimitsVerdict(verdicts);
  for (const { limiter, decision } of verdict.verdicts) {
    if (!decision.isAllowed && decision.isUnavailable !== true) limiter.reportExceeded(view, decision);
  }
  return verdict;
}
