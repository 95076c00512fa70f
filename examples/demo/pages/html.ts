/** Markup that is safe to send: made by {@link html}, or declared so with {@link trusted}. */
export class Markup {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  toString(): string {
    return this.#text;
  }
}

/** What may stand in a template; `undefined` and `false` leave nothing. */
export type Content = string | number | Markup | undefined | false | readonly Content[];

/**
 * Markup from a template. Everything that is put in is escaped, unless it is markup already.
 *
 * @example
 * html`<p title="${title}">Hello, ${name}</p>`
 */
export function html(strings: TemplateStringsArray, ...contents: readonly Content[]): Markup {
  const parts = strings.map((text, index) => text + render(contents[index]));
  return new Markup(parts.join(""));
}

/** Text that goes into a page as it is. Whoever calls this answers for every character. */
export function trusted(text: string): Markup {
  return new Markup(text);
}

function render(content: Content): string {
  if (content === undefined || content === false) return "";
  if (content instanceof Markup) return content.toString();
  if (typeof content === "object") return content.map(render).join("");
  return escapeText(String(content));
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

function escapeText(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? "");
}
