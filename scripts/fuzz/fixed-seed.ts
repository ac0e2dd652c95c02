/**
 * Replaces fast-check in `npm test`. It runs every property with the same seed, so that a failing run fails
 * again. `npm run fuzz` tries new seeds.
 */
import { createRequire } from "node:module";
import type * as FastCheck from "fast-check";

const real: typeof FastCheck = createRequire(import.meta.url)("fast-check");
real.configureGlobal({ ...real.readConfigureGlobal(), seed: 20_300_101 });

export default real;
