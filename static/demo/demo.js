// The demo page: sign-in with one click, then the stage. This folder is the only one that uses client, toast and bell
// together.

import "../bell/define.js";
import "../toast/define.js";

import { Http } from "../client/http.js";
import { avatar, part } from "./dom.js";
import { Stage } from "./stage.js";

/** @type {Demo.Person[]} */
const people = JSON.parse(document.getElementById("demo-data")?.textContent ?? "[]");
const http = new Http();
const welcome = part(document, "welcome");
const notice = part(document, "notice");

for (const card of document.querySelectorAll("[data-sign-in]")) {
  const username = card.getAttribute("data-sign-in") ?? "";
  const beside = card.getAttribute("data-beside");
  for (const picture of card.querySelectorAll(".avatar[data-of]")) {
    const name = picture.getAttribute("data-of") ?? "";
    picture.replaceWith(avatar(name, people.find((person) => person.username === name)?.full_name || name));
  }
  card.addEventListener("click", () => signIn(username, beside));
}
resumeSession();

async function resumeSession() {
  try {
    const { user } = await http.session();
    if (user) open(user);
    else showWelcome("");
  } catch {
    showWelcome("The server could not be reached. Is it running? Reload the page to try again.");
  }
}

/**
 * @param {string} username
 * @param {string | null} beside
 */
async function signIn(username, beside) {
  try {
    const { user } = await http.post("/demo/sign-in", { username });
    open(user, beside ?? undefined).focus();
  } catch (error) {
    showWelcome(`Signing in did not work: ${/** @type {Error} */ (error).message}`);
  }
}

/**
 * @param {Doorbell.User} user
 * @param {string} [beside]
 */
function open(user, beside) {
  const template = /** @type {HTMLTemplateElement} */ (part(document, "stage-template"));
  const root = /** @type {HTMLElement} */ (template.content.firstElementChild?.cloneNode(true));
  welcome.hidden = true;
  welcome.after(root);
  const stage = new Stage(root, { http, people });
  stage.addEventListener("leave", (event) => {
    stage.close();
    showWelcome(/** @type {CustomEvent} */ (event).detail);
    part(welcome, "welcome-heading").focus({ preventScroll: true });
  });
  stage.open(user, beside);
  return stage;
}

/** @param {string} reason why the user is here again; may be empty */
function showWelcome(reason) {
  welcome.hidden = false;
  notice.hidden = !reason;
  notice.textContent = reason;
}
