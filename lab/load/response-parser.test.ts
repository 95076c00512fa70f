import { describe, expect, it } from "vitest";
import { ResponseParser } from "./response-parser.mjs";

const ANSWER = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello";
const REFUSED = "HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

describe("ResponseParser", () => {
  it("reads an answer, wherever it is cut", () => {
    for (let cut = 1; cut < ANSWER.length; cut++) {
      const parser = new ResponseParser();
      expect(parser.feed(Buffer.from(ANSWER.slice(0, cut)))).toBeUndefined();
      expect(parser.feed(Buffer.from(ANSWER.slice(cut)))).toEqual({ status: 200, isLast: false });
    }
  });

  it("reads an answer that comes byte by byte, and then the next one", () => {
    const parser = new ResponseParser();
    const answers = [...`${ANSWER}${REFUSED}`].map((byte) => parser.feed(Buffer.from(byte))).filter(Boolean);
    expect(answers).toEqual([
      { status: 200, isLast: false },
      { status: 503, isLast: true },
    ]);
  });

  it("takes 204 without a length", () => {
    expect(new ResponseParser().feed(Buffer.from("HTTP/1.1 204 No Content\r\n\r\n"))).toEqual({
      status: 204,
      isLast: false,
    });
  });

  it("does not take a length out of the body", () => {
    const parser = new ResponseParser();
    const text = "HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n\r\ncontent-length: 99\r\n".slice(0, -1);
    expect(parser.feed(Buffer.from(text))).toEqual({ status: 200, isLast: false });
  });

  it.each([
    ["chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"],
    ["no length", "HTTP/1.1 200 OK\r\n\r\n"],
    ["another protocol", "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"],
    ["an interim answer", "HTTP/1.1 103 Early Hints\r\n\r\n"],
    ["more than one answer", `${ANSWER}HTTP`],
  ])("refuses %s", (_name, text) => {
    expect(() => new ResponseParser().feed(Buffer.from(text))).toThrow();
  });
});
