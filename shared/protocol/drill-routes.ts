/** The operations on drills; a part of `routes.ts`. */
import { Drill, NewDrill } from "./drill.ts";
import { ProvedReceipt } from "./kept-receipt.ts";
import { list, Page, type Route } from "./route.ts";

export const drillRoutes = {
  startDrill: {
    method: "POST",
    path: "/recovery-points/{id}/drills",
    handler: "drills",
    auth: "user",
    summary: "Boots a clone of a recovery point on a target host, without network, and removes the clone.",
    body: NewDrill,
    response: Drill,
    status: 202,
  },
  listDrills: {
    method: "GET",
    path: "/drills",
    handler: "drills",
    auth: "user",
    summary: "Lists drills, newest first.",
    query: Page,
    response: list(Drill),
    status: 200,
  },
  getDrill: {
    method: "GET",
    path: "/drills/{id}",
    handler: "drills",
    auth: "user",
    summary: "Shows a drill with what its boot check found.",
    response: Drill,
    status: 200,
  },
  getDrillReceipt: {
    method: "GET",
    path: "/drills/{id}/receipt",
    handler: "drills",
    auth: "user",
    summary: "Shows what is kept of a drill's proof, with the receipt that its target host has signed.",
    response: ProvedReceipt,
    status: 200,
  },
  cancelDrill: {
    method: "POST",
    path: "/drills/{id}/cancel",
    handler: "drills",
    auth: "user",
    summary: "Cancels a running drill. The target host removes the clone.",
    response: Drill,
    status: 202,
  },
} as const satisfies Record<string, Route>;
