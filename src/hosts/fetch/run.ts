import { Passage } from "../../policy/passage.js";
import type { Policy } from "../../policy/policy.js";
import type { RoutePolicy } from "../../policy/route.js";
import { incomingOf, watchFetchClient } from "./client-presence.js";
import { completeResponse } from "./response.js";
import { FetchRequestView } from "./view.js";

/**
 * Begins the passage of a request.
 *
 * @param host what the runtime gives behind the request
 * @param askPeer tells the address at the other end of the socket; asked at first use
 */
export function beginPassage(
  policy: Policy,
  route: RoutePolicy,
  request: Request,
  host: readonly unknown[],
  askPeer: () => unknown,
): Passage {
  const incoming = incomingOf(host);
  const passage = new Passage(policy, route, new FetchRequestView(request, askPeer, policy.clientAddresses, incoming));
  if (passage.inFlight !== undefined) watchFetchClient(request, incoming, passage.inFlight);
  return passage;
}

/** Completes what a request is answered with, and ends its passage. */
export async function run(passage: Passage, answer: () => Promise<Response>): Promise<Response> {
  try {
    return await completeResponse(await answer(), passage);
  } finally {
    passage.inFlight?.leave(false);
  }
}
