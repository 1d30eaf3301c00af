// Importing this file registers <doorbell-bell> and <doorbell-list>; importing bell.js or list.js has no side effect.

import { DoorbellBell } from "./bell.js";
import { DoorbellList } from "./list.js";

if (!customElements.get("doorbell-list")) customElements.define("doorbell-list", DoorbellList);
if (!customElements.get("doorbell-bell")) customElements.define("doorbell-bell", DoorbellBell);
