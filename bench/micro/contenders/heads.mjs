// The head of a response with the security headers, made by Connect-style middleware and node's writeHead.
import { randomBytes } from "node:crypto";
import { IncomingMessage, ServerResponse } from "node:http";
import { HELMET_OPTIONS, SECURITY_HEADERS } from "../../servers/contract.mjs";

/** @param params.hasNonce with a Content-Security-Policy that has a nonce */
export const contenders = {
  "node:http, nothing": (params) => contender(params, (_request, _response, next) => next()),
  async cello(params) {
    const { CSP, Security } = await import("../../../dist/index.js");
    const { cello } = await import("../../../dist/hosts/express/index.js");
    const csp = params.hasNonce ? new CSP().defaultSrc("'self'").scriptSrc("'self'", CSP.NONCE) : undefined;
    return contender(params, cello(new Security({ securityHeaders: { csp } })));
  },
  async helmet(params) {
    const { default: helmet } = await import("helmet");
    const nonce = (_request, response) => `'nonce-${response.locals.nonce}'`;
    const directives = { "default-src": ["'self'"], "script-src": ["'self'", nonce] };
    const contentSecurityPolicy = params.hasNonce ? { useDefaults: false, directives } : false;
    const guard = helmet({ ...HELMET_OPTIONS, contentSecurityPolicy });
    return contender(params, (request, response, next) => {
      if (params.hasNonce) response.locals = { nonce: randomBytes(16).toString("base64") };
      response.setHeader("X-XSS-Protection", SECURITY_HEADERS["X-XSS-Protection"]);
      guard(request, response, next);
    });
  },
};

function contender({ hasNonce, contender: name }, middleware) {
  const socket = { remoteAddress: "127.0.0.1", destroyed: false };
  function head() {
    const request = new IncomingMessage(socket);
    request.method = "GET";
    request.url = "/";
    request.httpVersionMajor = 1;
    request.httpVersionMinor = 1;
    const response = new ServerResponse(request);
    middleware(request, response, () => {
      response.writeHead(200, { "content-type": "application/json; charset=utf-8", "content-length": 2 });
    });
    return response;
  }
  return {
    isAsync: false,
    check() {
      // _header is the text that node is about to send.
      const text = head()._header;
      const isBare = name.startsWith("node:http");
      for (const [field, value] of Object.entries(SECURITY_HEADERS)) {
        if (text.includes(`${field}: ${value}`) === isBare) throw new Error(`${field} is wrong in:\n${text}`);
      }
      const nonces = /script-src 'self' 'nonce-[A-Za-z0-9+/_-]{20,}={0,2}'/.test(text);
      if (nonces !== (hasNonce && !isBare)) throw new Error(`the nonce is wrong in:\n${text}`);
    },
    op: head,
  };
}
