import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { App, Validations } from "aws-cdk-lib";
import { Template } from "aws-cdk-lib/assertions";
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

test("cdk-nag finds nothing that is not acknowledged with a reason", () => {
  synthesize((app) => Validations.of(app).addPlugins(new AwsSolutionsChecks(app)));
});

test("every route of the protocol is a route of the API, with the authorization it names", () => {
  const types = { user: "JWT", agent: "AWS_IAM", none: "NONE" };
  const api = synthesize().get("CausewayApi");
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
  const functions = [...synthesize().values()].flatMap((template) =>
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
  const edge = synthesize().get("CausewayEdge");
  const policies = JSON.stringify(edge?.findResources("AWS::IAM::Policy"));
  const thing = "$" + "{credentials-iot:ThingName}";
  expect(policies).toContain(`/sources/${thing}/*`);
  expect(policies).toContain(`"kms:EncryptionContext:sourceId":"${thing}"`);
  expect(policies).not.toContain("s3:DeleteObject");
});
