/**
 * One capture, restore, verification or check by the agent's code in a separate process, which starts like
 * the agent: with Node's compile cache. The first argument is the job as JSON; standard output gets the
 * result as JSON.
 */
import { enableCompileCache } from "node:module";

enableCompileCache();
await import("./agent-job.ts");
