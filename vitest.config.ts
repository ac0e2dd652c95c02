import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["{agent,bench,cli,functions,infra,local,scripts,shared,statemachines}/**/*.test.ts"],
    // Two cores: many files at once only makes the embedded clouds slow each other down.
    maxWorkers: 2,
    testTimeout: 20_000,
    hookTimeout: 60_000,
  },
});
