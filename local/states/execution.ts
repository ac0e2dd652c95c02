import type { Frames } from "./frames.ts";

/** A running execution, as the store keeps it. */
export interface Execution {
  arn: string;
  name: string;
  machineArn: string;
  machineName: string;
  roleArn: string;
  input: unknown;
  /** Milliseconds since 1970. */
  startedAt: number;
  eventCount: number;
  frames: Frames;
}
