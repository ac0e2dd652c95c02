/** The operations on recoveries; a part of `routes.ts`. */
import { ProvedReceipt } from "./kept-receipt.ts";
import { NewRecovery, Recovery } from "./recovery.ts";
import { list, Page, type Route } from "./route.ts";

export const recoveryRoutes = {
  startRecovery: {
    method: "POST",
    path: "/sources/{id}/recoveries",
    handler: "recoveries",
    auth: "user",
    summary:
      "Makes a machine of a source's recovery point on a target host, starts it, and waits for its answer.",
    body: NewRecovery,
    response: Recovery,
    status: 202,
  },
  listRecoveries: {
    method: "GET",
    path: "/recoveries",
    handler: "recoveries",
    auth: "user",
    summary: "Lists recoveries, newest first.",
    query: Page,
    response: list(Recovery),
    status: 200,
  },
  getRecovery: {
    method: "GET",
    path: "/recoveries/{id}",
    handler: "recoveries",
    auth: "user",
    summary: "Shows a recovery with its machine and the time until that answered.",
    response: Recovery,
    status: 200,
  },
  getRecoveryReceipt: {
    method: "GET",
    path: "/recoveries/{id}/receipt",
    handler: "recoveries",
    auth: "user",
    summary: "Shows what is kept of a recovery's proof, with the receipt that its target host has signed.",
    response: ProvedReceipt,
    status: 200,
  },
  cancelRecovery: {
    method: "POST",
    path: "/recoveries/{id}/cancel",
    handler: "recoveries",
    auth: "user",
    summary: "Cancels a running recovery. A machine that is defined already stays.",
    response: Recovery,
    status: 202,
  },
} as const satisfies Record<string, Route>;
