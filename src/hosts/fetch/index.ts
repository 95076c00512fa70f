import { StoreUnavailableError } from "../../core/errors.js";
import { strictFunction } from "../../core/strict-calls.js";
import type { Passage } from "../../policy/passage.js";
import { admit } from "../../policy/pipeline.js";
import type { SecuredRequest } from "../../policy/request.js";
import { type RouteSecurityOptions, readMiddlewareSecurity } from "../../policy/route.js";
import type { Security } from "../../policy/security.js";
import { SECURED_FIELDS } from "../fields.js";
import { peerAddressOf } from "./peer-address.js";
import { errorResponse, refusalResponse } from "./response.js";
import { beginPassage, run } from "./run.js";

/** Options of {@link secure}: a route's security options, and what the runtime does not tell. */
export interface SecureOptions<HostArguments extends readonly unknown[]> extends RouteSecurityOptions {
  /** The address at the other end of the socket, for runtimes that tell it in their own way. */
  readonly peerAddress?: ((request: Request, ...host: HostArguments) => string | undefined) | undefined;
  /** Answers an error of the handler. Default: it is written to `console.error`, the client gets a bare 500. */
  readonly onError?: ((error: unknown, request: Request) => Response | Promise<Response>) | undefined;
}

/** A handler behind the security layer; the second argument carries claims, session and the rest. */
export type SecuredFetchHandler<HostArguments extends readonly unknown[]> = (
  request: Request,
  secured: SecuredRequest,
  ...host: HostArguments
) => Response | Promise<Response>;

/**
 * Puts the security layer around a handler of the Fetch standard: Bun, Deno, Workers, anything that
 * takes a `Request` and gives a `Response`.
 *
 * @throws ConfigError when the options ask for a protection that is not enabled
 *
 * @example
 * ```ts
 * export default { fetch: secure(security, (request, { claims }) => Response.json({ sub: claims?.sub })) };
 * ```
 */
export const secure = strictFunction("secure(security, handler, options)", function secure<
  HostArguments extends readonly unknown[],
>(security: Security, handler: SecuredFetchHandler<HostArguments>, options: SecureOptions<HostArguments> = {}): (
  request: Request,
  ...host: HostArguments
) => Promise<Response> {
  const route = security.compileRoute(readMiddlewareSecurity(options, "secure()", ["onError", "peerAddress"]));
  const { onError = errorResponse } = options;
  const { peerAddress = (request: Request, ...host: HostArguments) => peerAddressOf(request, host) } = options;
  return async (request, ...host) => {
    const passage = beginPassage(security.policy, route, request, host, () => peerAddress(request, ...host));
    const answer = async (): Promise<Response> => {
      const denied = await admit(passage);
      return denied === undefined
        ? requireResponse(await handler(request, HandlerFields.of(passage), ...host))
        : refusalResponse(denied);
    };
    return run(passage, () =>
      answer()
        .catch(async (error: unknown) =>
          error instanceof StoreUnavailableError
            ? errorResponse(error)
            : requireResponse(await onError(error, request)),
        )
        // What answers errors can fail as well.
        .catch(errorResponse),
    );
  };
});

/** What a handler is given beside the request, which has no room for more fields: those, and nothing of what the layer does. */
class HandlerFields {
  readonly #passage: Passage;

  constructor(passage: Passage) {
    this.#passage = passage;
  }

  static {
    for (const name of SECURED_FIELDS) {
      const get = function (this: HandlerFields): unknown {
        return this.#passage[name];
      };
      Object.defineProperty(HandlerFields.prototype, name, { configurable: true, get });
    }
  }

  static of(passage: Passage): SecuredRequest {
    const fields: object = new HandlerFields(passage);
    // Its getters are those of the list above: TypeScript does not see what `defineProperty` adds.
    return fields as SecuredRequest;
  }
}

/** A handler in JavaScript can answer with anything, and a network error (status 0) is no answer either. */
function requireResponse(answer: Response | undefined): Response {
  if (typeof answer?.headers?.get !== "function" || answer.status === 0) {
    throw new TypeError("the handler behind secure() must answer with a Response");
  }
  // Of an upgrade (101) nothing more is asked: it goes on as it is.
  if (answer.status >= 200 && answer.bodyUsed) {
    throw new TypeError(
      "the handler behind secure() answered with a Response whose body was read; answer with a clone()",
    );
  }
  return answer;
}
