import type { ServerResponse } from "node:http";

/** Whether what was given to a response still waits. */
export interface Committed {
  readonly isHolding: boolean;
  /** Whether `end` was among it. */
  readonly hasEnded: boolean;
}

interface WithImplicitHeader extends ServerResponse {
  _implicitHeader?: () => void;
}

/** What changes the fields of a head. */
const FIELD_CHANGES = ["setHeader", "setHeaders", "appendHeader", "removeHeader"] as const;

/**
 * Makes a response whose head waits look like one whose head is sent, to all who ask: a framework would
 * answer a second time otherwise (Express's 404 behind a handler that goes on), and fields that are set
 * after the answer was given would stand in it.
 *
 * Called for responses that do wait, once; afterwards everything is as the response itself says.
 */
export function lookCommitted(response: WithImplicitHeader, committed: Committed): void {
  const ownLook = (name: "headersSent" | "writableEnded", whileHolding: () => boolean): PropertyDescriptor => ({
    configurable: true,
    get(this: ServerResponse) {
      if (committed.isHolding && whileHolding()) return true;
      return Reflect.get(Object.getPrototypeOf(response), name, this);
    },
  });
  Object.defineProperties(response, {
    headersSent: ownLook("headersSent", () => true),
    writableEnded: ownLook("writableEnded", () => committed.hasEnded),
  });
  for (const name of FIELD_CHANGES) {
    const change: unknown = response[name];
    // Not thrown: an error after the answer makes Express close the connection, before the answer is on it.
    if (typeof change === "function") {
      const unlessHolding = (...args: readonly unknown[]) =>
        committed.isHolding ? response : Reflect.apply(change, response, args);
      Object.assign(response, { [name]: unlessHolding });
    }
  }
  const { _implicitHeader: implicitHeader } = response;
  // Node's private way to begin a head, which middleware calls too as long as it sees none.
  if (implicitHeader !== undefined) {
    response._implicitHeader = () => {
      if (!committed.isHolding) implicitHeader.call(response);
    };
  }
}
