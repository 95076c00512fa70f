import type { AddressCheck } from "../client/address-check.js";
import type { MaybePromise } from "../core/later.js";
import type { Refusal, StepResult } from "../core/problem.js";
import type { RequestView } from "../core/request-view.js";
import type { InFlight } from "../overload/in-flight.js";
import { type LoadShedder, SHED } from "../overload/shedder.js";
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
  const limits = limiters.filter(({ config }) => config.keyBy === "client");
  const shedders = limiters.flatMap(({ shedder }) => shedder ?? []);
  const count = limits.length === 0 ? undefined : countBy(limits, addresses);
  if (shedders.length === 0) return count;
  const shed = (passage: LimitedPassage) => (passage.isPreflight ? undefined : refuseWithoutPlace(passage, shedders));
  if (count === undefined) return shed;
  if (limits.some(asksStore)) return (passage) => shed(passage) ?? count(passage);
  return (passage) => count(passage) ?? shed(passage);
}

/** The step for limits by verified identity; `undefined` where there are none. */
export function limitByIdentity(limiters: readonly RateLimiter[], addresses: AddressCheck): LimitsStep | undefined {
  const limits = limiters.filter(({ config }) => config.keyBy === "identity");
  return limits.length === 0 ? undefined : countBy(limits, addresses);
}

/** Whether a limit costs a round trip. */
function asksStore({ counts }: RateLimiter): boolean {
  return !counts.isLocal;
}

/**
 * The step that counts a request by limits and says whether it may go on. What one limit took is given back when
 * another refuses, so that a refused request takes nothing. It waits only for stores.
 */
export function countBy(limiters: readonly RateLimiter[], addresses: AddressCheck): LimitsStep {
  const countsAddresses = limiters.some(({ config }) => config.key === undefined);
  const readsPath = limiters.some((limiter) => limiter.readsPath);
  const take = limiters.some(asksStore) ? takeAll : takeInMemory;
  const adaptive = limiters.filter(({ controller }) => controller !== undefined);
  return (passage) => {
    if (passage.isPreflight) return undefined;
    const { view } = passage;
    const { request } = view;
    if (countsAddresses) addresses.look(view);
    for (const limiter of adaptive) limiter.followLoad();
    const path = readsPath ? passage.path : undefined;
    const verdicts: Verdict[] = [];
    for (const limiter of limiters) {
      // A path that cannot be decoded is limited.
      if (path !== undefined && limiter.excludes(path)) continue;
      const key = limiter.keys.keyOf(request, view.clientIp, passage.verified?.claims.sub);
      if (key !== undefined) verdicts.push(new Verdict(limiter, key, limiter.keys.costOf(request)));
    }
    if (verdicts.length === 0) return undefined;
    const taken = take(verdicts);
    return taken instanceof Promise ? taken.then((settled) => note(passage, settled)) : note(passage, taken);
  };
}

/** Leaves in a request what its limits decided, and tells of it. */
function note(passage: LimitedPassage, taken: readonly Verdict[]): Refusal | undefined {
  for (const { limiter, decision } of taken) {
    if (!decision.isAllowed && decision.isUnavailable !== true) limiter.reportExceeded(passage.view, decision);
  }
  const verdict = new LimitsVerdict(taken);
  passage.limits = passage.limits?.and(verdict) ?? verdict;
  return verdict.refusal;
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
function takeInMemory(verdicts: readonly Verdict[]): readonly Verdict[] {
  for (let index = 0; index < verdicts.length; index++) {
    const verdict = verdicts[index];
    // A limit in memory answers at once.
    void verdict?.take();
    if (verdict?.refuses !== true) continue;
    for (let other = 0; other < index; other++) verdicts[other]?.giveBack();
    for (let other = index + 1; other < verdicts.length; other++) verdicts[other]?.peek();
    break;
  }
  return verdicts;
}
