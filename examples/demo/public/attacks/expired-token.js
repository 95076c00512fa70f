// A token that was good a moment ago.
import { send, sleep, statusText } from "../http.js";
import { recall } from "./witness.js";

export async function expiredToken({ id }) {
  const { token } = JSON.parse((await send("POST", "/locks/short-token")).body);
  const { exp } = JSON.parse(atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")));
  const path = `/api/me?attack=${id}`;
  const headers = { Authorization: `Bearer ${token}` };

  const early = await send("GET", path, { headers });
  await sleep(exp * 1000 - Date.now() + 100);
  const late = await send("GET", path, { headers });
  const { events } = await recall(id);

  return {
    checks: [
      { claim: "While it was valid, the token opened the API.", holds: early.status === 200 },
      { claim: "After its expiry, the same token is refused with 401.", holds: late.status === 401 },
    ],
    exchanges: [
      { label: "The token after its expiry", exchange: late, outcome: statusText(late.status) },
      {
        label: "For comparison: the same token two seconds before",
        exchange: early,
        outcome: statusText(early.status),
      },
    ],
    events,
  };
}
