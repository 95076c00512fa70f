// Calls the JSON API and shows request and answer.
import { exchangeView } from "./evidence.js";
import { send, tokenOfSession } from "./http.js";

const answer = document.querySelector("#answer");
let token;

for (const button of document.querySelectorAll("button[data-call]")) {
  button.addEventListener("click", async () => {
    const [method, path] = button.dataset.call.split(" ");
    const withToken = button.dataset.withoutToken === undefined;
    // One token for all calls: this page is left long before it runs out.
    if (withToken) token ??= await tokenOfSession();
    const headers = withToken ? { Authorization: `Bearer ${token}` } : {};
    const exchange = await send(method, path, { headers });
    answer.replaceChildren(...exchangeView(exchange).children);
    answer.classList.add("pair");
  });
}
