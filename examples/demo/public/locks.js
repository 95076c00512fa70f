// The page "Try the locks": a button for each attack, one for all.
import { crossSiteForm } from "./attacks/cross-site-form.js";
import { expiredToken } from "./attacks/expired-token.js";
import { flood } from "./attacks/flood.js";
import { forgedToken } from "./attacks/forged-token.js";
import { framing } from "./attacks/framing.js";
import { injection } from "./attacks/injection.js";
import { tamperedCookie } from "./attacks/tampered-cookie.js";
import { clearOutcome, showFailure, showOutcome } from "./evidence.js";
import { calm } from "./http.js";

const ATTACKS = {
  injection,
  "forged-token": forgedToken,
  "expired-token": expiredToken,
  "cross-site-form": crossSiteForm,
  "tampered-cookie": tamperedCookie,
  framing,
  flood,
};

const cards = [...document.querySelectorAll("[data-attack]")];
const runAll = document.querySelector("#run-all");
const summary = document.querySelector("#summary");
const attackerPort = document.querySelector("[data-attacker-port]").dataset.attackerPort;
const buttons = document.querySelectorAll("main button");

for (const card of cards)
  card.querySelector("button").addEventListener("click", () => exclusively(() => attack(card, true)));

runAll.addEventListener("click", () =>
  exclusively(async () => {
    summary.textContent = "Attacking…";
    for (const card of cards) clearOutcome(card);
    let stopped = 0;
    for (const card of cards) {
      if (await attack(card, false)) stopped += 1;
    }
    summary.textContent = `${stopped} of ${cards.length} attacks were stopped.`;
  }),
);

/** One attack at a time: they would count against each other's limits. */
async function exclusively(run) {
  for (const button of buttons) button.disabled = true;
  try {
    await run();
  } finally {
    for (const button of buttons) button.disabled = false;
  }
}

/** Carries an attack out and shows its outcome; tells whether it was stopped. */
async function attack(card, isAlone) {
  clearOutcome(card, "Attacking…");
  card.setAttribute("aria-busy", "true");
  try {
    await calm();
    const stage = card.querySelector(".stage");
    const outcome = await ATTACKS[card.id]({ id: crypto.randomUUID(), stage, attackerPort });
    return showOutcome(card, outcome, isAlone);
  } catch (error) {
    showFailure(card, error);
    return false;
  } finally {
    card.removeAttribute("aria-busy");
  }
}
