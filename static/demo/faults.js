// The faults that the panel can inject. Each says what it does, does it, and returns when the fault is over; the lab then
// waits for the audit.

import { formatDuration, pluralize } from "./format.js";
import { Seat } from "./seat.js";

const OFFLINE_MS = 10_000;
const MAX_WAIT_MS = 20_000;

/**
 * @typedef {object} FaultContext
 * @property {Seat} seat
 * @property {(text: string) => void} log
 */

/** @typedef {{id: string, title: string, text: string, run: (context: FaultContext) => Promise<unknown>}} Fault */

/** @type {Fault[]} */
export const FAULTS = [
  {
    id: "cut",
    title: "Cut the connection",
    text: "Without a closing handshake; five rings meanwhile.",
    async run({ seat, log }) {
      log("The connection is cut, without a closing handshake.");
      seat.network.cut();
      seat.audit.markFaultEnd();
      await ring(seat, 5, log);
    },
  },
  {
    id: "offline",
    title: "Offline for 10 s",
    text: "A ring every two seconds meanwhile.",
    async run({ seat, log }) {
      log("Offline: no frame and no request gets through.");
      seat.network.goOffline();
      log(`Meanwhile five rings for ${seat.name}, one every two seconds.`);
      try {
        for (let rings = 0; rings < 5; rings++) {
          await ring(seat, 1);
          await sleep(OFFLINE_MS / 5);
        }
      } finally {
        log("Online again.");
        seat.audit.markFaultEnd();
        seat.network.goOnline();
      }
    },
  },
  frameFault("drop", "Drop frames", "Two of the next five never arrive.", "is dropped"),
  frameFault("delay", "Delay frames", "Two arrive late, after their successors.", "is delayed"),
  frameFault("double", "Double frames", "Two of them arrive twice.", "arrives twice"),
  frameFault("shuffle", "Shuffle frames", "Three arrive in reverse.", "is held back, to arrive in reverse", 3),
  {
    id: "lease",
    title: "Lose the server process",
    text: "As if it had crashed.",
    async run({ seat, log }) {
      log(`The server process of ${seat.name}’s connection is lost, as after a crash.`);
      const { connections } = await seat.http.post("/demo/lose-process", {});
      seat.audit.markFaultEnd();
      log(`${pluralize(connections, "connection")} of the lost process: the servers that remain clear them away.`);
      await ring(seat, 3, log);
    },
  },
  {
    id: "sign-out",
    title: "Sign out elsewhere",
    text: "The login is ended in another window.",
    async run({ seat, log }) {
      seat.audit.close(); // its requests would fail without the login
      log(`${seat.name}’s login is ended, as by another window.`);
      await seat.http.post("/demo/sign-out", {});
      await until(() => seat.client.state === "disconnected");
      log("Closed with a final code: the client has stopped and shows it. Sign in again to continue.");
    },
  },
  {
    id: "flood",
    title: "Flood with 500",
    text: "As fast as the database can write them.",
    async run({ seat, log }) {
      const startedAt = performance.now();
      log(`500 rings for ${seat.name}, as fast as the database takes them.`);
      seat.audit.markFaultEnd();
      await seat.http.post("/demo/ring", { count: 500 });
      log(`500 notifications in ${formatDuration(performance.now() - startedAt)}.`);
    },
  },
];

/**
 * Rings five times; the fault applies to the first few frames.
 * @param {"drop" | "delay" | "double" | "shuffle"} id
 * @param {string} title
 * @param {string} text
 * @param {string} effect what then happens to each of these frames
 * @param {number} [count]
 * @returns {Fault}
 */
function frameFault(id, title, text, effect, count = 2) {
  return {
    id,
    title,
    text,
    async run({ seat, log }) {
      let disturbed = 0;
      const onDisturbed = () => {
        if (++disturbed === 1) seat.audit.markFaultEnd();
        log(`Frame ${disturbed} of ${count} ${effect}.`);
      };
      seat.network.disturb(id, count);
      seat.network.addEventListener("disturbed", onDisturbed);
      try {
        await ring(seat, 5, log);
        await until(() => seat.network.isClear);
      } finally {
        seat.network.removeEventListener("disturbed", onDisturbed);
        seat.network.clear();
      }
    },
  };
}

/**
 * @param {Seat} seat
 * @param {number} count
 * @param {(text: string) => void} [log]
 */
async function ring(seat, count, log) {
  log?.(`${pluralize(count, "ring")} for ${seat.name}, on the server.`);
  await seat.http.post("/demo/ring", { count });
}

/** @param {number} ms */
function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** @param {() => boolean} condition */
async function until(condition) {
  for (let waited = 0; waited < MAX_WAIT_MS && !condition(); waited += 50) await sleep(50);
}
