// The module of {% doorbell "bell" %}.

import "./page.js";
import "../bell/define.js";
