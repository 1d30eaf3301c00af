// Shapes of the demo page only.

declare namespace Demo {
  /** A frame, an HTTP request or a closed connection of one person. */
  interface TrafficEntry {
    direction: "in" | "out" | "http";
    frame: Doorbell.Frame | Doorbell.Command | null;
    text: string;
    /** Milliseconds since 1970. */
    at: number;
    /** Milliseconds; null where there is nothing to measure. */
    latency: number | null;
    /** A remark such as "dropped" or the HTTP status; may be empty. */
    note: string;
  }

  interface Person {
    username: string;
    full_name: string;
  }

  /** The result of one comparison with the server. `lost`, `doubled`, `disordered` and `differing` count violations. */
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
