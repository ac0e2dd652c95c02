import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { IoTDataPlaneClient, PublishCommand } from "@aws-sdk/client-iot-data-plane";
import { systemClock } from "#local/core/clock.ts";
import { systemRandomness } from "#local/core/randomness.ts";
import { SessionStore } from "#local/iam/session-store.ts";
import { commandsTopic } from "#shared/protocol/topics.ts";
import type { ControlPlane } from "./control-plane.ts";

/**
 * Has an administrator's rights at the broker: it can publish anything on any agent's topic, but it cannot
 * sign.
 */
export function topicIntruder({ dir, url }: Pick<ControlPlane, "dir" | "url">) {
  const client = new IoTDataPlaneClient({
    endpoint: url,
    region: "local-1",
    credentials: stolenCredentials(join(dir, "iam.sqlite")),
  });
  return (agentId: string, message: unknown): Promise<unknown> => {
    const payload = typeof message === "string" ? message : JSON.stringify(message);
    return client.send(
      new PublishCommand({ topic: commandsTopic(agentId), qos: 1, payload: Buffer.from(payload) }),
    );
  };
}

/** Of a function that may publish. It has to have run. */
function stolenCredentials(file: string) {
  using database = new DatabaseSync(file);
  const row = database.prepare("SELECT roleArn FROM session WHERE roleArn LIKE '%DispatchCommand%'").get();
  if (!row) throw new Error("no function that sends commands has run yet");
  const sessions = new SessionStore({ file, clock: systemClock, randomness: systemRandomness });
  try {
    const session = { kind: "session", roleArn: String(row.roleArn), sessionName: "intruder", context: {} };
    return sessions.issue(session as Parameters<SessionStore["issue"]>[0], 3600);
  } finally {
    sessions.close();
  }
}
