// biome-ignore-all lint/suspicious/noTemplateCurlyInString: policies and templates are written so.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import type { ProvisionedResource, Resource, ResourceProvider } from "../core/service.ts";
import { readCloudAssembly } from "./cloud-assembly.ts";
import { generatedName } from "./generated-name.ts";
import { LogGroupProvider } from "./log-group-provider.ts";
import { provisionAssembly } from "./provision.ts";

const directories: string[] = [];
afterEach(async () => {
  for (const directory of directories.splice(0)) await rm(directory, { recursive: true });
});

/** Records each creation request. Every thing has an ARN and a `Sub.Attribute`. */
class ThingProvider implements ResourceProvider {
  readonly types = ["Test::Thing"];
  readonly created: Resource[] = [];

  async provision(resource: Resource): Promise<ProvisionedResource> {
    if (resource.properties.Fail) throw new Error("the thing failed");
    this.created.push(resource);
    const name = resource.logicalId.toLowerCase();
    return { ref: name, attributes: { Arn: `arn:thing/${name}`, "Sub.Attribute": `${name}-sub` } };
  }
}

interface TestTemplate {
  Resources?: Record<string, object>;
  [section: string]: unknown;
}

/** Writes an assembly with one stack for each template; each stack depends on those named in `dependsOn`. */
async function assemblyOf(
  templates: Record<string, TestTemplate>,
  dependsOn: Record<string, string[]> = {},
): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "assembly-"));
  directories.push(directory);
  const artifacts: Record<string, unknown> = {
    Tree: { type: "cdk:tree", properties: { file: "tree.json" } },
  };
  for (const [name, template] of Object.entries(templates)) {
    await writeFile(join(directory, `${name}.template.json`), JSON.stringify(template));
    artifacts[name] = {
      type: "aws:cloudformation:stack",
      properties: { templateFile: `${name}.template.json` },
      dependencies: dependsOn[name] ?? [],
    };
  }
  await writeFile(join(directory, "manifest.json"), JSON.stringify({ version: "55.0.0", artifacts }));
  return directory;
}

async function run(...arguments_: Parameters<typeof assemblyOf>) {
  const things = new ThingProvider();
  const assembly = await readCloudAssembly(await assemblyOf(...arguments_));
  const stacks = await provisionAssembly(assembly, [things, new LogGroupProvider()]);
  return { things, stacks };
}

/** Resolves the properties of a thing in a template that also defines a thing called `Other`. */
async function resolve(value: unknown, sections: TestTemplate = {}): Promise<unknown> {
  const Resources = { Thing: { Type: "Test::Thing", Properties: { value } }, Other: { Type: "Test::Thing" } };
  const { things } = await run({
    Stack: { ...sections, Resources: { ...Resources, ...sections.Resources } },
  });
  return things.created.find(({ logicalId }) => logicalId === "Thing")?.properties.value;
}

test("stacks, and the resources in each, come in the order of their dependencies", async () => {
  const thing = (Properties: object = {}, DependsOn?: string) => ({
    Type: "Test::Thing",
    Properties,
    ...(DependsOn && { DependsOn }),
  });
  const { things } = await run(
    {
      Api: { Resources: { Last: thing() } },
      Data: {
        Resources: {
          A: thing({ of: { "Fn::GetAtt": ["B", "Arn"] } }),
          B: thing({ of: { "Fn::Sub": "x-${C}" } }),
          C: thing({}, "D"),
          D: thing(),
          Metadata: { Type: "AWS::CDK::Metadata" },
        },
      },
    },
    { Api: ["Data"] },
  );
  expect(things.created.map(({ logicalId }) => logicalId)).toEqual(["D", "C", "B", "A", "Last"]);
});

test.each<[string, unknown, unknown]>([
  ["Ref", { Ref: "Other" }, "other"],
  ["Ref of a pseudo parameter", { Ref: "AWS::Region" }, "local-1"],
  ["Ref of the stack's name", { Ref: "AWS::StackName" }, "Stack"],
  ["Fn::GetAtt", { "Fn::GetAtt": ["Other", "Arn"] }, "arn:thing/other"],
  ["Fn::GetAtt with dots", { "Fn::GetAtt": "Other.Sub.Attribute" }, "other-sub"],
  [
    "Fn::Sub",
    { "Fn::Sub": "${AWS::Partition}:${Other}:${Other.Arn}:${!Literal}" },
    "aws:other:arn:thing/other:${Literal}",
  ],
  [
    "Fn::Sub with variables",
    { "Fn::Sub": ["${a}-${Other}", { a: { Ref: "AWS::AccountId" } }] },
    "000000000000-other",
  ],
  ["Fn::Join", { "Fn::Join": ["/", ["a", { Ref: "Other" }]] }, "a/other"],
  [
    "Fn::Select of Fn::Split",
    { "Fn::Select": [1, { "Fn::Split": ["/", { "Fn::GetAtt": ["Other", "Arn"] }] }] },
    "other",
  ],
  ["Fn::Base64", { "Fn::Base64": "a" }, "YQ=="],
  ["Fn::FindInMap", { "Fn::FindInMap": ["Sizes", { Ref: "AWS::Region" }, "large"] }, 7],
  ["Fn::If that holds", { "Fn::If": ["Local", "yes", "no"] }, "yes"],
  ["Fn::If that does not", { "Fn::If": ["NotLocal", "yes", "no"] }, "no"],
  ["a parameter's default", { Ref: "Size" }, "small"],
  ["AWS::NoValue in an object", { a: 1, b: { Ref: "AWS::NoValue" } }, { a: 1 }],
  ["AWS::NoValue in a list", [1, { "Fn::If": ["Local", { Ref: "AWS::NoValue" }, 2] }], [1]],
])("%s resolves", async (_, value, expected) => {
  const Local = { "Fn::Equals": [{ Ref: "AWS::Region" }, "local-1"] };
  const sections = {
    Mappings: { Sizes: { "local-1": { large: 7 } } },
    Conditions: { Local, NotLocal: { "Fn::Not": [{ "Fn::And": [{ Condition: "Local" }, Local] }] } },
    Parameters: { Size: { Type: "String", Default: "small" } },
  };
  expect(await resolve(value, sections)).toEqual(expected);
});

test.each<[string, unknown, string]>([
  [
    "an unknown intrinsic",
    { "Fn::Cidr": ["10.0.0.0/8", 1, 1] },
    "Stack/Thing: the embedded cloud does not support the intrinsic function Fn::Cidr",
  ],
  [
    "an unknown attribute",
    { "Fn::GetAtt": ["Other", "Nope"] },
    "Stack/Thing: Other (Test::Thing) has no attribute Nope",
  ],
  ["an unknown reference", { Ref: "Missing" }, "Stack/Thing: refers to Missing"],
  ["an unknown export", { "Fn::ImportValue": "Nothing" }, "Stack/Thing: no stack exports Nothing"],
  ["a join of objects", { "Fn::Join": ["", [{ a: 1 }]] }, "Stack/Thing: Fn::Join needs a string"],
])("%s is an error that names the resource", async (_, value, message) => {
  await expect(resolve(value)).rejects.toThrow(message);
});

test("outputs reach other stacks as exports and as stack outputs", async () => {
  const { things, stacks } = await run(
    {
      User: {
        Resources: {
          Thing: {
            Type: "Test::Thing",
            Properties: {
              imported: { "Fn::ImportValue": "Data:Arn" },
              read: { "Fn::GetStackOutput": { StackName: "Data", OutputName: "Arn" } },
            },
          },
        },
      },
      Data: {
        Resources: { Source: { Type: "Test::Thing" } },
        Outputs: {
          Arn: {
            Value: { "Fn::GetAtt": ["Source", "Arn"] },
            Export: { Name: { "Fn::Sub": "${AWS::StackName}:Arn" } },
          },
        },
      },
    },
    { User: ["Data"] },
  );
  expect(things.created.at(-1)?.properties).toEqual({
    imported: "arn:thing/source",
    read: "arn:thing/source",
  });
  expect(stacks.get("Data")?.outputs).toEqual({ Arn: "arn:thing/source" });
});

test("a resource whose condition does not hold is not created", async () => {
  const { things } = await run({
    Stack: {
      Conditions: { Never: { "Fn::Equals": ["a", "b"] } },
      Resources: { Thing: { Type: "Test::Thing", Condition: "Never" } },
    },
  });
  expect(things.created).toEqual([]);
});

test("every unknown resource type is listed before anything is created", async () => {
  const Resources = {
    Thing: { Type: "Test::Thing" },
    Queue: { Type: "AWS::SQS::Queue" },
    Topic: { Type: "AWS::SNS::Topic" },
  };
  const things = new ThingProvider();
  const assembly = await readCloudAssembly(await assemblyOf({ Stack: { Resources } }));
  await expect(provisionAssembly(assembly, [things])).rejects.toThrow(
    /AWS::SQS::Queue \(Stack\/Queue\), AWS::SNS::Topic \(Stack\/Topic\)/,
  );
  expect(things.created).toEqual([]);
});

test("a failing provider's error names the resource", async () => {
  const Resources = { Thing: { Type: "Test::Thing", Properties: { Fail: true } } };
  await expect(run({ Stack: { Resources } })).rejects.toThrow("Stack/Thing (Test::Thing): the thing failed");
});

test("a cycle of resources is an error", async () => {
  const Resources = {
    A: { Type: "Test::Thing", Properties: { of: { Ref: "B" } } },
    B: { Type: "Test::Thing", DependsOn: ["A"] },
  };
  await expect(run({ Stack: { Resources } })).rejects.toThrow("dependency cycle: A -> B -> A");
});

test("an asset's key leads to its directory", async () => {
  const directory = await assemblyOf({});
  const files = {
    abc: {
      source: { path: "asset.abc", packaging: "zip" },
      destinations: { here: { objectKey: "abc.zip" } },
    },
  };
  await writeFile(join(directory, "S.assets.json"), JSON.stringify({ version: "1", files }));
  const artifacts = { "S.assets": { type: "cdk:asset-manifest", properties: { file: "S.assets.json" } } };
  await writeFile(join(directory, "manifest.json"), JSON.stringify({ version: "1", artifacts }));
  const { assets } = await readCloudAssembly(directory);
  expect(assets.directoryFor("abc.zip")).toBe(join(directory, "asset.abc"));
  expect(() => assets.directoryFor("other.zip")).toThrow("no asset with the key other.zip");
});

test("a log group's ARN covers its streams", async () => {
  const { stacks } = await run({
    Stack: { Resources: { Log: { Type: "AWS::Logs::LogGroup", Properties: { RetentionInDays: "30" } } } },
  });
  const name = generatedName("Stack", "Log");
  expect(stacks.get("Stack")?.resources.Log).toEqual({
    ref: name,
    attributes: { Arn: `arn:aws:logs:local-1:000000000000:log-group:${name}:*` },
  });
});

test("generated names are stable, distinct, and fit the strictest service", () => {
  const long = "A".repeat(300);
  expect(generatedName("My_Stack", "Thing1F")).toMatch(/^my-stack-thing1f-[0-9a-f]{10}$/);
  expect(generatedName(long, long)).toMatch(/^[a-z0-9-]{3,63}$/);
  expect(generatedName("A", "BC")).not.toBe(generatedName("AB", "C"));
});
