// The demo page: sign in with one click, then a desk. The only place that knows both client and toast.

import "../toast/define.js";

import { Http } from "../client/http.js";
import { DoorbellToasts } from "../toast/toast.js";
import { Desk } from "./desk.js";
import { avatar, part } from "./dom.js";

/** @type {{username: string, full_name: string}[]} */
const people = JSON.parse(document.getElementById("demo-data")?.textContent ?? "[]");
const names = new Map(people.map((person) => [person.username, person.full_name]));
const fullName = (/** @type {string} */ username) => names.get(username) || username;

const http = new Http();
const welcome = part(document, "welcome");
const notice = part(document, "notice");
const toasts = /** @type {DoorbellToasts} */ (document.querySelector("doorbell-toasts"));

for (const card of document.querySelectorAll("[data-sign-in]")) {
  const username = card.getAttribute("data-sign-in") ?? "";
  card.querySelector(".avatar")?.replaceWith(avatar(username, fullName(username)));
  card.addEventListener("click", () => signIn(username));
}
begin();

async function begin() {
  try {
    const { user } = await http.session();
    if (user) openDesk(user);
    else showWelcome("");
  } catch {
    showWelcome("The server could not be reached. Is it running? Reload the page to try again.");
  }
}

/** @param {string} username */
async function signIn(username) {
  try {
    const { user } = await http.post("/demo/sign-in", { username });
    openDesk(user);
  } catch (error) {
    showWelcome(`Signing in did not work: ${/** @type {Error} */ (error).message}`);
  }
}

/** @param {Doorbell.User} user */
function openDesk(user) {
  const template = /** @type {HTMLTemplateElement} */ (part(document, "desk-template"));
  const root = /** @type {HTMLElement} */ (template.content.firstElementChild?.cloneNode(true));
  welcome.hidden = true;
  welcome.after(root);
  const desk = new Desk(root, { http, user, toasts, fullName });
  desk.addEventListener("leave", (event) => {
    desk.close();
    showWelcome(/** @type {CustomEvent} */ (event).detail);
  });
  desk.open();
}

/** @param {string} why */
function showWelcome(why) {
  welcome.hidden = false;
  notice.hidden = why === "";
  notice.textContent = why;
}
