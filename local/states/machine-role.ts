import { ACCOUNT_ID, type Roles, type SessionCaller } from "#local/core/service.ts";

/** A session of a machine's role, named after an execution or the machine itself. Throws `AwsError`. */
export function assumeMachineRole(
  roles: Roles,
  machine: { roleArn: string; machineArn: string },
  name: string,
): SessionCaller {
  return roles.assumeForService(machine.roleArn, "states.amazonaws.com", {
    sessionName: name.replace(/[^\w+=,.@-]/g, "-").slice(0, 64),
    // Trust policies name the machine on whose behalf the service may act.
    context: { "aws:SourceArn": machine.machineArn, "aws:SourceAccount": ACCOUNT_ID },
  });
}
