/** The operations on cutovers; a part of `routes.ts`. */

import { ApproveCutover, Cutover, EditCutover, NewCutover } from "./cutover.ts";
import { CutoverReceipt } from "./kept-receipt.ts";
import { list, Page, type Route } from "./route.ts";

const shown = { handler: "cutovers", auth: "user", response: Cutover } as const;

export const cutoverRoutes = {
  createCutover: {
    ...shown,
    method: "POST",
    path: "/cutovers",
    summary:
      "Prepares the cutover of a source to a machine on a target host. It begins in a window, or on a person's word.",
    body: NewCutover,
    status: 202,
  },
  listCutovers: {
    ...shown,
    method: "GET",
    path: "/cutovers",
    summary: "Lists cutovers, newest first.",
    query: Page,
    response: list(Cutover),
    status: 200,
  },
  getCutover: {
    ...shown,
    method: "GET",
    path: "/cutovers/{id}",
    summary: "Shows a cutover: its state, window, forecast and deadline.",
    status: 200,
  },
  getCutoverReceipt: {
    handler: "cutovers",
    auth: "user",
    method: "GET",
    path: "/cutovers/{id}/receipt",
    summary:
      "Shows what is kept of a cutover's proof, and the boot receipt of its source if it has restarted that.",
    response: CutoverReceipt,
    status: 200,
  },
  editCutover: {
    ...shown,
    method: "PATCH",
    path: "/cutovers/{id}",
    summary: "Changes the windows, mode or limits of a cutover that has not begun. An approval ends.",
    body: EditCutover,
    status: 200,
  },
  goCutover: {
    ...shown,
    method: "POST",
    path: "/cutovers/{id}/go",
    summary: "Begins a cutover now, if a window is open and the forecast fits.",
    status: 202,
  },
  holdCutover: {
    ...shown,
    method: "POST",
    path: "/cutovers/{id}/hold",
    summary: "Has a cutover that has not begun wait for a person's go.",
    status: 200,
  },
  approveCutover: {
    ...shown,
    method: "POST",
    path: "/cutovers/{id}/approve",
    summary: "Approves a version of a cutover, by another person than those who asked for it or changed it.",
    body: ApproveCutover,
    status: 200,
  },
  cancelCutover: {
    ...shown,
    method: "POST",
    path: "/cutovers/{id}/cancel",
    summary: "Cancels a cutover that has not begun.",
    status: 202,
  },
  rollBackCutover: {
    ...shown,
    method: "POST",
    path: "/cutovers/{id}/rollback",
    summary: "Rolls back a cutover that has begun and not committed: the source serves again.",
    status: 202,
  },
} as const satisfies Record<string, Route>;
