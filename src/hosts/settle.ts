import type { Refusal, StepResult } from "../core/problem.js";
import type { Passage } from "../policy/passage.js";
import { admit } from "../policy/pipeline.js";

/** What a host does with a request once it is decided: functions for all requests, none is made for one. */
export interface Ways<Response> {
  readonly pass: () => void;
  readonly refuse: (response: Response, refusal: Refusal) => void;
  readonly fail: (error: Error) => void;
}

/** Goes on with what the pipeline said: now, or when a store has answered. */
export function settle<Response>(
  result: StepResult,
  response: Response,
  pass: () => void,
  refuse: (response: Response, refusal: Refusal) => void,
  fail: (error: Error) => void,
): void {
  if (result === undefined) pass();
  else if (result instanceof Promise) settleLater(result, response, { pass, refuse, fail });
  else refuse(response, result);
}

function settleLater<Response>(result: Promise<Refusal | undefined>, response: Response, ways: Ways<Response>): void {
  result.then((refusal) => (refusal === undefined ? ways.pass() : ways.refuse(response, refusal)), ways.fail);
}

/** What of the application stands behind the layer and answers CORS: it would never see what the layer refuses. */
export interface CorsBehind {
  /** Answers a preflight, or goes on. */
  answer(next: () => void): void;
  /** Sets its fields on the answer, and nothing more. */
  setFields(done: () => void): void;
}

/**
 * Takes a request through the pipeline whose page hopes for the fields of somebody else's CORS. Preflights are
 * answered before tokens and limits, and refusals carry the fields.
 *
 * @param refused what the host itself has against the request
 */
export function admitBesideCors<Response>(
  passage: Passage,
  cors: CorsBehind,
  response: Response,
  ways: Ways<Response>,
  refused?: Refusal | undefined,
): void {
  const refuse = (refusal: Refusal) => cors.setFields(() => ways.refuse(response, refusal));
  const goOn = () => settle(admit(passage), response, ways.pass, (_response, refusal) => refuse(refusal), ways.fail);
  const { preflights } = passage.policy;
  const isPreflight = preflights.includes(passage.view);
  const denied = refused ?? (isPreflight ? passage.decided(preflights.refuse(passage.view)) : undefined);
  if (denied !== undefined) refuse(denied);
  // What is not answered there is a request like others.
  else if (isPreflight) cors.answer(goOn);
  else goOn();
}
