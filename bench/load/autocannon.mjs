// The load of autocannon, behind the same plan and result as sockets.mjs.
import { readFileSync } from "node:fs";
import autocannon from "autocannon";

const plan = JSON.parse(process.argv[2]);
const [requestLine, ...fields] = readFileSync(plan.requestFile, "latin1").trimEnd().split("\r\n");
const headers = Object.fromEntries(fields.map((field) => field.split(/: (.*)/s).slice(0, 2)));
delete headers.Host;
const tokens = plan.tokenFile === "-" ? undefined : readFileSync(plan.tokenFile, "latin1").split("\n").filter(Boolean);
let next = plan.first;

const withNewToken = (request) => {
  const authorization = `Bearer ${tokens[next++ % tokens.length]}`;
  return { ...request, headers: { ...request.headers, Authorization: authorization } };
};
const result = await autocannon({
  url: `http://127.0.0.1:${plan.port}`,
  connections: plan.connections,
  duration: plan.seconds,
  requests: [{ path: requestLine.split(" ")[1], headers, ...(tokens && { setupRequest: withNewToken }) }],
});
process.stdout.write(
  `${JSON.stringify({
    requests: result["2xx"] + result.non2xx,
    seconds: result.duration,
    refused: result.non2xx,
    errors: result.errors,
    p50Ms: result.latency.p50,
    p99Ms: result.latency.p99,
  })}\n`,
);
