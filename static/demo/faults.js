// What can be done to a connection. Each fault is a small story: it says what it does, does it, and is over when the trouble
// has passed; the lab then waits for the audit.

import { Seat } from "./seat.js";
import { counted, describeTime } from "./words.js";

const OFFLINE_MS = 10_000;
const PATIENCE_MS = 20_000;

/**
 * @typedef {object} Telling
 * @property {Seat} seat
 * @property {(text: string) => void} say
 */

/** @typedef {{id: string, title: string, text: string, run: (telling: Telling) => Promise<unknown>}} Fault */

/** @type {Fault[]} */
export const FAULTS = [
  {
    id: "cut",
    title: "Cut the line",
    text: "No goodbye; five rings meanwhile.",
    async run({ seat, say }) {
      seat.line.cut();
      say("The connection is gone.");
      seat.audit.mark();
      await ring(seat, 5, say);
    },
  },
  {
    id: "offline",
    title: "Offline for 10 s",
    text: "A ring every two seconds meanwhile.",
    async run({ seat, say }) {
      seat.line.goDown();
      say("Offline: nothing comes through.");
      try {
        for (let rings = 0; rings < 5; rings++) {
          await ring(seat, 1);
          await sleep(OFFLINE_MS / 5);
        }
        say("Five rings that nobody heard.");
      } finally {
        seat.line.comeUp();
      }
      seat.audit.mark();
      say("Online again.");
    },
  },
  spoiled("drop", "Drop frames", "Two of the next five never arrive.", "Two frames were swallowed."),
  spoiled("delay", "Delay frames", "Two come late, after their successors.", "Two frames are late."),
  spoiled("double", "Double frames", "Two of them arrive twice.", "Two frames came twice."),
  spoiled("shuffle", "Shuffle frames", "Three arrive in reverse.", "Three frames came in reverse.", 3),
  {
    id: "lease",
    title: "Expire the lease",
    text: "The server process died without a word.",
    async run({ seat, say }) {
      const { connections } = await seat.http.post("/demo/lose-process", {});
      seat.audit.mark();
      say(`${counted(connections, "connection")} of a dead process; the server will bury it.`);
      await ring(seat, 3, say);
    },
  },
  {
    id: "sign-out",
    title: "Sign out elsewhere",
    text: "The login ends, by another window.",
    async run({ seat, say }) {
      seat.audit.close(); // it would ask with a login that is over
      await seat.http.post("/demo/sign-out", {});
      await until(() => seat.client.state === "disconnected");
      say("Closed for good: the client stopped, and says so. Sign in again to go on.");
    },
  },
  {
    id: "flood",
    title: "Flood with 500",
    text: "As fast as the database can write them.",
    async run({ seat, say }) {
      const began = performance.now();
      seat.audit.mark();
      await seat.http.post("/demo/ring", { count: 500 });
      say(`500 notifications in ${describeTime(performance.now() - began)}.`);
    },
  },
];

/**
 * Rings five times, and something happens to the first few frames.
 * @param {"drop" | "delay" | "double" | "shuffle"} id
 * @param {string} title
 * @param {string} text
 * @param {string} done
 * @param {number} [count]
 * @returns {Fault}
 */
function spoiled(id, title, text, done, count = 2) {
  return {
    id,
    title,
    text,
    async run({ seat, say }) {
      seat.line.spoil(id, count);
      seat.line.addEventListener("spoiled", () => seat.audit.mark(), { once: true });
      await ring(seat, 5, say);
      await until(() => seat.line.isCalm);
      seat.line.calm();
      say(done);
    },
  };
}

/**
 * @param {Seat} seat
 * @param {number} count
 * @param {(text: string) => void} [say]
 */
async function ring(seat, count, say) {
  await seat.http.post("/demo/ring", { count });
  say?.(`${counted(count, "ring")} for ${seat.name} on the server.`);
}

/** @param {number} ms */
function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** @param {() => boolean} condition */
async function until(condition) {
  for (let waited = 0; waited < PATIENCE_MS && !condition(); waited += 50) await sleep(50);
}
