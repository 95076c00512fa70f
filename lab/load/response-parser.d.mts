/** Reads the answers of one connection, which come one at a time. */
export class ResponseParser {
  /**
   * @returns the answer when it is complete
   * @throws Error when it is none that the lab's servers write, such as one without a length
   */
  feed(chunk: Buffer): { readonly status: number; readonly isLast: boolean } | undefined;
}
