import type { CommandInput } from "#shared/protocol/commands.ts";
import type { Progress } from "#shared/protocol/common.ts";
import { ownerKind } from "#shared/protocol/ids.ts";
import { bytes, duration } from "#shared/units.ts";
import type { Executor, Executors } from "../commands/executor.ts";
import { printable } from "../hooks/printable.ts";
import type { Job } from "../restart/job.ts";

/** A line on the screen this often is enough to see that the computer works. */
const SHOW_EVERY_MS = 10_000;

/** A rate that is still close to zero gives no forecast. */
const LONGEST_FORECAST_SECONDS = 30 * 24 * 3600;

export interface JobScreenDeps {
  job: Pick<Job, "conversionId" | "requestedBy" | "deadlineSeconds" | "idleSeconds">;
  /** The disks of the job that are here. */
  disks: readonly { name: string; sizeBytes: number }[];
  say: (line: string) => void;
  now: () => Date;
}

/**
 * What a person reads who stands before a computer that has restarted into the boot environment: whose job
 * this is, how far it is, and when the computer's own system starts again.
 */
export class JobScreen {
  readonly #deps: JobScreenDeps;
  /** Disks that are not copied yet. */
  readonly #left: Map<string, number>;

  constructor(deps: JobScreenDeps) {
    this.#deps = deps;
    this.#left = new Map(deps.disks.map(({ name, sizeBytes }) => [name, sizeBytes]));
  }

  opening(): void {
    const { job, say } = this.#deps;
    const { conversionId, idleSeconds = job.deadlineSeconds } = job;
    const isCutover = ownerKind(conversionId) === "cutover";
    const by = printable(job.requestedBy).replaceAll(/\s+/g, " ");
    const limit = `${Math.ceil(idleSeconds / 60)} min`;
    say("");
    say("Causeway is copying this computer's disks. Please leave it on.");
    say(
      isCutover
        ? "When another machine runs in its place, it is switched off; else it restarts into its own system."
        : "When the copy is complete, the computer restarts into its own system by itself.",
    );
    say(`${isCutover ? "Cutover" : "Conversion"} ${conversionId}, requested by ${by}`);
    say(`If the control plane gives it no work for ${limit}, it restarts all the same.`);
    say("");
  }

  /** The executors, of which those that take long also show what they do. */
  showing({
    "capture-disk": capture,
    "take-recovery-point": take,
    "hash-files": hash,
    ...others
  }: Executors): Executors {
    return {
      ...others,
      ...(capture && { "capture-disk": this.#shown(capture, this.#ofConversion()) }),
      ...(take && { "take-recovery-point": this.#shown(take, OF_CUTOVER) }),
      ...(hash && { "hash-files": this.#shown(hash, OF_PROOF) }),
    };
  }

  /** A conversion copies one disk after the other, and then the computer restarts. */
  #ofConversion(): Words<"capture-disk"> {
    return {
      begins: ({ disk }) => `Copying the disk ${disk}.`,
      works: ({ disk }, progress, now) => {
        const others = [...this.#left].filter(([name]) => name !== disk);
        const othersBytes = others.reduce((sum, [, size]) => sum + size, 0);
        return copyingLine(progress, { disk, othersBytes, now });
      },
      ends: ({ disk }) => {
        this.#left.delete(disk);
        return `The disk ${disk} is copied.`;
      },
    };
  }

  #shown<K extends ShownKind>(executor: Executor<K>, { begins, works, ends }: Words<K>): Executor<K> {
    return async (input, context) => {
      const { say, now } = this.#deps;
      say(begins(input));
      let shownMs = now().getTime();
      const output = await executor(input, {
        ...context,
        progress: (progress) => {
          context.progress(progress);
          const time = now();
          if (time.getTime() - shownMs < SHOW_EVERY_MS) return;
          shownMs = time.getTime();
          say(works(input, progress, time));
        },
      });
      say(ends(input));
      return output;
    };
  }
}

type ShownKind = "capture-disk" | "take-recovery-point" | "hash-files";

/** What the screen says of a command. */
interface Words<K extends ShownKind> {
  begins: (input: CommandInput<K>) => string;
  works: (input: CommandInput<K>, progress: Progress, now: Date) => string;
  ends: (input: CommandInput<K>) => string;
}

/** A cutover reads all disks as one. What follows is decided elsewhere, so no time of a restart is known. */
const OF_CUTOVER: Words<"take-recovery-point"> = {
  begins: ({ disks }) => `Copying what has changed on ${disks.join(", ")}.`,
  works: ({ disks }, progress) => {
    const { note = disks.join(", "), remainingSeconds } = progress;
    const left = remainingSeconds === undefined ? [] : [`${duration(remainingSeconds)} left`];
    return `${note}: ${[...amounts(progress), ...left].join(", ")}`;
  },
  ends: () => "What has changed is copied.",
};

/** How many files there are is not known before all were read, or the time for it is over. */
const OF_PROOF: Words<"hash-files"> = {
  begins: ({ budgetSeconds }) =>
    `Reading files, at most ${duration(budgetSeconds)}, so that they can be compared with the copy.`,
  works: (_, { bytesDone, rateBytesPerSecond: rate }) => `${bytes(bytesDone)} read, ${bytes(rate)}/s`,
  ends: () => "The files are read.",
};

function amounts({ bytesDone, bytesTotal, rateBytesPerSecond: rate }: Progress): string[] {
  return [`${bytes(bytesDone)} of ${bytes(bytesTotal)}`, `${bytes(rate)}/s`];
}

/**
 * `sda: 1.0 GiB of 4.0 GiB, 50.0 MiB/s, 1 min 01 s left, restarts about 14:05 UTC`: as wide as a text
 * console. While disks of `othersBytes` wait for their turn, the time is the latest one.
 */
export function copyingLine(
  progress: Progress,
  { disk, othersBytes, now }: { disk: string; othersBytes: number; now: Date },
): string {
  const { remainingSeconds, rateBytesPerSecond: rate } = progress;
  const parts = amounts(progress);
  const seconds = (remainingSeconds ?? Number.NaN) + othersBytes / rate;
  if (remainingSeconds === undefined || !(seconds < LONGEST_FORECAST_SECONDS))
    return `${disk}: ${parts.join(", ")}`;
  parts.push(`${duration(remainingSeconds)} left`);
  const start = new Date(now.getTime() + seconds * 1000);
  const when = `${othersBytes > 0 ? "by" : "about"} ${hourAndMinute(start, now)}`;
  return `${disk}: ${parts.join(", ")}, restarts ${when}`;
}

/** `14:05 UTC`, with the date if it is another day. */
function hourAndMinute(time: Date, now: Date): string {
  const [day, clock] = time.toISOString().split("T");
  const minute = `${clock?.slice(0, 5)} UTC`;
  return now.toISOString().startsWith(day ?? "") ? minute : `${minute} on ${day}`;
}
