import { join } from "node:path";
import { defineConfig } from "vitest/config";

const root = join(import.meta.dirname, "../..");

export default defineConfig({
  root,
  resolve: { alias: [{ find: /^fast-check$/, replacement: join(import.meta.dirname, "fast-check.ts") }] },
  test: {
    include: ["**/*.fuzz.test.ts"],
    exclude: ["node_modules/**"],
    setupFiles: [join(import.meta.dirname, "setup.ts")],
    maxWorkers: 1,
    // Properties end by themselves, when their time is over.
    testTimeout: 0,
    hookTimeout: 180_000,
  },
});
