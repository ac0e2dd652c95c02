/** A cutover of the protected database, as the operations guide prepares one, for the demos. */
import { setTimeout as wait } from "node:timers/promises";
import type { Cutover } from "#shared/protocol/cutover.ts";
import type { Recovery } from "#shared/protocol/recovery.ts";
import { LEDGER_END, PRODUCTION_ADDRESS } from "../machines/disk/database-server.ts";
import type { SystemdHost } from "../machines/systemd-host.ts";
import { answered } from "../site/answered.ts";
import type { Installation } from "../site/installation.ts";
import type { CutoverSite } from "./cutover-site.ts";
import { MinutePlan, POSTGRESQL, type ProtectedDatabase } from "./protected-database.ts";
import { isTracked } from "./protection-runs.ts";

/** How many recovery points the demos wait for before they prepare the cutover. */
const POINTS = 3;
const LOOK_EVERY_MS = 1000;
const LIMIT_MS = 1_800_000;
const DAY_MS = 86_400_000;

const machineOn = ({ hypervisor }: SystemdHost) => ["--hypervisor", hypervisor, "--software", "--adapt"];

/** Protects the database with a standby on the target host, until it has some points. */
export async function startStandby({
  site,
  step,
}: ProtectedDatabase): Promise<{ plan: MinutePlan; points: number }> {
  const plan = await MinutePlan.start(site, () => {}, ["--standby", site.targetId]);
  const name = `protect it every minute, with a standby, until there are ${POINTS} points`;
  const runs = await step(name, () => plan.untilPoints(POINTS, isTracked));
  return { plan, points: runs.length };
}

/** Starts a machine on a test network, which tells the forecast how long that takes, and removes it. */
export async function rehearse(
  { site, step }: ProtectedDatabase,
  { host }: Pick<CutoverSite, "host">,
): Promise<void> {
  const { installation, sourceId, targetId } = site;
  const target = ["--target", targetId, "--test-network", ...machineOn(host)];
  await step("recover it to a test network, and remove that machine", async () => {
    const words = ["recover", sourceId, ...target, "--expect", LEDGER_END, "--wait"];
    const { id } = (await installation.json(words)) as Recovery;
    await leaveNothing(installation, id);
  });
}

/**
 * Creates a cutover whose window is open, and waits until it waits for a go. `options`: more of the command
 * line's. Returns its id.
 */
export async function prepareCutover(
  { site, step }: ProtectedDatabase,
  { network: { bridge }, host }: CutoverSite,
  options: readonly string[],
): Promise<string> {
  const { installation, sourceId, targetId } = site;
  const day = (offset: number) => new Date(Date.now() + offset * DAY_MS).toISOString().slice(0, 10);
  const cards = ["--nic", "isolated,keep=eth0", "--nic", `bridge:${bridge},keep=eth1`];
  return step("prepare the cutover: its adaptation is computed on a clone", async () => {
    const { id } = (await installation.json([
      ...["cutover", "create", sourceId, "--target", targetId],
      ...["--window", `${day(-1)}..${day(1)},00:00-00:00`, ...machineOn(host), ...cards, ...options],
      ...["--answer", `${PRODUCTION_ADDRESS}:${POSTGRESQL}`],
    ])) as Cutover;
    await untilCutover(installation, id, ({ state }) => state === "waiting");
    await showOutput(installation, ["cutover", "forecast", id]);
    return id;
  });
}

/** Says go, and waits until the cutover has ended. */
export async function carryOut({ site, step }: ProtectedDatabase, id: string): Promise<Cutover> {
  const { installation } = site;
  return await step(`causeway cutover go ${id}`, async () => {
    await installation.json(["cutover", "go", id]);
    const cutover = await untilCutover(installation, id, ({ endedAt }) => endedAt !== undefined);
    await showOutput(installation, ["cutover", "show", id]);
    return cutover;
  });
}

/** Prints what an operator sees. */
async function showOutput(installation: Installation, words: string[]): Promise<void> {
  const { stdout, stderr } = await installation.cli(words);
  console.error(`$ causeway ${words.join(" ")}\n${stderr}${stdout}`);
}

/** Switches the machine of a recovery or a cutover off and removes it with its disks, if there is one. */
export async function leaveNothing(installation: Installation, owner: string): Promise<void> {
  await installation.cli(["machine", "stop", owner, "--at-once"]);
  await installation.cli(["machine", "remove", owner, "--disks"]);
}

/** Shows each state that it enters. Rejects if it takes too long, is held back, or ends before. */
async function untilCutover(
  { api }: Installation,
  id: string,
  reached: (cutover: Cutover) => boolean,
): Promise<Cutover> {
  const deadline = performance.now() + LIMIT_MS;
  let shown = "";
  for (;;) {
    const cutover = await answered(() => api.getCutover({ parameters: { id } }));
    if (cutover && cutover.state !== shown)
      console.error(`  ${new Date().toISOString().slice(11, 19)} ${cutover.state}`);
    shown = cutover?.state ?? shown;
    if (cutover && reached(cutover)) return cutover;
    const isStuck = cutover?.endedAt !== undefined || cutover?.heldBack !== undefined;
    if (isStuck || performance.now() > deadline)
      throw new Error(`the cutover did not come so far: ${JSON.stringify(cutover, null, 1)}`);
    await wait(LOOK_EVERY_MS);
  }
}
