import type { StoreErrorCause } from "../core/events.js";

export class RedisDeadlineError extends Error {
  override readonly name = "RedisDeadlineError";

  /** @param storeCause `"busy"` when this process was: Redis may be well then */
  constructor(
    message: string,
    readonly storeCause: Extract<StoreErrorCause, "deadline" | "busy">,
  ) {
    super(message);
  }
}

/** There is no connection to Redis, or it is known not to answer. */
export class RedisUnavailableError extends Error {
  override readonly name = "RedisUnavailableError";
  readonly storeCause: StoreErrorCause;

  constructor(message: string, options?: ErrorOptions & { readonly storeCause?: StoreErrorCause }) {
    super(message, options);
    this.storeCause = options?.storeCause ?? "connection";
  }
}

/** What ioredis says of a pipeline that it never sent, because slots moved while it was being filled. */
const UNSENT = "All keys in the pipeline should belong to the same slots";
/** What a node of a Cluster answers instead of doing what it was asked, and what has changed a moment later. */
const ASK_AGAIN = ["CLUSTERDOWN", "TRYAGAIN", "MOVED", "ASK"] as const;
/** What ioredis makes of the same after it has followed for some times. */
const GAVE_UP = "Too many Cluster redirections";
/** What servers answer that are there, and cannot serve anybody for a while. */
const NOT_READY = ["LOADING", "MASTERDOWN"] as const;

export function isReplyError(error: unknown): error is Error {
  return error instanceof Error && error.name === "ReplyError";
}

/**
 * Whether what was asked certainly was not done, and may be done when it is asked again. A script takes
 * from a limit each time that it runs: whatever may have run is never asked again.
 */
export function mayAskAgain(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error.message.startsWith(UNSENT) || error.message.startsWith(GAVE_UP)) return true;
  return isReplyError(error) && ASK_AGAIN.some((code) => error.message.startsWith(code));
}

/** Whether nobody gets an answer of this server for a while. What Redis refuses, other than so, shows that it is there. */
export function isOutage(error: unknown): boolean {
  if (!isReplyError(error)) return !mayAskAgain(error);
  return NOT_READY.some((code) => error.message.startsWith(code));
}

/** ioredis hangs the command with its arguments on errors: the data of a session, or a password. */
export function withoutCommand<Thrown>(error: Thrown): Thrown {
  if (error instanceof Error) Reflect.deleteProperty(error, "command");
  return error;
}
