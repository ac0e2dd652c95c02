/** Records as the API returns them. */
import type { EventRow, ExecutionRecord, MachineRecord } from "./store.ts";

/** Times on the wire are seconds since 1970. */
export function seconds(ms: number): number {
  return ms / 1000;
}

export function listedExecution(record: ExecutionRecord): object {
  return {
    executionArn: record.arn,
    stateMachineArn: record.machineArn,
    name: record.name,
    status: record.status,
    startDate: seconds(record.startedAt),
    ...(record.stoppedAt !== null && { stopDate: seconds(record.stoppedAt) }),
    redriveCount: 0,
  };
}

export function describeExecution(record: ExecutionRecord): object {
  const { input, output, error, cause } = record;
  return {
    ...listedExecution(record),
    input,
    inputDetails: { included: true },
    ...(output !== null && { output, outputDetails: { included: true } }),
    ...(error !== null && { error }),
    ...(cause !== null && { cause }),
  };
}

export function listedMachine(record: MachineRecord): object {
  return {
    stateMachineArn: record.arn,
    name: record.name,
    type: "STANDARD",
    creationDate: seconds(record.createdAt),
  };
}

export function describeMachine(record: MachineRecord): object {
  const { definition, roleArn, revisionId } = record;
  return { ...listedMachine(record), status: "ACTIVE", definition, roleArn, revisionId };
}

export function eventOf({ id, previousEventId, at, type, details }: EventRow): object {
  return { id, previousEventId, timestamp: seconds(at), type, ...JSON.parse(details) };
}
