import { describe } from "../../core/options.js";

/**
 * The address at the other end of the socket, as the runtimes tell it in the arguments behind the
 * request: Bun's server (`requestIP`), Deno's connection info (`remoteAddr`), and the Node server
 * that Hono uses (`incoming`).
 *
 * Runtimes behind a platform's own proxy (Cloudflare Workers) tell it in a header only; there the
 * application gives a `peerAddress` function.
 */
export function peerAddressOf(request: Request, hostArguments: readonly unknown[]): string | undefined {
  for (const argument of hostArguments) {
    if (!isRecord(argument)) continue;
    if (typeof argument.requestIP === "function") {
      const answer: unknown = argument.requestIP(request);
      if (isRecord(answer) && typeof answer.address === "string") return answer.address;
    }
    const remote = argument.remoteAddr;
    if (isRecord(remote) && typeof remote.hostname === "string") return remote.hostname;
    const incoming = argument.incoming;
    if (isRecord(incoming) && isRecord(incoming.socket)) {
      const address = incoming.socket.remoteAddress;
      if (typeof address === "string") return address;
      // The connection is gone, and its address with it.
      if (incoming.socket.destroyed === true) return "";
    }
  }
  return undefined;
}

/**
 * What a `peerAddress` function gave; JavaScript callers hand over what a header says, `null` too.
 *
 * @throws TypeError when that is no address, but for example a promise of one
 */
export function requireAddress(given: unknown): string | undefined {
  if (given === undefined || given === null) return undefined;
  if (typeof given === "string") return given;
  throw new TypeError(`peerAddress must return a string or undefined, got ${describe(given)}`);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
