import type { RequestEvent } from "./events.js";

/**
 * The host's own request object, as far as the functions of a configuration (`key`, `cost`) may rely
 * on it in every host. On Fastify it is the Fastify request, on Express the Express request.
 */
export interface HostRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** The client's address as `trustProxy` allows to know it. */
  readonly clientIp: string;
}

/**
 * One request as the steps of the pipeline see it. Each host's adapter provides one; no step knows
 * which host it is.
 */
export interface RequestView {
  /** Upper-case method. */
  readonly method: string;
  /** The host's own request object. */
  readonly request: HostRequest;
  /** The host's id of the request, for events and logs. */
  readonly requestId: string;
  /** Path without the query, as it was sent (not decoded): for events, never for decisions. */
  readonly rawPath: string;
  /** The address at the other end of the socket; `undefined` when the host does not tell, `""` when it is gone. */
  readonly peerAddress: string | undefined;
  /** The client's address as `trustProxy` allows to know it, computed at first use. */
  readonly clientIp: string;
  /** Whether the client speaks TLS to us, or to a proxy that may speak for it. */
  readonly isSecure: boolean;
  /** Whether the client has closed the connection, or its stream; `undefined` when the host does not tell. */
  readonly isClientGone?: boolean | undefined;
  /** The authority that the client asked for (`Host` or `:authority`); `undefined` when absent. */
  readonly host: string | undefined;
  /** The port that a proxy was asked for (`X-Forwarded-Port`), when it may speak for the client. */
  readonly forwardedPort?: string | undefined;
  /**
   * A request header.
   * @param name in lower case
   */
  header(name: string): string | undefined;
  /**
   * How often a request header was sent, for those that must not come twice.
   * @param name in lower case
   */
  headerCount(name: string): number;
}

/** The part of an event that every request has. */
export function requestEvent(view: RequestView): RequestEvent {
  return {
    requestId: view.requestId,
    clientIp: view.clientIp,
    method: view.method,
    path: view.rawPath,
  };
}
