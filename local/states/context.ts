import type { Execution } from "./execution.ts";
import type { Cursor, MapItem } from "./frames.ts";

/** `$states.context` in a branch. `token` belongs to the task being created, `item` to the iteration. */
export function contextObject(
  execution: Execution,
  cursor: Cursor,
  token?: string,
  item: MapItem | undefined = itemOf(cursor),
): Record<string, unknown> {
  const { activity } = cursor.branch;
  return {
    Execution: {
      Id: execution.arn,
      Input: execution.input,
      Name: execution.name,
      RoleArn: execution.roleArn,
      StartTime: new Date(execution.startedAt).toISOString(),
      RedriveCount: 0,
    },
    State: {
      Name: activity.state,
      EnteredTime: new Date(activity.enteredAt).toISOString(),
      RetryCount: activity.retryCount,
    },
    StateMachine: { Id: execution.machineArn, Name: execution.machineName },
    ...(token !== undefined && { Task: { Token: token } }),
    ...(item && { Map: { Item: { Index: item.index, Value: item.value } } }),
  };
}

/** The innermost iteration around a branch. */
function itemOf(cursor: Cursor): MapItem | undefined {
  return cursor.branch.item ?? (cursor.parent && itemOf(cursor.parent));
}
