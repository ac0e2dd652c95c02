import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { App, Validations } from "aws-cdk-lib";
import { Match, Template } from "aws-cdk-lib/assertions";
import { AwsSolutionsChecks } from "cdk-nag";
import { expect, test } from "vitest";
import { environments, type FunctionName } from "#shared/environment.ts";
import { routes } from "#shared/protocol/routes.ts";
import { causeway } from "./causeway.ts";

/** Handlers that do nothing: these tests are about the resources around them. */
function emptyBundles(): Record<FunctionName, string> {
  const root = mkdtempSync(join(tmpdir(), "causeway-infra-"));
  const folders = (Object.keys(environments) as FunctionName[]).map((name) => {
    const folder = join(root, name);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "index.mjs"), `export const handler = () => "${name}";\n`);
    return [name, folder] as const;
  });
  return Object.fromEntries(folders) as Record<FunctionName, string>;
}

function synthesize(prepare: (app: App) => void = () => {}): Map<string, Template> {
  const app = new App({ outdir: mkdtempSync(join(tmpdir(), "causeway-assembly-")) });
  prepare(app);
  causeway(app, emptyBundles());
  return new Map(app.synth().stacks.map((stack) => [stack.stackName, Template.fromJSON(stack.template)]));
}

let synthesized: Map<string, Template> | undefined;

/** The stacks' templates by name, synthesized once. */
function templates(): Map<string, Template> {
  synthesized ??= synthesize();
  return synthesized;
}

test("cdk-nag finds nothing that is not acknowledged with a reason", () => {
  synthesize((app) => Validations.of(app).addPlugins(new AwsSolutionsChecks(app)));
});

test("every route of the protocol is a route of the API, with the authorization it names", () => {
  const types = { user: "JWT", agent: "AWS_IAM", none: "NONE" };
  const api = templates().get("CausewayApi");
  const declared = Object.values(api?.findResources("AWS::ApiGatewayV2::Route") ?? {}).map(
    ({ Properties }) => `${Properties.RouteKey} ${Properties.AuthorizationType}`,
  );
  expect(declared.sort()).toEqual(
    Object.values(routes)
      .map((route) => `${route.method} ${route.path} ${types[route.auth]}`)
      .sort(),
  );
});

test("every function of the environment table is deployed once, on Node 24", () => {
  const functions = [...templates().values()].flatMap((template) =>
    Object.values(template.findResources("AWS::Lambda::Function")).map(({ Properties }) => Properties),
  );
  expect(functions.map((properties) => properties.Description).sort()).toEqual(
    Object.keys(environments)
      .map((name) => `functions/${name}`)
      .sort(),
  );
  expect(new Set(functions.map((properties) => properties.Runtime))).toEqual(new Set(["nodejs24.x"]));
});

test("an agent's data role reaches only its own prefix and its own data key", () => {
  const edge = templates().get("CausewayEdge");
  const policies = JSON.stringify(edge?.findResources("AWS::IAM::Policy"));
  const thing = "$" + "{credentials-iot:ThingName}";
  expect(policies).toContain(`/sources/${thing}/*`);
  expect(policies).toContain(`"kms:EncryptionContext:sourceId":"${thing}"`);
});

/** Every statement of every identity policy, with its resources as text. */
function identityStatements() {
  const policies = [...templates().values()].flatMap((template) =>
    Object.values(template.findResources("AWS::IAM::Policy")),
  );
  return policies.flatMap(({ Properties }) =>
    Properties.PolicyDocument.Statement.map((statement: Record<string, unknown>) => ({
      effect: statement.Effect,
      actions: [statement.Action].flat() as string[],
      // What follows the bucket's ARN.
      objects: [statement.Resource]
        .flat()
        .map((resource) => JSON.stringify(resource).match(/"\/(.*?)"\]/)?.[1]),
    })),
  ) as { effect: string; actions: string[]; objects: (string | undefined)[] }[];
}

test("the access log names route, outcome and caller", () => {
  const stages = templates().get("CausewayApi")?.findResources("AWS::ApiGatewayV2::Stage") ?? {};
  const [stage] = Object.values(stages);
  expect(JSON.parse(stage?.Properties.AccessLogSettings.Format)).toMatchObject({
    requestId: "$context.requestId",
    ip: "$context.identity.sourceIp",
    routeKey: "$context.routeKey",
    status: "$context.status",
    error: "$context.error.message",
    authorizerError: "$context.authorizer.error",
    sub: "$context.authorizer.claims.sub",
    principal: "$context.identity.userArn",
  });
});

test("the rule takes the sender from the topic, and only the event from the payload", () => {
  templates()
    .get("CausewayEdge")
    ?.hasResourceProperties("AWS::IoT::TopicRule", {
      RuleName: "agent_events",
      TopicRulePayload: { Sql: "SELECT event, topic(3) AS agentId FROM 'causeway/agents/+/events'" },
    });
});

test("no role may delete objects or change versions or the bucket, and each may create only the objects that it needs", () => {
  const statements = identityStatements();
  const s3 = statements.filter(({ actions }) => actions.some((action) => /^(s3:|\*)/.test(action)));
  expect(new Set(s3.flatMap(({ actions }) => actions))).toEqual(
    new Set(["s3:GetObject", "s3:PutObject", "s3:ListBucket", "s3:DeleteObject"]),
  );
  const deleted = s3.filter(({ actions }) => actions.includes("s3:DeleteObject"));
  expect(deleted.map(({ objects }) => objects)).toEqual([["sources/*/points/*", "sources/*/packs/*"]]);
  const thing = "$" + "{credentials-iot:ThingName}";
  const created = s3
    .filter(({ actions }) => actions.includes("s3:PutObject"))
    .flatMap(({ objects }) => objects);
  expect([...new Set(created)].sort()).toEqual(
    [
      "boot-images/*",
      `evidence/${thing}/*`,
      `sources/${thing}/boot-states/*`,
      `sources/${thing}/key.json`,
      `sources/${thing}/packs/*`,
      `sources/${thing}/points/*`,
      "sources/*/pruned/*",
      "collections/*",
    ].sort(),
  );
});

test("the bucket refuses every caller's overwrites, deletions and plain HTTP", () => {
  const policies = templates().get("CausewayData")?.findResources("AWS::S3::BucketPolicy") ?? {};
  const statements = Object.values(policies).flatMap(({ Properties }) => Properties.PolicyDocument.Statement);
  expect(
    statements.map(({ Effect, Principal, Action, Condition }) => ({ Effect, Principal, Action, Condition })),
  ).toEqual([
    {
      Effect: "Deny",
      Principal: { AWS: "*" },
      Action: "s3:*",
      Condition: { Bool: { "aws:SecureTransport": "false" } },
    },
    {
      Effect: "Deny",
      Principal: { AWS: "*" },
      Action: "s3:PutObject",
      Condition: { Null: { "s3:if-none-match": "true" } },
    },
    {
      Effect: "Deny",
      Principal: { AWS: "*" },
      Action: "s3:DeleteObject",
      Condition: { ArnNotEquals: { "aws:PrincipalArn": expect.anything() } },
    },
    { Effect: "Deny", Principal: { AWS: "*" }, Action: "s3:DeleteObject", Condition: undefined },
    { Effect: "Deny", Principal: { AWS: "*" }, Action: "s3:DeleteObjectVersion", Condition: undefined },
  ]);
});

test("a version that was replaced or deleted is kept for 30 days", () => {
  templates()
    .get("CausewayData")
    ?.hasResourceProperties("AWS::S3::Bucket", {
      VersioningConfiguration: { Status: "Enabled" },
      LifecycleConfiguration: {
        Rules: Match.arrayWith([
          Match.objectLike({ NoncurrentVersionExpiration: { NoncurrentDays: 30 }, Status: "Enabled" }),
        ]),
      },
    });
});

test("a workflow may start, describe and stop only the workflows that its definition starts", () => {
  const policies = templates().get("CausewayWorkflow")?.findResources("AWS::IAM::Policy") ?? {};
  const statements = (part: string) =>
    Object.entries(policies)
      .filter(([id]) => id.startsWith(part))
      .flatMap(([, { Properties }]) => Properties.PolicyDocument.Statement as Record<string, unknown>[]);
  const onMachines = (part: string) =>
    statements(part).filter(({ Action }) => /"(states|events):/.test(JSON.stringify(Action)));
  const others = ["HotCapture", "RemoteColdCapture", "MakeClone"];
  expect(["HotCapture", "RemoteColdCapture", "ProveClone"].flatMap(onMachines)).toEqual([]);
  for (const maker of ["MakeClone", "Recovery", "SynchronizedCutover"])
    expect(JSON.stringify(onMachines(`${maker}StateMachine`))).toContain("ProveCloneStateMachine");
  const [start, follow, rule, ...more] = onMachines("ConversionStateMachine");
  expect(more).toEqual([]);
  expect(start).toMatchObject({
    Action: "states:StartExecution",
    Resource: others.map((name) => ({ Ref: expect.stringMatching(`^${name}StateMachine`) })),
  });
  expect(follow?.Action).toEqual(["states:DescribeExecution", "states:StopExecution"]);
  for (const name of ["hot-capture", "remote-cold-capture", "make-clone"]) {
    expect(JSON.stringify(follow?.Resource)).toContain(`:execution:causeway-${name}:*`);
  }
  const [startCapture, , , ...none] = onMachines("ProtectionRunStateMachine");
  expect(none).toEqual([]);
  expect(startCapture).toMatchObject({
    Action: "states:StartExecution",
    Resource: { Ref: expect.stringMatching(/^HotCaptureStateMachine/) },
  });
  expect(rule?.Action).toEqual(["events:PutTargets", "events:PutRule", "events:DescribeRule"]);
  expect(JSON.stringify(rule?.Resource)).toContain(
    ":rule/StepFunctionsGetEventsForStepFunctionsExecutionRule",
  );
});

test("every machine may invoke the functions that its definition calls, and no others", () => {
  const template = templates().get("CausewayWorkflow");
  const machines = Object.values(template?.findResources("AWS::StepFunctions::StateMachine") ?? {});
  const policies = Object.entries(template?.findResources("AWS::IAM::Policy") ?? {});
  expect(machines).toHaveLength(12);
  for (const { Properties } of machines) {
    const role = (Properties.RoleArn["Fn::GetAtt"] as [string])[0];
    const [, policy] = policies.find(([, one]) => JSON.stringify(one).includes(`"Ref":"${role}"`)) ?? [];
    const called = Object.entries(Properties.DefinitionSubstitutions)
      .filter(([name]) => name.endsWith("FunctionArn"))
      .map(([, arn]) => arn);
    const allowed = policy?.Properties.PolicyDocument.Statement.find(
      ({ Action }: { Action: unknown }) => Action === "lambda:InvokeFunction",
    );
    expect([allowed.Resource].flat()).toEqual(called);
  }
});

test("schedules of plans and cutovers call four functions, as a role that only schedules of their group may assume", () => {
  const stack = templates().get("CausewayWorkflow");
  const roles = Object.entries(stack?.findResources("AWS::IAM::Role") ?? {});
  const [, role] = roles.find(([id]) => id.startsWith("PlanSchedulesRole")) ?? [];
  const [trust] = role?.Properties.AssumeRolePolicyDocument.Statement ?? [];
  expect(trust.Principal).toEqual({ Service: "scheduler.amazonaws.com" });
  expect(JSON.stringify(trust.Condition.StringEquals["aws:SourceArn"])).toContain(
    ":schedule-group/causeway-plans",
  );
  const passing = [...templates().values()]
    .flatMap((template) => Object.values(template.findResources("AWS::IAM::Policy")))
    .flatMap(({ Properties }) => Properties.PolicyDocument.Statement)
    .filter(({ Action }) => Action === "iam:PassRole");
  expect(holders("iam:PassRole")).toEqual([
    "AwaitCutoverStart",
    "Cutovers",
    "DrillPlan",
    "EndCutover",
    "FinishCutover",
    "FinishRun",
    "Plans",
    "RunPlan",
    "StartCutover",
    "WakeCutover",
    "WatchPlan",
  ]);
  for (const { Condition } of passing)
    expect(Condition).toEqual({ StringEquals: { "iam:PassedToService": "scheduler.amazonaws.com" } });
});

/** The functions whose rights name the action, by their construct. */
function holders(action: string): string[] {
  return [...templates().values()]
    .flatMap((template) => Object.entries(template.findResources("AWS::IAM::Policy")))
    .filter(([, policy]) => JSON.stringify(policy).includes(`"${action}"`))
    .map(([id]) => id.replace(/Role.*/, ""))
    .sort();
}

test("only the functions that raise or clear alarms publish, and the topic refuses plain HTTP", () => {
  expect(holders("sns:Publish")).toEqual([
    "AbandonConversion",
    "AbandonDrill",
    "AgentEvents",
    "Alarms",
    "AwaitCutoverStart",
    "Conversions",
    "Cutovers",
    "DrillPlan",
    "EndCheck",
    "EndCutover",
    "FinishCutover",
    "FinishRun",
    "Plans",
    "RecordRecoveryPoint",
    "RecordVerdict",
    "StartCutover",
    "WakeCutover",
    "WatchPlan",
  ]);
  const data = templates().get("CausewayData");
  data?.hasResource("AWS::SNS::Topic", {
    Properties: { SignatureVersion: "2" },
    DeletionPolicy: "Retain",
  });
  data?.hasResourceProperties("AWS::SNS::TopicPolicy", {
    PolicyDocument: {
      Statement: [
        Match.objectLike({
          Effect: "Deny",
          Principal: "*",
          Action: "sns:Publish",
          Condition: { Bool: { "aws:SecureTransport": "false" } },
        }),
      ],
    },
  });
});

test("only the function that sends notices decrypts the webhook's secret, and no role reads it otherwise", () => {
  const statements = [...templates().values()].flatMap((template) =>
    Object.entries(template.findResources("AWS::IAM::Policy")).flatMap(([id, { Properties }]) =>
      (Properties.PolicyDocument.Statement as Record<string, unknown>[])
        .filter(({ Action }) => /kms:(Encrypt|Decrypt)/.test(JSON.stringify(Action)))
        .map(({ Action, Condition }) => `${id.replace(/Role.*/, "")} ${Action} ${JSON.stringify(Condition)}`),
    ),
  );
  const forSecret = statements.filter((one) => one.includes("alarm-webhook"));
  expect(forSecret.map((one) => one.split(" ").slice(0, 2).join(" ")).sort()).toEqual([
    "Alarms kms:Encrypt",
    "PostWebhook kms:Decrypt",
  ]);
});

test("every week, checks of the repositories begin on Saturday, and collect-garbage the day after", () => {
  const schedules = templates().get("CausewayWorkflow")?.findResources("AWS::Scheduler::Schedule") ?? {};
  const started = Object.values(schedules).map(({ Properties }) => [
    Properties.ScheduleExpression,
    Properties.Target.Input,
  ]);
  expect(started.sort()).toEqual([
    ["cron(0 3 ? * SAT *)", JSON.stringify({ whole: false })],
    ["cron(0 3 ? * SUN *)", JSON.stringify({ dryRun: false })],
  ]);
});

test("only the functions that send commands sign, with a key that does nothing else", () => {
  const keys = Object.values(templates().get("CausewayData")?.findResources("AWS::KMS::Key") ?? {});
  const pair = { KeySpec: "ECC_NIST_P256", KeyUsage: "SIGN_VERIFY" };
  expect(keys.filter(({ Properties }) => Properties.KeyUsage === "SIGN_VERIFY")).toMatchObject([
    { Properties: pair, DeletionPolicy: "Retain" },
  ]);
  expect(holders("kms:Sign")).toEqual([
    "AbandonConversion",
    "AbandonDrill",
    "AbandonRecovery",
    "AbandonRun",
    "AgentEvents",
    "BeginCutoverRun",
    "Conversions",
    "Cutovers",
    "DispatchCommand",
    "Drills",
    "EndCheck",
    "EndCutover",
    "Machines",
    "MoveCutoverLease",
    "MoveLease",
    "Plans",
    "RecordProof",
    "Recoveries",
    "RollBackCutover",
    "RunPlan",
    "WakeCutover",
    "WatchPlan",
  ]);
  expect(holders("iot:Publish")).toEqual(holders("kms:Sign"));
  expect(holders("kms:GetPublicKey")).toEqual(["Enrolments"]);
});
