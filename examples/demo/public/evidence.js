// Shows what an attack found. Everything is text: nothing that came over the network becomes markup.

/** Makes an element with a class and content. */
export function element(name, className, ...content) {
  const made = document.createElement(name);
  if (className !== "") made.className = className;
  made.append(...content);
  return made;
}

/** Request and answer beside each other. */
export function exchangeView({ request, answer }) {
  const part = (title, text) => element("div", "", element("h3", "", title), element("pre", "", text));
  return element("div", "exchange pair", part("Request", request), part("Answer", answer));
}

/**
 * Shows an attack's outcome in its card.
 * @param card the card
 * @param outcome `checks`: claims and whether each holds; `exchanges`: labelled requests and answers;
 *   `events`: what the server's log says; `figure`: something to look at
 * @param isAlone whether it is the only attack that runs: then there is room to open the first exchange
 */
export function showOutcome(card, { checks, exchanges, events, figure }, isAlone) {
  const isStopped = checks.every(({ holds }) => holds);
  showVerdict(card, isStopped ? "Stopped" : "NOT STOPPED", isStopped);
  card.querySelector(".why").hidden = !isStopped;
  const list = element("ul", "checks", ...checks.map(checkView));
  const details = exchanges.map((exchange, index) => exchangeDetails(exchange, isAlone && index === 0));
  const log = Object.entries(events).map(([event, count]) => (count === 1 ? event : `${event} (${count} times)`));
  const logLine = log.length === 0 ? [] : [element("p", "log", "The server's log says: ", ...codes(log))];
  card
    .querySelector(".evidence")
    .replaceChildren(list, ...(figure === undefined ? [] : [figure]), ...details, ...logLine);
  return isStopped;
}

/** Shows that an attack could not be carried out, which says nothing about the lock. */
export function showFailure(card, error) {
  showVerdict(card, "No verdict", false, `The attack could not be carried out: ${error.message}`);
}

export function clearOutcome(card, text = "") {
  card.dataset.verdict = "";
  card.querySelector(".verdict").replaceChildren(text);
  card.querySelector(".why").hidden = true;
  for (const part of [".evidence", ".stage"]) card.querySelector(part).replaceChildren();
}

function showVerdict(card, text, isGood, explanation = "") {
  card.dataset.verdict = text;
  const badge = element("span", isGood ? "badge good" : "badge bad", text);
  card.querySelector(".verdict").replaceChildren(badge, explanation);
}

function checkView({ claim, holds }) {
  const item = element("li", holds ? "holds" : "fails", element("span", "", claim));
  if (!holds) item.lastChild.append(" This does not hold.");
  return item;
}

function exchangeDetails({ label, exchange, outcome }, isOpen) {
  const details = element(
    "details",
    "",
    element("summary", "", element("span", "", label), element("span", "outcome", outcome)),
    exchangeView(exchange),
  );
  details.open = isOpen;
  return details;
}

function codes(texts) {
  return texts.flatMap((text, index) => [index === 0 ? "" : ", ", element("code", "", text)]);
}
