// The module of {% doorbell "toasts" %}.

import "./page.js";
import "../toast/define.js";
