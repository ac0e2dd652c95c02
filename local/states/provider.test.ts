import { expect, test } from "vitest";
import { StateMachineProvider } from "./provider.ts";
import { ROLE, World } from "./testing/states-world.ts";

const definition = (output: string) =>
  JSON.stringify({
    QueryLanguage: "JSONata",
    StartAt: "A",
    States: { A: { Type: "Succeed", Output: output } },
  });
const placeholder = (name: string) => `\${${name}}`;
const resource = (properties: object) => ({
  type: "AWS::StepFunctions::StateMachine",
  stack: "workflows",
  logicalId: "Machine",
  generatedName: "workflows-machine",
  properties: { DefinitionString: definition("a"), RoleArn: ROLE, ...properties },
});

test("a template's machine gets its substitutions, its name and the ARN as Ref", async () => {
  const world = new World();
  const provider = new StateMachineProvider(world.engine);
  const { ref, attributes } = await provider.provision(
    resource({
      DefinitionString: definition(placeholder("Greeting")),
      DefinitionSubstitutions: { Greeting: "hello" },
      StateMachineName: "greeter",
      StateMachineType: "STANDARD",
      LoggingConfiguration: { Level: "ALL", IncludeExecutionData: true, Destinations: [{}] },
      TracingConfiguration: { Enabled: true },
      Tags: [{ Key: "a", Value: "b" }],
      EncryptionConfiguration: { Type: "AWS_OWNED_KEY" },
    }),
  );
  expect(ref).toBe("arn:aws:states:local-1:000000000000:stateMachine:greeter");
  expect(attributes).toMatchObject({ Arn: ref, Name: "greeter" });
  const { arn } = world.engine.startExecution({ stateMachineArn: ref });
  await world.settle();
  expect(world.result(arn).output).toBe("hello");
});

test("provisioning again keeps the revision until the definition or the role changes", async () => {
  const world = new World();
  const provider = new StateMachineProvider(world.engine);
  const revision = async (properties: object) =>
    (await provider.provision(resource(properties))).attributes.StateMachineRevisionId;
  const first = await revision({});
  expect(await revision({})).toBe(first);
  const second = await revision({ DefinitionString: definition("b") });
  expect(second).not.toBe(first);
  expect(await revision({ DefinitionString: definition("b"), RoleArn: `${ROLE}2` })).not.toBe(second);
});

test.each<[string, object, string]>([
  ["an unknown property", { DefinitionS3Location: {} }, "NotImplemented"],
  ["an express workflow", { StateMachineType: "EXPRESS" }, "NotImplemented"],
  [
    "a placeholder without a value",
    { DefinitionString: definition(placeholder("Missing")) },
    "ValidationException",
  ],
  ["a missing role", { RoleArn: undefined }, "ValidationException"],
  ["an invalid definition", { DefinitionString: "{}" }, "NotImplemented"],
  ["an invalid name", { StateMachineName: "a b" }, "InvalidName"],
])("%s is refused", async (_, properties, code) => {
  const provider = new StateMachineProvider(new World().engine);
  await expect(provider.provision(resource(properties))).rejects.toMatchObject({ code });
});
