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
  #shownMs = 0;

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

  /** The executor of captures, which also shows what it does. */
  showing({ "capture-disk": capture, ...others }: Executors): Executors {
    return capture ? { ...others, "capture-disk": this.#shown(capture) } : others;
  }

  #shown(capture: Executor<"capture-disk">): Executor<"capture-disk"> {
    return async (input, context) => {
      const { say, now } = this.#deps;
      const { disk } = input;
      say(`Copying the disk ${disk}.`);
      this.#shownMs = now().getTime();
      const output = await capture(input, {
        ...context,
        progress: (progress) => {
          context.progress(progress);
          this.#show(disk, progress);
        },
      });
      this.#left.delete(disk);
      say(`The disk ${disk} is copied.`);
      return output;
    };
  }

  #show(disk: string, progress: Progress): void {
    const now = this.#deps.now();
    if (now.getTime() - this.#shownMs < SHOW_EVERY_MS) return;
    this.#shownMs = now.getTime();
    const others = [...this.#left].filter(([name]) => name !== disk).reduce((sum, [, size]) => sum + size, 0);
    this.#deps.say(copyingLine(progress, { disk, othersBytes: others, now }));
  }
}

/**
 * `sda: 1.0 GiB of 4.0 GiB, 50.0 MiB/s, 1 min 01 s left, restarts about 14:05 UTC`: as wide as a text
 * console. While disks of `othersBytes` wait for their turn, the time is the latest one.
 */
export function copyingLine(
  { bytesDone, bytesTotal, rateBytesPerSecond: rate, remainingSeconds }: Progress,
  { disk, othersBytes, now }: { disk: string; othersBytes: number; now: Date },
): string {
  const parts = [`${bytes(bytesDone)} of ${bytes(bytesTotal)}`, `${bytes(rate)}/s`];
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
