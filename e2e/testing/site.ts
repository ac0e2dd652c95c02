import { globSync, readFileSync, statSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ApiClient, createApiClient } from "#shared/protocol/client.ts";
import type { CommandKind } from "#shared/protocol/commands.ts";
import type { Conversion, NewConversion } from "#shared/protocol/resources.ts";
import { answered } from "../site/answered.ts";
import { firstDifference } from "../site/compare.ts";
import { CONNECT_LIMIT_MS, Installation } from "../site/installation.ts";
import { writeTestDisk } from "./disk-content.ts";
import { until } from "./until.ts";

export interface SiteOptions {
  /** Sizes of the source's disks, in bytes. */
  disks: Record<string, number>;
  /** Further existing disks of the source, by name. */
  otherDisks?: Record<string, string>;
  /** The target host's folder for images. By default a separate folder. */
  imagesDir?: string;
  /** The program of the command line and of the agents; by default that of this checkout. */
  main?: string;
  /** Starts the control plane. By default it is a separate process. */
  start?: (dir: string) => Promise<{ url: string; token: string; close: () => Promise<void> }>;
}

/**
 * A control plane, a source with test disks and a target host, ready to convert, all in one folder, which is
 * removed when the site closes.
 */
export class Site implements AsyncDisposable {
  readonly dir: string;
  readonly imagesDir: string;
  readonly installation: Installation;
  sourceId = "";
  targetId = "";
  #close = async () => {};

  private constructor(dir: string, imagesDir: string, main?: string) {
    this.dir = dir;
    this.imagesDir = imagesDir;
    this.installation = new Installation(dir, main);
  }

  static async start({ disks, otherDisks = {}, imagesDir, main, start }: SiteOptions): Promise<Site> {
    const dir = await mkdtemp(join(tmpdir(), "causeway-site-"));
    const site = new Site(dir, imagesDir ?? join(dir, "images"), main);
    try {
      if (start) {
        const { close, ...endpoint } = await start(join(dir, "cloud"));
        site.#close = close;
        site.installation.use(endpoint);
      } else await site.installation.up();
      for (const [name, sizeBytes] of Object.entries(disks))
        await writeTestDisk(site.diskPath(name), sizeBytes, name);
      const paths = {
        ...Object.fromEntries(Object.keys(disks).map((name) => [name, site.diskPath(name)])),
        ...otherDisks,
      };
      const options = Object.entries(paths).flatMap(([name, path]) => ["--disk", `${name}=${path}`]);
      await site.installation.enrol("source", "source", options);
      await site.installation.enrol("target", "target", ["--images", site.imagesDir]);
      site.sourceId = await site.#connected("listSources");
      site.targetId = await site.#connected("listTargets");
      return site;
    } catch (error) {
      await site[Symbol.asyncDispose]();
      throw error;
    }
  }

  get api(): ApiClient {
    const { url, token } = this.installation;
    return createApiClient({
      url,
      authorize: async ({ headers }) => ({ ...headers, authorization: `Bearer ${token}` }),
    });
  }

  diskPath(name: string): string {
    return join(this.dir, `${name}.img`);
  }

  /** Starts the conversion of one disk and returns its id. */
  async convert(disk: string, options: Partial<NewConversion> = {}): Promise<string> {
    const { sourceId, targetId } = this;
    const body = {
      type: "hot" as const,
      sourceId,
      targetId,
      disks: [disk],
      format: "raw" as const,
      ...options,
    };
    return (await this.api.startConversion({ body })).id;
  }

  async conversion(id: string): Promise<Conversion> {
    return this.api.getConversion({ parameters: { id } });
  }

  /** Waits for the conversion's end, even through outages of the control plane. */
  ended(id: string, seconds = 120): Promise<Conversion> {
    return until(
      `the end of ${id}`,
      async () => {
        const conversion = await answered(() => this.conversion(id));
        return conversion?.endedAt ? conversion : undefined;
      },
      seconds,
    );
  }

  /**
   * How many times an agent began (or ended) a command of this kind for a conversion, according to its log.
   */
  count(what: "started" | "succeeded" | "failed" | "stopped", id: string, kind: CommandKind): number {
    const agent = kind === "take-recovery-point" || kind === "hash-files" ? "source" : "target";
    return readFileSync(join(this.dir, `${agent}.log`), "utf8")
      .split("\n")
      .filter((line) => line.includes(`"command ${what}"`) && line.includes(`"${id}.${kind}.`)).length;
  }

  /** Waits until an agent has begun a command of this kind, counted over its restarts. */
  async began(id: string, kind: CommandKind, times = 1): Promise<void> {
    await until(`${kind} of ${id} to begin`, () => this.count("started", id, kind) >= times || undefined);
  }

  /** The bytes of all packs in the bucket. */
  packBytes(): number {
    const packs = globSync("s3/buckets/*/sources/*/packs/*", { cwd: join(this.dir, "cloud") });
    return packs.reduce((sum, path) => sum + statSync(join(this.dir, "cloud", path)).size, 0);
  }

  /** Bytes that the target host has written of a disk, so far. */
  writtenBytes(id: string, disk: string): number {
    const path = `${this.imagePath(id, disk)}.partial`;
    return (statSync(path, { throwIfNoEntry: false })?.blocks ?? 0) * 512;
  }

  /** What the target host keeps of a conversion. */
  async images(id: string): Promise<string[]> {
    return readdir(join(this.imagesDir, id)).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return [];
      throw error;
    });
  }

  imagePath(id: string, disk: string): string {
    return join(this.imagesDir, id, `${disk}.raw`);
  }

  /**
   * The first offset at which a conversion's copy differs from the disk now; `undefined` if they are equal.
   */
  difference(id: string, disk: string): Promise<number | undefined> {
    return firstDifference(this.diskPath(disk), this.imagePath(id, disk));
  }

  /** Waits until both agents have finished every command for an ended conversion and keep nothing of it. */
  async released(id: string): Promise<void> {
    await until(`the source to be free of ${id}`, async () => {
      const source = await this.api.getSource({ parameters: { id: this.sourceId } });
      return source.activeConversionId === undefined ? true : undefined;
    });
    const journals = join(this.dir, "source", "captures", id);
    await until(`the source to forget ${id}`, () =>
      statSync(journals, { throwIfNoEntry: false }) ? undefined : true,
    );
    await until(`the target to forget ${id}`, async () =>
      (await this.images(id)).length === 0 ? true : undefined,
    );
  }

  async kill(...names: string[]): Promise<void> {
    await this.installation.kill(...names);
  }

  async restart(...names: string[]): Promise<void> {
    for (const name of names) {
      if (name === "cloud") await this.installation.up();
      else this.installation.startAgent(name);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.installation.stop();
    await this.#close();
    await rm(this.dir, { recursive: true, force: true });
  }

  #connected(list: "listSources" | "listTargets"): Promise<string> {
    return until(
      `an agent among ${list}`,
      async () => {
        const { items } = await this.api[list]({});
        return items.find(({ presence, inventory }) => presence === "connected" && inventory)?.id;
      },
      CONNECT_LIMIT_MS / 1000,
    ).catch((cause: unknown) => {
      throw new Error(`${String(cause)}; the logs end with\n${this.installation.lastWords()}`, { cause });
    });
  }
}
