// The demo page: sign-in with one click, then the stage, which is loaded while the welcome is read. This folder is the only one
// that uses client, toast and bell together.

import { Http } from "../client/http.js";
import { avatar, part } from "./dom.js";

/** @type {Demo.Person[]} */
const people = JSON.parse(document.getElementById("demo-data")?.textContent ?? "[]");
const http = new Http();
const loading = import("./stage.js");
loading.catch(() => {}); // reported by those who wait for it
const welcome = part(document, "welcome");
const opening = part(document, "opening");
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
if (!welcome.hidden) enableSignIn();
resumeSession();

async function resumeSession() {
  try {
    const { user } = await http.session();
    if (user) (await show(document.documentElement.lang)).open(user);
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
  welcome.hidden = true;
  opening.hidden = false;
  try {
    const { user, language } = await http.post("/demo/sign-in", { username });
    const stage = await show(language);
    stage.open(user, beside ?? undefined, Boolean(beside));
    stage.focus();
  } catch (error) {
    showWelcome(`Signing in did not work: ${/** @type {Error} */ (error).message}`);
  }
}

/** Puts the stage in the welcome's place. @param {string} spoken the user's language */
async function show(spoken) {
  const { Stage, Language } = await loading;
  const language = await Language.of(spoken);
  const template = /** @type {HTMLTemplateElement} */ (part(document, "stage-template"));
  const root = /** @type {HTMLElement} */ (template.content.firstElementChild?.cloneNode(true));
  welcome.hidden = opening.hidden = true;
  welcome.after(root);
  const stage = new Stage(root, { http, people, language });
  stage.addEventListener("leave", (event) => {
    stage.close();
    showWelcome(/** @type {CustomEvent} */ (event).detail);
    part(welcome, "welcome-heading").focus({ preventScroll: true });
  });
  return stage;
}

/** @param {string} reason why the user is here again; may be empty */
function showWelcome(reason) {
  opening.hidden = true;
  welcome.hidden = false;
  enableSignIn();
  notice.hidden = !reason;
  notice.textContent = reason;
}

/** The page as the server has rendered it: its buttons are disabled until this module has loaded. */
function enableSignIn() {
  for (const button of welcome.querySelectorAll("button")) button.disabled = false;
}
