/**
 * Stands for fast-check in `npm test`: every property is tried with the same seed, so that a run that fails
 * fails again. New seeds are tried by `npm run fuzz`.
 */
import { createRequire } from "node:module";
import type * as FastCheck from "fast-check";

const real: typeof FastCheck = createRequire(import.meta.url)("fast-check");
real.configureGlobal({ ...real.readConfigureGlobal(), seed: 20_300_101 });

export default real;
