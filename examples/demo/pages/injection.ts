import { html, type Markup, trusted } from "./html.js";

/**
 * A page with a hole, made on purpose: it shows what the visitor typed without escaping it.
 *
 * Its own script, which has the nonce, tells the page around it that it ran, and what the browser's
 * policy blocked.
 */
export function injectionPage(text: string, nonce: string): Markup {
  return html`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Search</title>
<script nonce="${nonce}">
addEventListener("securitypolicyviolation", (event) => {
  const { effectiveDirective, sample } = event;
  parent.postMessage({ kind: "violation", directive: effectiveDirective, sample }, "*");
});
parent.postMessage({ kind: "own-script" }, "*");
</script>
<p>You searched for: ${trusted(text)}</p>
</html>
`;
}

/** A page without any lock against framing, and without anything worth framing. */
export function unguardedPage(nonce: string): Markup {
  return html`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Nothing of worth</title>
<script type="module" nonce="${nonce}" src="/public/page.js"></script>
<p>This page may be framed by anybody.</p>
</html>
`;
}
