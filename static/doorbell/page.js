// The one client of a page that the template tag {% doorbell %} has set up, and what gives it to the page's elements: to those
// that are there, and to those that are added later. A module of the page's own imports `client` from here.

import { connect } from "../client/connect.js";

export const client = connect();

document.addEventListener("doorbell-attach", (event) => give(event.target));
for (const element of document.querySelectorAll("doorbell-bell, doorbell-list, doorbell-toasts")) give(element);

/** @param {any} element */
function give(element) {
  element.client ??= client;
}
