/** Synthesizes Causeway's cloud assembly: `cdk synth`, or `node infra/app.ts` with CDK_OUTDIR set. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { App } from "aws-cdk-lib";
import { bundleFunctions } from "./bundle.ts";
import { causeway } from "./causeway.ts";

// A folder of its own: two syntheses may run at once, and CDK copies the bundles from here.
const bundles = mkdtempSync(join(tmpdir(), "causeway-functions-"));
try {
  const app = new App();
  causeway(app, await bundleFunctions(bundles));
  app.synth();
} finally {
  rmSync(bundles, { recursive: true, force: true });
}
