/** How much a request matters when not all can be served: `background` is shed first, `critical` last. */
export type RequestPriority = "critical" | "normal" | "background";

/** Whether a value is a priority; what the application's function answers may be anything. */
export function isPriority(value: unknown): value is RequestPriority {
  return value === "critical" || value === "normal" || value === "background";
}

/** Background requests may fill half of the places, so that they never stand in the way of others. */
const BACKGROUND_SHARE = 0.5;
/** Critical requests may go so far above the limit: a bound all the same, or they would drown the server. */
const CRITICAL_SHARE = 1.5;

/** How many requests may be in progress, at most, for one of this priority to be let in. */
export function placesFor(priority: RequestPriority, limit: number): number {
  if (priority === "normal") return Math.max(1, Math.round(limit));
  if (priority === "background") return Math.max(1, Math.floor(limit * BACKGROUND_SHARE));
  return Math.max(2, Math.ceil(limit * CRITICAL_SHARE));
}
