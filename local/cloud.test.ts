import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { FolderInUseError, FolderTooNewError, KeysMissingError } from "#shared/data-folder/errors.ts";
import { NotRunningError, requestBackup } from "./backup/control.ts";
import { startCloud } from "./cloud.ts";
import { systemClock } from "./core/clock.ts";

const program = { name: "causeway up", version: "0.1.0" };
const directories: string[] = [];
afterEach(async () => {
  for (const directory of directories.splice(0)) await rm(directory, { recursive: true });
});

async function temporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "cloud-"));
  directories.push(directory);
  return directory;
}

const ref = (logicalId: string) => ({ Ref: logicalId });
const arnOf = (logicalId: string) => ({ "Fn::GetAtt": [logicalId, "Arn"] });

/** An API with one open and one guarded route to a function that answers with its table's name. */
const resources = {
  Table: {
    Type: "AWS::DynamoDB::Table",
    Properties: {
      BillingMode: "PAY_PER_REQUEST",
      AttributeDefinitions: [{ AttributeName: "pk", AttributeType: "S" }],
      KeySchema: [{ AttributeName: "pk", KeyType: "HASH" }],
    },
  },
  Role: {
    Type: "AWS::IAM::Role",
    Properties: {
      AssumeRolePolicyDocument: {
        Version: "2012-10-17",
        Statement: {
          Effect: "Allow",
          Principal: { Service: "lambda.amazonaws.com" },
          Action: "sts:AssumeRole",
        },
      },
    },
  },
  Function: {
    Type: "AWS::Lambda::Function",
    Properties: {
      Code: { S3Bucket: "assets", S3Key: "code.zip" },
      Handler: "index.handler",
      Runtime: "nodejs24.x",
      Role: arnOf("Role"),
      Environment: { Variables: { TABLE: ref("Table") } },
    },
  },
  Permission: {
    Type: "AWS::Lambda::Permission",
    Properties: {
      Action: "lambda:InvokeFunction",
      FunctionName: arnOf("Function"),
      Principal: "apigateway.amazonaws.com",
    },
  },
  Key: {
    Type: "AWS::KMS::Key",
    Properties: {
      KeyPolicy: {
        Version: "2012-10-17",
        Statement: {
          Effect: "Allow",
          Principal: { AWS: { "Fn::Join": ["", ["arn:aws:iam::", ref("AWS::AccountId"), ":root"]] } },
          Action: "kms:*",
          Resource: "*",
        },
      },
    },
  },
  Users: { Type: "AWS::Cognito::UserPool", Properties: {} },
  Client: { Type: "AWS::Cognito::UserPoolClient", Properties: { UserPoolId: ref("Users") } },
  Api: { Type: "AWS::ApiGatewayV2::Api", Properties: { Name: "api", ProtocolType: "HTTP" } },
  Stage: {
    Type: "AWS::ApiGatewayV2::Stage",
    Properties: { ApiId: ref("Api"), StageName: "$default", AutoDeploy: true },
  },
  Integration: {
    Type: "AWS::ApiGatewayV2::Integration",
    Properties: {
      ApiId: ref("Api"),
      IntegrationType: "AWS_PROXY",
      IntegrationUri: arnOf("Function"),
      PayloadFormatVersion: "2.0",
    },
  },
  Authorizer: {
    Type: "AWS::ApiGatewayV2::Authorizer",
    Properties: {
      ApiId: ref("Api"),
      AuthorizerType: "JWT",
      Name: "users",
      IdentitySource: ["$request.header.Authorization"],
      JwtConfiguration: {
        Audience: [ref("Client")],
        Issuer: {
          "Fn::Join": ["", ["https://cognito-idp.", ref("AWS::Region"), ".amazonaws.com/", ref("Users")]],
        },
      },
    },
  },
  Open: {
    Type: "AWS::ApiGatewayV2::Route",
    Properties: {
      ApiId: ref("Api"),
      RouteKey: "GET /open",
      Target: { "Fn::Join": ["/", ["integrations", ref("Integration")]] },
    },
  },
  Guarded: {
    Type: "AWS::ApiGatewayV2::Route",
    Properties: {
      ApiId: ref("Api"),
      RouteKey: "GET /guarded",
      AuthorizationType: "JWT",
      AuthorizerId: ref("Authorizer"),
      Target: { "Fn::Join": ["/", ["integrations", ref("Integration")]] },
    },
  },
};

const outputs = {
  Table: { Value: ref("Table") },
  Users: { Value: ref("Users") },
  Client: { Value: ref("Client") },
  Url: { Value: { "Fn::GetAtt": ["Api", "ApiEndpoint"] } },
};

async function writeAssembly(more: Record<string, unknown> = {}): Promise<string> {
  const directory = await temporaryDirectory();
  const write = (name: string, content: unknown) =>
    writeFile(join(directory, name), typeof content === "string" ? content : JSON.stringify(content));
  await mkdir(join(directory, "asset.code"));
  await write(
    "asset.code/index.mjs",
    "export const handler = async () => ({ statusCode: 200, body: process.env.TABLE });",
  );
  await write("App.template.json", { Resources: { ...resources, ...more }, Outputs: outputs });
  await write("App.assets.json", {
    version: "1",
    files: {
      code: {
        source: { path: "asset.code", packaging: "zip" },
        destinations: { a: { objectKey: "code.zip" } },
      },
    },
  });
  await write("manifest.json", {
    version: "1",
    artifacts: {
      "App.assets": { type: "cdk:asset-manifest", properties: { file: "App.assets.json" } },
      App: { type: "aws:cloudformation:stack", properties: { templateFile: "App.template.json" } },
    },
  });
  return directory;
}

test("an assembly that is started again continues with the same address, names and tokens", async () => {
  const options = {
    assemblyDir: await writeAssembly(),
    dataDir: await temporaryDirectory(),
    clock: systemClock,
    program,
  };
  const first = await startCloud(options);
  const table = first.output("App", "Table");
  expect(await (await fetch(`${first.url}/open`)).text()).toBe(table);
  expect(first.output("App", "Url")).toBe(first.url);
  expect((await fetch(`${first.url}/guarded`)).status).toBe(401);
  const token = await first.issueToken({
    userPoolId: first.output("App", "Users"),
    clientId: first.output("App", "Client"),
    username: "ada",
    lifetimeSeconds: 60,
  });
  await expect(startCloud(options)).rejects.toBeInstanceOf(FolderInUseError);
  await first.close();

  const second = await startCloud(options);
  expect(second.url).toBe(first.url);
  expect(second.output("App", "Table")).toBe(table);
  const guarded = await fetch(`${second.url}/guarded`, { headers: { authorization: `Bearer ${token}` } });
  expect([guarded.status, await guarded.text()]).toEqual([200, table]);
  expect(() => second.output("App", "Nothing")).toThrow("no output Nothing");
  await second.close();
});

test("a start that fails releases the directory", async () => {
  const dataDir = await temporaryDirectory();
  const start = (assemblyDir: string) => startCloud({ assemblyDir, dataDir, clock: systemClock, program });
  const unknown = await writeAssembly({ Queue: { Type: "AWS::SQS::Queue", Properties: {} } });
  await expect(start(unknown)).rejects.toThrow("AWS::SQS::Queue (App/Queue)");
  const cloud = await start(await writeAssembly());
  await cloud.close();
});

test("only the owner can read secret files", async () => {
  const dataDir = join(await temporaryDirectory(), "data");
  const cloud = await startCloud({
    assemblyDir: await writeAssembly(),
    dataDir,
    clock: systemClock,
    program,
  });
  await cloud.close();
  expect((await stat(dataDir)).mode & 0o777).toBe(0o700);
  const names = await readdir(dataDir, { recursive: true });
  const secrets = names.filter((name) => /keys\.json|\.pem$|iam\.sqlite/.test(name));
  expect(secrets.length).toBeGreaterThanOrEqual(3);
  for (const name of secrets.filter((secret) => !/authority\.pem$/.test(secret))) {
    expect([name, (await stat(join(dataDir, name))).mode & 0o077]).toEqual([name, 0]);
  }
});

/** Starts on the directory once, so that it holds data and keys. */
async function usedDirectory(): Promise<{ assemblyDir: string; dataDir: string }> {
  const folders = { assemblyDir: await writeAssembly(), dataDir: await temporaryDirectory() };
  await (await startCloud({ ...folders, clock: systemClock, program })).close();
  return folders;
}

test.each(["kms/keys.json", "iot/authority/authority-key.pem"])(
  "data whose keys (%s) are missing is not opened with new keys",
  async (keys) => {
    const folders = await usedDirectory();
    const saved = await readFile(join(folders.dataDir, keys));
    for (const record of ["keys-of-this-folder.json", ""]) {
      await rm(join(folders.dataDir, keys));
      await rm(join(folders.dataDir, record || "nothing"), { force: true });
      const start = startCloud({ ...folders, clock: systemClock, program });
      await expect(start).rejects.toThrow(KeysMissingError);
      await expect(stat(join(folders.dataDir, keys))).rejects.toThrow("ENOENT");
      await writeFile(join(folders.dataDir, keys), saved, { mode: 0o600 });
    }
    await (await startCloud({ ...folders, clock: systemClock, program })).close();
  },
);

test("data is not opened with another folder's keys", async () => {
  const folders = await usedDirectory();
  const other = await usedDirectory();
  await cp(join(other.dataDir, "kms"), join(folders.dataDir, "kms"), { recursive: true });
  await expect(startCloud({ ...folders, clock: systemClock, program })).rejects.toThrow(
    "its keys are another folder's: kms/keys.json",
  );
});

test("a key file that is damaged is named, and kept", async () => {
  const folders = await usedDirectory();
  const file = join(folders.dataDir, "kms", "keys.json");
  await writeFile(file, "garbage");
  await expect(startCloud({ ...folders, clock: systemClock, program })).rejects.toThrow(
    `${file} is damaged: it is not the keys of KMS`,
  );
  expect(await readFile(file, "utf8")).toBe("garbage");
});

test("a directory that a newer version wrote is refused", async () => {
  const folders = await usedDirectory();
  const older = { ...program, version: "0.0.9" };
  await expect(startCloud({ ...folders, clock: systemClock, program: older })).rejects.toThrow(
    FolderTooNewError,
  );
});

test("a backup taken while it runs starts like the original, once its keys are put back", async () => {
  const options = { ...(await usedDirectory()), clock: systemClock, program };
  const running = await startCloud(options);
  const token = await running.issueToken({
    userPoolId: running.output("App", "Users"),
    clientId: running.output("App", "Client"),
    username: "ada",
    lifetimeSeconds: 60,
  });
  const folder = await temporaryDirectory();
  const to = { data: join(folder, "data"), keys: join(folder, "keys") };
  await requestBackup(options.dataDir, to, () => {});
  await expect(requestBackup(options.dataDir, to, () => {})).rejects.toThrow(`${to.data} exists already`);
  await running.close();

  const restored = { ...options, dataDir: to.data };
  expect(await readdir(to.data, { recursive: true })).not.toContain("kms/keys.json");
  await expect(startCloud(restored)).rejects.toThrow(KeysMissingError);
  await cp(to.keys, to.data, { recursive: true });
  const copy = await startCloud(restored);
  expect(copy.url).toBe(running.url);
  const guarded = await fetch(`${copy.url}/guarded`, { headers: { authorization: `Bearer ${token}` } });
  expect([guarded.status, await guarded.text()]).toEqual([200, running.output("App", "Table")]);
  await copy.close();
});

test("a backup of a directory on which nothing runs is refused", async () => {
  const { dataDir } = await usedDirectory();
  const to = { data: join(dataDir, "data"), keys: join(dataDir, "keys") };
  await expect(requestBackup(dataDir, to, () => {})).rejects.toThrow(NotRunningError);
});
