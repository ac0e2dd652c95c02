import { join } from "node:path";
import type { Conversion } from "#shared/protocol/resources.ts";
import { copyDisk } from "../e2e/machines/disk/copy-disk.ts";
import { Installation } from "../e2e/site/installation.ts";
import { peakKiB } from "./run-process.ts";

/** The peak resident set of a real agent since its first start. */
export interface AgentMemory {
  role: "source" | "target";
  /** The peak until it was enrolled and connected. */
  enrolledMiB: number;
  /** The peak until the end of a hot conversion: capture and commit, or writing and verifying the disk. */
  peakMiB: number;
}

/**
 * Converts the image once, from a new installation to a written and verified raw image, and returns the peaks
 * of its agents.
 */
export async function measureAgentMemory(image: string, folder: string): Promise<AgentMemory[]> {
  const installation = new Installation(folder);
  const watches: PeakWatch[] = [];
  try {
    const disk = join(folder, "source.raw");
    await copyDisk(image, disk);
    await installation.up();
    const watch = (role: AgentMemory["role"]): PeakWatch => {
      const started = new PeakWatch(role, installation.daemon(role).pid);
      watches.push(started);
      return started;
    };
    await installation.enrol("source", "source", ["--disk", `sda=${disk}`]);
    const source = watch("source");
    await installation.enrol("target", "target", ["--images", join(folder, "images")]);
    const target = watch("target");
    const { id: sourceId } = await installation.source();
    const { id: targetId } = await installation.target();
    const enrolled = [source.peakMiB(), target.peakMiB()];
    const words = ["convert", sourceId, "--type", "hot", "--target", targetId, "--format", "raw", "--wait"];
    const conversion = (await installation.json(words)) as Conversion;
    if (conversion.state !== "completed") throw new Error(`the conversion is ${conversion.state}`);
    return [source, target].map((each, at) => ({
      role: each.role,
      enrolledMiB: enrolled[at] ?? 0,
      peakMiB: each.peakMiB(),
    }));
  } finally {
    for (const each of watches) each.end();
    await installation.stop();
  }
}

const SAMPLE_MS = 50;

/** Follows a process through the programs that it executes. Each of them starts with a new peak. */
class PeakWatch {
  readonly role: AgentMemory["role"];
  readonly #pid: number;
  readonly #timer: NodeJS.Timeout;
  #highestKiB = 0;

  constructor(role: AgentMemory["role"], pid: number) {
    this.role = role;
    this.#pid = pid;
    this.#timer = setInterval(() => this.peakMiB(), SAMPLE_MS);
  }

  peakMiB(): number {
    this.#highestKiB = Math.max(this.#highestKiB, peakKiB(this.#pid));
    return this.#highestKiB / 1024;
  }

  end(): void {
    clearInterval(this.#timer);
  }
}
