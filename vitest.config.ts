import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { BaseSequencer } from "vitest/node";

const fixedSeed = join(import.meta.dirname, "scripts/fuzz/fixed-seed.ts");

/** Property tests are short files that take long: the last to start would leave the other core idle. */
class PropertiesFirst extends BaseSequencer {
  override async sort(files: Parameters<BaseSequencer["sort"]>[0]) {
    const isProperty = ({ moduleId }: (typeof files)[number]) => moduleId.endsWith(".fuzz.test.ts");
    const sorted = await super.sort(files);
    return [...sorted.filter(isProperty), ...sorted.filter((file) => !isProperty(file))];
  }
}

export default defineConfig({
  test: {
    sequence: { sequencer: PropertiesFirst },
    projects: [
      {
        resolve: { alias: [{ find: /^fast-check$/, replacement: fixedSeed }] },
        test: {
          name: "unit",
          include: ["{agent,bench,cli,e2e,functions,infra,local,scripts,shared,statemachines}/**/*.test.ts"],
          exclude: ["e2e/**/*.{e2e,demo,machine,campaign}.test.ts"],
          // Two cores: many files at once only makes the embedded clouds slow each other down.
          maxWorkers: 2,
          // A limit for a test that does not end, not a measure of speed: the machine can be busy.
          testTimeout: 180_000,
          hookTimeout: 180_000,
        },
      },
      {
        test: {
          name: "e2e",
          include: ["e2e/**/*.e2e.test.ts"],
          // What they do is mostly to wait: for schedules, heartbeats and restarts.
          maxWorkers: 2,
          testTimeout: 900_000,
          hookTimeout: 900_000,
        },
      },
      {
        test: {
          name: "demo",
          include: ["e2e/**/*.demo.test.ts"],
          // Real machines under emulation: one at a time, and nothing beside them.
          maxWorkers: 1,
          fileParallelism: false,
          testTimeout: 900_000,
          hookTimeout: 900_000,
        },
      },
      {
        test: {
          // Machines that restart under emulation, and campaigns: minutes each, by `npm run test:e2e`.
          name: "machines",
          include: ["e2e/**/*.{machine,campaign}.test.ts"],
          maxWorkers: 1,
          fileParallelism: false,
          testTimeout: 2_400_000,
          hookTimeout: 1_200_000,
        },
      },
    ],
  },
});
