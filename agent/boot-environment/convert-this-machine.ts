/** What the boot environment is for: the job that its image carries, or else a person's orders. */
import { mkdir, readFile, rm } from "node:fs/promises";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { recogniseDisks, seenDiskOf } from "#shared/domain/disk-recognition.ts";
import type { Log } from "#shared/log.ts";
import { Agent } from "../agent.ts";
import { OVERLAY_FOLDER } from "../boot-image/overlay.ts";
import type { Attestation } from "../boot-loaders/attest.ts";
import { openAgentCloud } from "../cloud/agent-cloud.ts";
import { AfterAnswer } from "../commands/after-answer.ts";
import type { Executor } from "../commands/executor.ts";
import { SwitchOff } from "../fence/switch-off.ts";
import { diskUsageOf } from "../filesystems/disk-usage.ts";
import { collectDisks } from "../inventory/disks.ts";
import { LocalBootMachine } from "../machine/boot-machine.ts";
import { Mounts } from "../machine/mounts.ts";
import { readBootId } from "../machine/system.ts";
import { type HashFilesDeps, hashStillFilesExecutor } from "../proof/hash-files-executor.ts";
import { whileStillMounted } from "../proof/still-trees.ts";
import { JOB_FILE, type Job, readJob } from "../restart/job.ts";
import { restartExecutor } from "../restart/restart-executor.ts";
import { allowOnlyToOriginal } from "../restart/restart-rules.ts";
import { captureExecutors, hashDepsOf } from "../roles/source.ts";
import { setClockForward } from "./clock.ts";
import { postponeDeadline } from "./deadline.ts";
import { diskExecutors } from "./disk-executors.ts";
import { IdleLimit } from "./idle-limit.ts";
import { JobScreen } from "./job-screen.ts";
import { restoreFirst } from "./restore-first.ts";
import { ReturnFence } from "./return-fence.ts";

declare const CAUSEWAY_VERSION: string;

/** Short enough that even a short deadline does not pass while the agent works normally. */
const POSTPONE_EVERY_MS = 20_000;
/** In memory: it is not needed after a power cut. */
const DATA_DIR = "/run/causeway/agent";
/** Below which file systems are mounted whose files are hashed. */
const HASHED = "/run/causeway/hashed";

const say = (line: string): void => console.log(line);
const log: Log = {
  info: (message) => (message in PLAIN_WORDS ? say(PLAIN_WORDS[message] ?? "") : undefined),
  warn: (message, { error, problem = error } = {}) => say(problem ? `${message}: ${problem}` : message),
  error: (message, facts) => say(`${message}: ${JSON.stringify(facts?.failure ?? facts ?? {})}`),
};
const PLAIN_WORDS: Record<string, string> = {
  connected: "Connected to the control plane.",
  "link down, reconnecting": "The control plane does not answer: retrying.",
  "command started": "Working.",
  "command succeeded": "This step is done.",
};

/** Removes the job from the overlay and returns it; from then on its identity exists only in this process. */
async function takeJob(): Promise<Job | undefined> {
  const path = join(OVERLAY_FOLDER, JOB_FILE);
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  await rm(path);
  return readJob(text);
}

/** `eth0 192.0.2.10/24` for each address at which this machine can be reached. */
function ports(): string[] {
  return Object.entries(networkInterfaces()).flatMap(([name, list]) =>
    (list ?? []).flatMap(({ internal, cidr }) => (internal || cidr === null ? [] : [`${name} ${cidr}`])),
  );
}

async function correctClock(machine: LocalBootMachine, job: Job, now: () => Date): Promise<void> {
  try {
    if (await setClockForward(machine, { clock: now(), notBefore: new Date(job.saved.savedAt) }))
      say(`This computer's clock was behind: set to ${now().toISOString()}.`);
  } catch (error) {
    // The boot state is restored whatever the clock says.
    log.warn("Continuing with a wrong clock", { error });
  }
}

function sayOthersChanges({ items }: Attestation): void {
  const changed = items.filter(({ outcome }) => outcome === "changed-by-others").map(({ name }) => name);
  if (changed.length > 0) say(`Changed by others since then, and left as it is: ${changed.join(", ")}`);
}

function openScreen(job: Job, known: readonly { name: string }[], now: () => Date): JobScreen {
  const here = new Set(known.map(({ name }) => name));
  const screen = new JobScreen({ job, disks: job.disks.filter(({ name }) => here.has(name)), say, now });
  screen.opening();
  return screen;
}

/** Hashes files as they are on the disks, for a proof. */
function hashFilesOf(
  options: Parameters<typeof hashDepsOf>[0],
  disks: HashFilesDeps["disks"],
): Executor<"hash-files"> {
  return hashStillFilesExecutor({
    ...hashDepsOf(options, disks),
    whileMounted: (known, work) => whileStillMounted(known, HASHED, work),
  });
}

/** How the boot environment ends. */
type End = "restart" | "switch-off";

/** For `/init`: the machine is to be switched off, and not to be restarted. */
const SWITCH_OFF_STATUS = 10;

async function run(job: Job): Promise<End> {
  const machine = new LocalBootMachine();
  const now = () => new Date();
  await correctClock(machine, job, now);
  const bootId = await readBootId(machine);
  const disks = await collectDisks(machine, await Mounts.read(machine), []);

  say("Restoring the boot loader to what it was.");
  const known = recogniseDisks(job.disks, disks.map(seenDiskOf));
  const own = known.map(({ path }) => path);
  const attestation = await restoreFirst(job.saved, { machine, disks, own });
  sayOthersChanges(attestation);
  say("The next start will boot the original system.");
  const screen = openScreen(job, known, now);

  const cloud = openAgentCloud(job.identity, { now, random: Math.random, log });
  const { promise: left, resolve: leave } = Promise.withResolvers<End>();
  const afterAnswer = new AfterAnswer();
  const fence = new ReturnFence(job, { machine, disks, own });
  const { outcome, items } = attestation;
  const report = { restored: outcome !== "different", bootId, items, addresses: ports() };
  await mkdir(DATA_DIR, { recursive: true, mode: 0o700 });
  const setup = { identity: job.identity, cloud, version: CAUSEWAY_VERSION, dataDir: DATA_DIR };
  // Nothing is mounted, and no other program uses the disks.
  const still = async () => known.map((disk) => ({ ...disk, isStill: true }));
  const captures = captureExecutors({
    ...setup,
    disks: still,
    usage: ({ path }) => diskUsageOf(path, machine),
  });
  const hashFiles = hashFilesOf({ ...setup, now }, still);
  const off = async () => leave("switch-off");
  const switchOff = new SwitchOff({ dataDir: DATA_DIR, fence, afterAnswer, switchOff: off });
  const agent = new Agent({
    ...setup,
    environment: "boot-environment",
    bootId: async () => bootId,
    executors: {
      "report-boot-state": async () => report,
      reboot: restartExecutor({
        ...{ bootId, afterAnswer, refusal: allowOnlyToOriginal },
        restart: async () => leave("restart"),
        onNotRestarted: async (_, error) => log.error("could not restart", { error }),
      }),
      "switch-off": switchOff.executor,
      ...screen.showing({ ...captures, ...diskExecutors({ setFence: fence.executor, hashFiles }) }),
    },
    onAcknowledged: (commandId) => afterAnswer.acknowledged(commandId),
    log,
    now,
    random: Math.random,
  });
  const idleLimit = new IdleLimit(performance.now(), (job.idleSeconds ?? job.deadlineSeconds) * 1000);
  const postponing = setInterval(() => {
    const hasRecentWork = idleLimit.isWithin(performance.now(), { working: agent.working });
    if (agent.connected && hasRecentWork)
      postponeDeadline(job.deadlineSeconds).catch((error: unknown) =>
        log.warn("could not postpone the deadline", { error }),
      );
  }, POSTPONE_EVERY_MS);
  agent.run().catch((error: unknown) => {
    log.error("The agent ended", { error: String(error) });
    leave("restart");
  });
  const end = await left;
  clearInterval(postponing);
  await agent.stop();
  say(end === "restart" ? "All done: restarting into the original system." : "All done: switching off.");
  return end;
}

async function startByHand(): Promise<void> {
  const { runByHand } = await import("./run-by-hand.ts");
  say(`causeway boot environment ${CAUSEWAY_VERSION}`);
  say(`network: ${ports().join(", ") || "none"}`);
  say("There is no job for this computer: a person started it by hand.");
  await runByHand({ version: CAUSEWAY_VERSION, dataDir: DATA_DIR, say, log });
}

/** Does the job, or what a person at the machine asks for; returns the status for `/init`. */
export async function convertThisMachine(): Promise<number> {
  const job = await takeJob();
  if (job) return (await run(job)) === "switch-off" ? SWITCH_OFF_STATUS : 0;
  await startByHand();
  return 0;
}
