// Importing this file registers <doorbell-toasts>; importing toast.js has no side effect.

import { DoorbellToasts } from "./toast.js";

if (!customElements.get("doorbell-toasts")) customElements.define("doorbell-toasts", DoorbellToasts);
