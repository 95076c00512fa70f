import type { Refusal, StepResult } from "../core/problem.js";
import type { Passage } from "../policy/passage.js";
import { admit } from "../policy/pipeline.js";

/** Goes on with what the pipeline said: now, or when a store has answered. */
export function settle(
  result: StepResult,
  pass: () => void,
  refuse: (refusal: Refusal) => void,
  fail: (error: Error) => void,
): void {
  if (result === undefined) pass();
  else if (!(result instanceof Promise)) refuse(result);
  else result.then((refusal) => (refusal === undefined ? pass() : refuse(refusal)), fail);
}

/** What of the application stands behind the layer and answers CORS: it would never see what the layer refuses. */
export interface CorsBehind {
  /** Answers a preflight, or goes on. */
  answer(next: () => void): void;
  /** Sets its fields on the answer, and nothing more. */
  setFields(done: () => void): void;
}

/** What a host does with a request once it is decided. */
export interface Ways {
  readonly pass: () => void;
  readonly refuse: (refusal: Refusal) => void;
  readonly fail: (error: Error) => void;
}

/**
 * Takes a request through the pipeline whose page hopes for the fields of somebody else's CORS. Preflights are
 * answered before tokens and limits, and refusals carry the fields.
 *
 * @param refused what the host itself has against the request
 */
export function admitBesideCors(passage: Passage, cors: CorsBehind, ways: Ways, refused?: Refusal | undefined): void {
  const refuse = (refusal: Refusal) => cors.setFields(() => ways.refuse(refusal));
  const goOn = () => settle(admit(passage), ways.pass, refuse, ways.fail);
  const { preflights } = passage.policy;
  const isPreflight = preflights.includes(passage.view);
  const denied = refused ?? (isPreflight ? passage.decided(preflights.refuse(passage.view)) : undefined);
  if (denied !== undefined) refuse(denied);
  // What is not answered there is a request like others.
  else if (isPreflight) cors.answer(goOn);
  else goOn();
}
