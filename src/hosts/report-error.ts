/** Tells the operator of an error that a client only sees as 500, where nothing else would tell. */
export function reportError(error: unknown): void {
  if (error instanceof Error) console.error(error);
  else console.error("A handler threw a value that is no Error:", error);
}
