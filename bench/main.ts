/**
 * Compares our capture and restore with other tools in one run: `npm run bench -- [--image FILE] [--runs N]
 * [--only NAME,…] [--part PART,…] [--machine NAME,…] [--json FILE]`.
 */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { measureAdaptation } from "./adaptation.ts";
import { type AgentMemory, measureAgentMemory } from "./agent-memory.ts";
import { causeway } from "./causeway.ts";
import { measureCost } from "./cost.ts";
import { measureDelta } from "./delta.ts";
import { debianImage, describeImage } from "./image.ts";
import { measureLargeDisks } from "./large-disks.ts";
import { borg, type Contender, qemuImg, restic } from "./peers.ts";
import { formatReport, type Measured, toDelta, toRows } from "./report.ts";
import { runProcess } from "./run-process.ts";
import { measureStandbyDelta } from "./standby-delta.ts";

const { values } = parseArgs({
  options: {
    image: { type: "string" },
    runs: { type: "string", default: "3" },
    only: { type: "string" },
    part: { type: "string" },
    machine: { type: "string" },
    json: { type: "string" },
  },
});
const images = join(homedir(), ".cache", "causeway");
const cache = join(images, "bench");
const image = values.image ?? (await debianImage(images));
const runs = Number(values.runs);
const wanted = values.only?.split(",");
const USUAL_PARTS = ["tools", "delta", "agents", "large-disks", "standby", "cost"] as const;
/** The last one takes a quarter of an hour for each machine, and installs virt-v2v. */
const PARTS = [...USUAL_PARTS, "adaptation"] as const;
const parts = new Set<string>(values.part?.split(",") ?? USUAL_PARTS);
const unknown = [...parts].filter((part) => !PARTS.some((known) => known === part));
if (unknown.length > 0) throw new Error(`no part ${unknown.join(", ")}; there are ${PARTS.join(", ")}`);
const contenders = [causeway, restic, borg, qemuImg].filter(({ name }) => !wanted || wanted.includes(name));

/** One capture and one restore, whose result must equal the image. */
async function measure(contender: Contender, measured: Measured): Promise<void> {
  const folder = await mkdtemp(join(cache, `${contender.name}-`));
  try {
    // Pending writes of earlier runs would slow this run down. All contenders read the image from memory.
    await runProcess("sync", []);
    await runProcess("dd", [`if=${image}`, "of=/dev/null", "bs=1M"]);
    measured.captures.push(await contender.capture(image, folder));
    await runProcess("sync", []);
    const restored = await contender.restore(folder, join(folder, "restored"));
    // Our result is durable when the run ends. The others leave that to the system, so its time is counted
    // here for all contenders.
    const { wallSeconds, cpuSeconds } = await runProcess("sync", ["-d", restored.path]);
    measured.restores.push({
      ...restored,
      wallSeconds: restored.wallSeconds + wallSeconds,
      cpuSeconds: restored.cpuSeconds + cpuSeconds,
    });
    await runProcess("cmp", [image, restored.path]);
  } finally {
    await contender.close?.(folder);
    await rm(folder, { recursive: true, force: true });
  }
}

/** The memory of whole agents, which have links and journals. The timed processes have neither. */
async function agentMemory(): Promise<AgentMemory[]> {
  const folder = await mkdtemp(join(cache, "agents-"));
  try {
    console.error("memory of the agents over a hot conversion");
    return await measureAgentMemory(image, folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

await mkdir(cache, { recursive: true });
const results = contenders.map(({ name }): Measured => ({ name, captures: [], restores: [] }));
for (let run = 1; run <= runs && parts.has("tools"); run++) {
  // The contenders take turns, so that a noisy minute affects all of them.
  for (const [at, contender] of contenders.entries()) {
    console.error(`run ${run} of ${runs}: ${contender.name}`);
    const measured = results[at];
    if (measured) await measure(contender, measured);
  }
}
/** Whether a part that measures Causeway alone is wanted. */
const isWanted = (part: (typeof PARTS)[number]) => parts.has(part) && contenders.includes(causeway);
const compared = parts.has("tools") ? results : [];
const report = {
  image: await describeImage(image),
  runs,
  capture: toRows(compared.map(({ name, captures }) => ({ name, runs: captures }))),
  restore: toRows(compared.map(({ name, restores }) => ({ name, runs: restores }))),
  ...(isWanted("delta") ? { delta: toDelta(await measureDelta(cache, runs)) } : {}),
  agents: isWanted("agents") ? await agentMemory() : [],
  largeDisks: isWanted("large-disks") ? await measureLargeDisks(cache) : [],
  ...(isWanted("standby") ? { standby: await measureStandbyDelta(image, cache, runs) } : {}),
  ...(parts.has("adaptation")
    ? { adaptation: await measureAdaptation(cache, values.machine?.split(",") ?? []) }
    : {}),
  ...(isWanted("cost") ? { cost: await measureCost(runs) } : {}),
};
console.log(formatReport(report));
if (values.json) await writeFile(values.json, `${JSON.stringify(report, null, 2)}\n`);
