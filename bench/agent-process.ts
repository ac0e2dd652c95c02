/**
 * One capture, restore, verification or check by the agent's own code, as a process of its own, started as
 * the agent is: with Node's compile cache. The job comes as JSON in the first argument; the result goes to
 * standard output as JSON.
 */
import { enableCompileCache } from "node:module";

enableCompileCache();
await import("./agent-job.ts");
