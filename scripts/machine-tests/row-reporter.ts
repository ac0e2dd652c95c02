import type { Reporter, TestCase } from "vitest/node";
import { currentCommit, recordRun } from "./record.ts";

/** Records each test as soon as it has ended, so an interruption loses no finished test. */
export default class RowReporter implements Reporter {
  readonly #commit = currentCommit();

  onTestCaseResult(test: TestCase): void {
    const { state } = test.result();
    if (state !== "passed" && state !== "failed") return;
    recordRun({
      file: test.module.relativeModuleId,
      name: test.fullName,
      commit: currentCommit() === this.#commit ? this.#commit : `${this.#commit.split("+")[0]}+changes`,
      outcome: state,
      seconds: (test.diagnostic()?.duration ?? 0) / 1000,
      endedAt: new Date().toISOString(),
    });
  }
}
