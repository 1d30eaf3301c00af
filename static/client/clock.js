// The clock and timers as one object, which a test can replace.

/** @type {Doorbell.Clock} */
export const systemClock = {
  now: () => performance.now(),
  setTimeout: (callback, ms) => setTimeout(callback, ms),
  clearTimeout: (timer) => clearTimeout(timer),
};
