/**
 * For tests: a plan protects a mounted disk in use. Each frozen read leaves a copy of the disk, made before
 * the thaw, and each point is compared with it.
 */
import { hash } from "node:crypto";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openReadableRepository } from "#agent/cloud/readable-repository.ts";
import type { Random } from "#agent/filesystems/testing/layouts/random.ts";
import { checkRepository } from "#agent/repository/check.ts";
import { listPoints, readPoint } from "#agent/repository/points.ts";
import type { Repository } from "#agent/repository/repository.ts";
import { restoredDisk } from "#agent/restore/testing/restored-disk.ts";
import { DiskInUse, differingPages } from "#agent/tracking/testing/disk-in-use.ts";
import { FAULTY_PROGRAM } from "#agent/tracking/testing/tracked-disk.ts";
import type { Run } from "#shared/protocol/protection.ts";
import { answered } from "../site/answered.ts";
import { MAIN } from "../site/daemon.ts";
import { Site, type SiteOptions } from "./site.ts";
import { until } from "./until.ts";

const EVERY = { intervalSeconds: 30 * 86_400, retention: { last: 500 } };

export class ProtectedSite implements AsyncDisposable {
  readonly disk: DiskInUse;
  readonly site: Site;
  readonly #planId: string;
  /** Of what each point restored to when it was new. */
  readonly #digests = new Map<string, string>();
  /** Points whose copy was compared as one of a file system. */
  compared = 0;

  private constructor(disk: DiskInUse, site: Site, planId: string) {
    this.disk = disk;
    this.site = site;
    this.#planId = planId;
  }

  /** Ready once the plan has its first point. */
  static async start(random: Random, options: Pick<SiteOptions, "start"> = {}): Promise<ProtectedSite> {
    await using parts = new AsyncDisposableStack();
    const disk = parts.use(await DiskInUse.start(random));
    await mkdir(join(disk.folder, "frozen"));
    // An agent looks for the tracker's program beside its own.
    const main = join(disk.folder, "main.mjs");
    await writeFile(main, `import ${JSON.stringify(MAIN)};\n`);
    await writeFile(join(disk.folder, "causeway-tracker"), trackerOf(disk), { mode: 0o755 });
    const site = parts.use(
      await Site.start({ ...options, disks: {}, otherDisks: { sda: disk.device }, main }),
    );
    const { id } = await site.api.createPlan({ body: { sourceId: site.sourceId, ...EVERY } });
    const started = new ProtectedSite(disk, site, id);
    await until("the plan's first point", async () => (await started.#runs())[0]?.endedAt);
    parts.move();
    return started;
  }

  /**
   * Runs the plan, calls `during` with the promise of the run's end, and waits for that. `faults`: what is
   * wrong with freezes and points then; an empty text if nothing is.
   */
  async run(during: (ending: Promise<Run>) => Promise<void>): Promise<{ run: Run; faults: string }> {
    const { id } = await this.site.api.runPlan({ parameters: { id: this.#planId } });
    const ending = this.#ended(id);
    await during(ending);
    const run = await ending;
    const faults = [await this.disk.faultsOfFreezes(), await this.#faultsOfPoints()];
    for (const name of await readdir(this.#frozen))
      await rm(join(this.#frozen, name), { force: true, recursive: true });
    return { run, faults: faults.filter((fault) => fault !== "").join("; ") };
  }

  /** Everything that a point names must be there, each point as it was. Returns what is not so. */
  async faultsOfRepository(): Promise<string> {
    const repository = await this.#repository();
    const { findings } = await checkRepository({ repository });
    const faults = findings.map((finding) => JSON.stringify(finding));
    for (const [pointId, digest] of this.#digests)
      if (hash("sha256", (await restored(repository, pointId)).bytes) !== digest)
        faults.push(`${pointId} has changed`);
    return faults.join("; ");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.site[Symbol.asyncDispose]();
    await this.disk[Symbol.asyncDispose]();
  }

  get #frozen(): string {
    return join(this.disk.folder, "frozen");
  }

  #ended(id: string): Promise<Run> {
    const isEnded = (run: Run) => run.id === id && run.endedAt !== undefined;
    return until(`run ${id} to end`, async () => (await this.#runs()).find(isEnded), 300);
  }

  async #runs(): Promise<Run[]> {
    const call = { parameters: { id: this.#planId }, query: { limit: 200 } };
    return (await answered(() => this.site.api.listRuns(call)))?.items ?? [];
  }

  #repository(): Promise<Repository> {
    const { api, sourceId } = this.site;
    return openReadableRepository({
      requestAccess: () => api.openSourceData({ parameters: { id: sourceId } }),
      now: Date.now,
      random: Math.random,
    });
  }

  /**
   * The control plane must know all points of the repository, and no others; each new one must restore to the
   * copy of the disk that was made during the freeze of its run.
   */
  async #faultsOfPoints(): Promise<string> {
    const repository = await this.#repository();
    const visible = (await listPoints(repository)).sort();
    const { items } = await this.site.api.listRecoveryPoints({
      ...{ parameters: { id: this.site.sourceId }, query: { limit: 200 } },
    });
    const known = items.map(({ id }) => id).sort();
    const faults = [
      ...known.filter((id) => !visible.includes(id)).map((id) => `${id} is not in the repository`),
      ...visible.filter((id) => !known.includes(id)).map((id) => `${id} is not known`),
      ...[...this.#digests.keys()].filter((id) => !visible.includes(id)).map((id) => `${id} is lost`),
    ];
    const runs = await this.#runs();
    for (const pointId of visible) {
      if (this.#digests.has(pointId)) continue;
      const { consistency, bytes } = await restored(repository, pointId);
      this.#digests.set(pointId, hash("sha256", bytes));
      const run = runs.find((one) => one.pointId === pointId);
      if (consistency === "file-system" && run) faults.push(await this.#faultOfCopy(run, bytes));
    }
    return faults.filter((fault) => fault !== "").join("; ");
  }

  async #faultOfCopy({ pointId, result }: Run, bytes: Buffer): Promise<string> {
    const [from, until] = [result?.frozen?.from, result?.frozen?.until].map((time) => Date.parse(time ?? ""));
    const during = (await readdir(this.#frozen)).filter(
      (name) => Number(name) >= Number(from) && Number(name) <= Number(until),
    );
    const [name] = during;
    if (name === undefined || during.length > 1)
      return `${pointId} has ${during.length} copies of its freeze, ${JSON.stringify(result?.frozen)}`;
    this.compared += 1;
    const pages = differingPages(bytes, await readFile(join(this.#frozen, name)));
    return pages.length === 0 ? "" : `${pointId} is not the disk of its instant: pages ${pages.join(" ")}`;
  }
}

/** The tracker's program: with pins of its own, and a copy before each thaw, named by its time in ms. */
function trackerOf(disk: DiskInUse): string {
  const copy = `at=${disk.folder}/frozen/$(date +%s%3N); ${disk.copyTo("$at")}`;
  // Of two options of one name the last one counts.
  const call = `exec '${FAULTY_PROGRAM}' "$command" "$@" --pins '${disk.pinFolder}'`;
  return `#!/bin/sh
command=$1
shift
if [ "$command" = freeze-read ]; then ${call} --witness '${copy}'; fi
${call}
`;
}

async function restored(
  repository: Repository,
  pointId: string,
): Promise<{ consistency: string | undefined; bytes: Buffer }> {
  const [disk] = (await readPoint(repository, pointId)).disks;
  if (!disk) throw new Error(`${pointId} has no disk`);
  return { consistency: disk.consistency, bytes: await restoredDisk(repository, disk) };
}
