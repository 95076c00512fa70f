// The head and the length of HTTP/1.1 answers, one at a time: all that a load generator must know of them.

const HEAD_END = "\r\n\r\n";
const CONTENT_LENGTH = /\r\ncontent-length:[ \t]*(\d+)[ \t]*\r\n/i;
const CHUNKED = /\r\ntransfer-encoding:/i;
const CLOSE = /\r\nconnection:[ \t]*close[ \t]*\r\n/i;

export class ResponseParser {
  #head = "";
  #status = 0;
  #isLast = false;
  #bodyLeft = -1;

  feed(chunk) {
    let bytes = chunk.length;
    // While the head is not complete, no body byte has been counted.
    if (this.#bodyLeft < 0) {
      const before = this.#head.length;
      this.#head += chunk.latin1Slice();
      const headEnd = this.#readHead();
      if (headEnd < 0) return undefined;
      bytes = before + chunk.length - headEnd;
    }
    this.#bodyLeft -= bytes;
    if (this.#bodyLeft > 0) return undefined;
    if (this.#bodyLeft < 0) throw new Error("more came than one answer");
    this.#head = "";
    this.#bodyLeft = -1;
    return { status: this.#status, isLast: this.#isLast };
  }

  /** The index at which the body begins; -1 while the head is not complete. */
  #readHead() {
    const end = this.#head.indexOf(HEAD_END);
    if (end < 0) return -1;
    const head = this.#head.slice(0, end + 2);
    const status = Number(head.slice(9, 12));
    if (!head.startsWith("HTTP/1.1 ") || !(status >= 200)) throw new Error(`no final answer: ${head.slice(0, 40)}`);
    if (CHUNKED.test(head)) throw new Error("the answer has no length");
    const length = CONTENT_LENGTH.exec(head);
    if (length === null && status !== 204 && status !== 304) throw new Error("the answer has no length");
    this.#status = status;
    this.#isLast = CLOSE.test(head);
    this.#bodyLeft = length === null || status === 304 ? 0 : Number(length[1]);
    return end + HEAD_END.length;
  }
}
