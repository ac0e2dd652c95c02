/** `plan PLAN delete` and `plan PLAN forget-standby`. */
import { setTimeout as sleep } from "node:timers/promises";
import type { ApiClient } from "#shared/protocol/client.ts";
import type { ForgottenStandby, PlanDeletion } from "#shared/protocol/protection.ts";
import type { CliCall } from "../command.ts";
import { RefusedError } from "../errors.ts";
import { print } from "../terminal.ts";

export const DELETION_OPTIONS = {
  "with-points": { type: "boolean" },
  "with-standby": { type: "boolean" },
  yes: { type: "boolean" },
  "dry-run": { type: "boolean" },
} as const;

export const DELETION_HELP: [string, string][] = [
  ["--with-points", "delete: also prune the recovery points that this plan made; needs --yes"],
  ["--with-standby", "delete: also have the target host remove the standby; needs --yes"],
  ["--yes", "delete, forget-standby: do it, after you have seen what goes"],
  ["--dry-run", "delete, forget-standby: show what would go, and change nothing"],
];

const POLL_MS = 2000;
const POLLS = 150;

export async function removePlan(api: ApiClient, id: string, call: CliCall): Promise<void> {
  const { values } = call;
  const parts = {
    points: values["with-points"] === true ? "prune" : "keep",
    standby: values["with-standby"] === true ? "forget" : "keep",
  } as const;
  const ask = (dryRun: "true" | "false") =>
    api.deletePlan({ parameters: { id }, query: { ...parts, dryRun } });
  const removesParts = parts.points === "prune" || parts.standby === "forget";
  const needsYes = removesParts && values.yes !== true;
  if (values["dry-run"] === true || needsYes) {
    const foreseen = await ask("true");
    print(call.terminal, call.json, foreseen, () => deletionText(foreseen));
    if (values["dry-run"] === true) return;
    throw new RefusedError("what was listed is removed only with --yes", "Repeat the command with --yes.");
  }
  let deletion = await ask("false");
  if (deletion.waitsFor !== null) {
    call.terminal.err(`the plan is deleted; waiting until its run ${deletion.waitsFor} has been stopped\n`);
    await untilStopped(() => ask("true"));
    deletion = await ask("false");
  }
  print(call.terminal, call.json, deletion, () => deletionText(deletion));
}

async function untilStopped(look: () => Promise<PlanDeletion>): Promise<void> {
  for (let polls = 0; polls < POLLS; polls++) {
    if ((await look()).waitsFor === null) return;
    await sleep(POLL_MS);
  }
  throw new RefusedError(
    "the plan is deleted, but its run is still being stopped",
    "Repeat the command in some minutes: nothing else was removed yet.",
  );
}

/** Its images are a whole copy, which the next standby would have to be made of again. */
export async function removeStandby(api: ApiClient, id: string, call: CliCall): Promise<void> {
  const foreseen = await api.deletePlan({
    parameters: { id },
    query: { standby: "forget", dryRun: "true" },
  });
  const isRemoved = foreseen.standby?.images === "ordered";
  const dryRun = call.values["dry-run"] === true;
  if (dryRun || (isRemoved && call.values.yes !== true)) {
    const { plan, standby } = foreseen;
    print(call.terminal, call.json, { plan, standby }, () =>
      standby ? `${standbyText(standby, true)}\nNothing was changed.` : `${id} keeps no standby.`,
    );
    if (dryRun) return;
    throw new RefusedError(
      "a standby's images are removed only with --yes",
      "Repeat the command with --yes.",
    );
  }
  const answer = await api.forgetStandby({ parameters: { id } });
  const text = answer.standby ? standbyText(answer.standby, false) : `${id} keeps no standby.`;
  print(call.terminal, call.json, answer, () => text);
}

export function deletionText({ dryRun, plan, points, standby, waitsFor }: PlanDeletion): string {
  const would = dryRun ? "would be" : "was";
  const lines = [`Plan ${plan.id} ${would} deleted.`];
  if (dryRun && waitsFor !== null) lines.push(`Its run ${waitsFor} would be stopped.`);
  if (points.length === 0) lines.push(`The recovery points of source ${plan.sourceId} stay.`);
  else {
    const which = dryRun ? "would be" : "were";
    lines.push(`${points.length} recovery points ${which} pruned, and can be collected a week later:`);
    lines.push(...points.map((point) => `  ${point}`));
    lines.push("Points of conversions and of other plans stay.");
  }
  if (standby) lines.push(standbyText(standby, dryRun));
  else if (plan.standbyTargetId !== null) lines.push(`The standby on ${plan.standbyTargetId} stays.`);
  if (dryRun) lines.push("Nothing was changed.");
  return lines.join("\n");
}

function standbyText({ targetId, images }: ForgottenStandby, dryRun: boolean): string {
  const forgotten = `The standby on ${targetId} ${dryRun ? "would be" : "is"} forgotten`;
  return {
    ordered: `${forgotten}, and the target host ${dryRun ? "would remove" : "removes"} its images when it is connected.`,
    left: `${forgotten}. The target host was revoked, so its images stay there: remove them by hand.`,
    none: `${forgotten}. No run has made any images.`,
  }[images];
}
