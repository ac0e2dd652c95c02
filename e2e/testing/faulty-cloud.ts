import { currentAssembly } from "#cli/assembly.ts";
import { version } from "#cli/version.ts";
import { startCloud } from "#local/cloud.ts";
import { systemClock } from "#local/core/clock.ts";
import type { Clock } from "#local/core/service.ts";
import type { CloudOptions } from "#local/parts.ts";

const program = { name: "a test", version };

/**
 * The embedded cloud in this process, with the S3 and MQTT faults that a test chooses. For
 * `SiteOptions.start`.
 */
export function faultyCloud(faults: CloudOptions["faults"] = {}, clock: Clock = systemClock) {
  return async (dataDir: string) => {
    const assemblyDir = await currentAssembly(() => {});
    const cloud = await startCloud({ assemblyDir, dataDir, clock, program, faults });
    const token = await cloud.issueToken({
      userPoolId: cloud.output("CausewayApi", "UserPoolId"),
      clientId: cloud.output("CausewayApi", "UserPoolClientId"),
      username: "ada",
      lifetimeSeconds: 3600,
    });
    return { url: cloud.url, token, close: () => cloud.close() };
  };
}

/** The machine's time, except that a test can skip minutes. Timers that become due fire at once. */
export class SkippingClock implements Clock {
  #skippedMs = 0;
  readonly #timers = new Set<{ dueMs: number; arm: () => void }>();

  now(): number {
    return Date.now() + this.#skippedMs;
  }

  schedule(delayMs: number, run: () => void) {
    let timer = systemClock.schedule(delayMs, () => fire());
    const entry = {
      dueMs: this.now() + delayMs,
      arm: () => {
        timer.cancel();
        timer = systemClock.schedule(Math.max(0, entry.dueMs - this.now()), fire);
      },
    };
    const fire = () => {
      this.#timers.delete(entry);
      run();
    };
    this.#timers.add(entry);
    return {
      cancel: () => {
        this.#timers.delete(entry);
        timer.cancel();
      },
    };
  }

  skip(ms: number): void {
    this.#skippedMs += ms;
    for (const { arm } of [...this.#timers]) arm();
  }
}
