import { AwsError } from "../../core/aws-error.ts";
import type { AssumeOptions, Credentials, Roles, SessionCaller } from "../../core/service.ts";

/** One role, which the credentials provider may assume. */
export class TestRoles implements Roles {
  readonly roleArn = "arn:aws:iam::000000000000:role/agent-data";
  readonly sessions: SessionCaller[] = [];
  assumable = true;

  assumeForService(roleArn: string, service: string, options: AssumeOptions): SessionCaller {
    if (!this.assumable || roleArn !== this.roleArn || service !== "credentials.iot.amazonaws.com") {
      throw new AwsError("AccessDenied", "not this role", 403);
    }
    const { sessionName, context = {} } = options;
    const session: SessionCaller = {
      kind: "session",
      arn: roleArn,
      roleArn,
      sessionName,
      policies: [],
      context,
    };
    this.sessions.push(session);
    return session;
  }

  issueCredentials(session: SessionCaller, durationSeconds: number): Credentials {
    return {
      accessKeyId: "ASIATEST",
      secretAccessKey: "secret",
      sessionToken: session.sessionName,
      expiresAt: Date.UTC(2030, 0, 1) + durationSeconds * 1000,
    };
  }
}
