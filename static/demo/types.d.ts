// Shapes of the demo page only.

declare namespace Demo {
  /** Something that crossed a person's line. */
  interface Crossing {
    direction: "in" | "out" | "http";
    frame: Doorbell.Frame | Doorbell.Command | null;
    text: string;
    /** Milliseconds since 1970. */
    at: number;
    /** Milliseconds; null where there is nothing to measure. */
    latency: number | null;
    /** What became of it: "dropped", an HTTP status; empty if nothing special. */
    note: string;
  }

  interface Person {
    username: string;
    full_name: string;
  }

  /** What a look at the server found. Every number of things that may not be; zero is well. */
  interface Findings {
    lost: number;
    doubled: number;
    disordered: number;
    badge: { shown: number; server: number };
    /** Rows that differ from a fresh read. */
    differing: number;
    rows: number;
    revision: number;
  }

  type Verdict = "checking" | "waiting" | "green" | "red";
}
