import type { StepResult } from "../core/problem.js";
import type { RequestView } from "../core/request-view.js";
import type { CsrfProtection, SharedOrigins } from "./decision.js";

/**
 * The step that refuses what a browser sends on behalf of another site.
 *
 * @param when `"with-cookie"`: only requests with a cookie that signs somebody in can be forged
 * @param carriesCookie whether a request has such a cookie
 * @param shared the origins that CORS allows where the request goes
 */
export function checkOrigin(
  csrf: CsrfProtection,
  when: "always" | "with-cookie",
  carriesCookie: (view: RequestView) => boolean,
  shared: SharedOrigins | undefined,
): (passage: { readonly view: RequestView }) => StepResult {
  return ({ view }) => {
    if (!csrf.concerns(view)) return undefined;
    const hasCookie = carriesCookie(view);
    if (!hasCookie && when === "with-cookie") return undefined;
    return csrf.allows(view, hasCookie, shared) ? undefined : csrf.refusal;
  };
}
