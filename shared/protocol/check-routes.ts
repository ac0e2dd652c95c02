/** The operations on checks of repositories; a part of `routes.ts`. */
import { Check, NewCheck } from "./repository-check.ts";
import type { Route } from "./route.ts";

export const checkRoutes = {
  startCheck: {
    method: "POST",
    path: "/sources/{id}/checks",
    handler: "checks",
    auth: "user",
    summary: "Has a target host check recovery points of a source server in the repository.",
    body: NewCheck,
    response: Check,
    status: 202,
  },
  getCheck: {
    method: "GET",
    path: "/checks/{id}",
    handler: "checks",
    auth: "user",
    summary: "Shows a check with what it found.",
    response: Check,
    status: 200,
  },
} as const satisfies Record<string, Route>;
