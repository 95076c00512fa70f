/** The limit of each client, over the whole fleet: 200 requests at once, and 100 a second from then on. */
export const LIMIT = Object.freeze({ requests: 200, window: 2 });

/** Which server answered, in every answer. */
export const SERVED_BY = "x-served-by";

/** What a server tells the process that started it. */
export type ServerMessage =
  | { readonly kind: "listening"; readonly port: number }
  /** How many processes the server knows to share the store. */
  | { readonly kind: "processes"; readonly processes: number }
  | StoreEvent;

/** A change in the state of the store, as one server sees it. */
export interface StoreEvent {
  readonly kind: "store.error" | "store.recovered";
  /** What the store is for: `"rate-limit"` or `"session"`. */
  readonly store: string;
  /** As `Date.now()` tells it. */
  readonly atMs: number;
  /** Among how many processes the limit is divided meanwhile. */
  readonly processes: number;
}
