/** Synthesizes Causeway's cloud assembly: `cdk synth`, or `node infra/app.ts` with CDK_OUTDIR set. */
import { join } from "node:path";
import { App } from "aws-cdk-lib";
import { bundleFunctions } from "./bundle.ts";
import { causeway } from "./causeway.ts";

const app = new App();
causeway(app, await bundleFunctions(join(import.meta.dirname, "..", ".cache", "functions")));
app.synth();
