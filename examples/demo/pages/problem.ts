import { html, type Markup } from "./html.js";
import { layout } from "./layout.js";

/** What a page about a refused or failed request shows. */
export interface ProblemPage {
  readonly nonce: string;
  readonly status: number;
  /** Seconds after which another try makes sense. */
  readonly retryAfter?: number | undefined;
}

/** A refusal for people: the status, what it means here, and a way on. */
export function problemPage({ nonce, status, retryAfter }: ProblemPage): Markup {
  const { title, text } = explain(status, retryAfter);
  return layout(
    { title, nonce, isNarrow: true },
    html`<section class="panel message">
<p class="status">${status}</p>
<h1>${title}</h1>
<p>${text}</p>
<p><a class="button" href="/">To the start</a></p>
</section>`,
  );
}

function explain(status: number, retryAfter: number | undefined): { readonly title: string; readonly text: string } {
  if (status === 429) {
    const wait = retryAfter === undefined ? "a moment" : duration(retryAfter);
    return {
      title: "Too many tries",
      text: `To keep guessers out, we take only so many tries in a while. Please wait ${wait} and try again.`,
    };
  }
  if (status === 403) {
    return {
      title: "This request came from another site",
      text: "Something outside this app tried to act in your name. Nothing was changed.",
    };
  }
  if (status === 401 || status === 404) {
    return {
      title: "Nothing here for you",
      text: "There is no page at this address, or it belongs to the API, which asks for a token.",
    };
  }
  if (status >= 500) return { title: "That went wrong", text: "The fault is ours. Please try again in a moment." };
  return { title: "We did not understand that", text: "Please go back and try again." };
}

/** Rounded up: who waits as long as we say must be let in. */
function duration(seconds: number): string {
  if (seconds < 60) return seconds === 1 ? "1 second" : `${seconds} seconds`;
  const minutes = Math.ceil(seconds / 60);
  return minutes === 1 ? "1 minute" : `${minutes} minutes`;
}
